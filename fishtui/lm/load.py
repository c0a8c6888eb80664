"""Checkpoint folders in the published layout."""

from __future__ import annotations

import re
from pathlib import Path

import torch
from torch import Tensor

from fishtui.errors import CheckpointError
from fishtui.lm.config import ModelConfig
from fishtui.lm.model import DualAR
from fishtui.lm.tokenizer import Tokenizer
from fishtui.weights import assign_tensors, read_tensors

SPLIT_QUERY = re.compile(r"(.*\.attention\.)wq(\.weight|\.bias)")


def load_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer of a checkpoint folder; raises CheckpointError."""
    return Tokenizer.read(folder)


def load_model(folder: Path, device: torch.device | str = "cpu", dtype: torch.dtype | None = torch.float32) -> DualAR:
    """The language model of a checkpoint folder (`config.json`, `model.pth`, the tokenizer's files).

    It comes in evaluation mode, in `dtype` or, if that is None, each tensor as it is stored. Raises CheckpointError
    that names the file, and the key or tensor, that is wrong.
    """
    config = ModelConfig.read(folder / "config.json")
    tokenizer = Tokenizer.read(folder)
    _check_vocabulary(folder, config, tokenizer)
    path = folder / "model.pth"
    tensors = _fuse_projections(read_tensors(path, prefix="model."), path)
    with torch.device("meta"):
        model = DualAR(config, semantic_begin=tokenizer.semantic_begin, im_end=tokenizer.im_end)
    tied = config.tie_word_embeddings
    assign_tensors(model, tensors, path, ignored=lambda name: tied and name == "output.weight")
    return model.to(device=device, dtype=dtype).eval()


def _check_vocabulary(folder: Path, config: ModelConfig, tokenizer: Tokenizer) -> None:
    semantic = tokenizer.semantic_end - tokenizer.semantic_begin + 1
    if semantic != config.codebook_size:
        problem = (
            f"special_tokens.json has {semantic} semantic tokens, config.json a codebook_size of {config.codebook_size}"
        )
    elif tokenizer.highest >= config.vocab_size:
        problem = f"the tokenizer has ids up to {tokenizer.highest}, config.json a vocab_size of {config.vocab_size}"
    else:
        return
    raise CheckpointError(f"{folder}: {problem}", "Check that all files come from one and the same model.")


def _fuse_projections(tensors: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    """Older files keep an attention's `wq`, `wk` and `wv` apart; join them as `wqkv`."""
    fused = dict(tensors)
    for name in tensors:
        if match := SPLIT_QUERY.fullmatch(name):
            stem, kind = match.groups()
            try:
                parts = [fused.pop(f"{stem}{part}{kind}") for part in ("wq", "wk", "wv")]
            except KeyError as error:
                raise CheckpointError(f"{path} lacks the tensor {error.args[0]}", "Download it again.") from error
            fused[f"{stem}wqkv{kind}"] = torch.cat(parts)
    return fused
