"""Load the language model of a checkpoint folder."""

from __future__ import annotations

from pathlib import Path

import torch

from fishtui.checkpoint import CheckpointFolder
from fishtui.errors import CheckpointError
from fishtui.families.family import Vocabulary
from fishtui.lm.config import ModelConfig
from fishtui.lm.model import DualAR
from fishtui.weights import assign_tensors, without_values


def load_model(
    folder: Path | str, device: torch.device | str = "cpu", dtype: torch.dtype | None = torch.float32
) -> DualAR:
    """Load the language model of a checkpoint folder, of any family, in evaluation mode.

    `dtype` None keeps each tensor as it is stored. Raises CheckpointError that names the file, and the key or tensor,
    that is wrong.
    """
    checkpoint = CheckpointFolder(Path(folder))
    config = checkpoint.config()
    checkpoint.check_files()
    vocabulary = checkpoint.vocabulary()
    _check_vocabulary(checkpoint.path, config, vocabulary)
    tensors = checkpoint.tensors()
    with without_values():
        model = DualAR(config, semantic_begin=vocabulary.semantic_begin, im_end=vocabulary.im_end)
    files = checkpoint.weight_files
    assign_tensors(model, tensors, files[0] if len(files) == 1 else checkpoint.path)
    return model.to(device=device, dtype=dtype).eval()


def _check_vocabulary(folder: Path, config: ModelConfig, vocabulary: Vocabulary) -> None:
    remedy = "Check that all files come from the same model."
    semantic = vocabulary.semantic_end - vocabulary.semantic_begin + 1
    if semantic != config.codebook_size:
        raise CheckpointError(
            f"{folder}: the tokenizer has {semantic:,} semantic tokens, the config a codebook_size of "
            f"{config.codebook_size:,}",
            remedy,
            code="semantic-tokens-mismatch",
        )
    if vocabulary.highest >= config.vocab_size:
        raise CheckpointError(
            f"{folder}: the tokenizer has ids up to {vocabulary.highest:,}, the config a vocab_size of "
            f"{config.vocab_size:,}",
            remedy,
            code="vocabulary-mismatch",
        )
