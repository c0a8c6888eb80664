"""Losses of codes given transcripts, by a language model, in batches of similar length."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from fishtui.checkpoint import CheckpointFolder
from fishtui.codehash import code_hash
from fishtui.codes import Layout
from fishtui.devices import choose_device, choose_precision, is_small, keep_freed_memory, one_thread, out_of_memory
from fishtui.errors import DataError
from fishtui.families.family import Prompts
from fishtui.files import hash_file
from fishtui.lm.config import IGNORED
from fishtui.lm.loss import sequence_losses
from fishtui.lm.model import DualAR
from fishtui.settings import Settings
from fishtui.training.adapter import adapter_weights, read_adapter
from fishtui.training.preset import parse_preset
from fishtui.training.voice import load_voice

# The code that losses depend on.
CODE = (
    *("stages/scoring.py", "lm/attention.py", "lm/config.py", "lm/loss.py", "lm/model.py", "nn.py", "families"),
    *("training/adapter.py", "training/lowrank.py", "training/lora.py", "training/voice.py"),
)


@dataclass(frozen=True)
class Judge:
    """A base model, perhaps with an adapter, before it is loaded. `name` is for people."""

    settings: Settings
    base: CheckpointFolder
    adapter: Path | None = None
    name: str = ""

    @property
    def template(self) -> str:
        """The prompt template that the model was trained with. Raises CheckpointError."""
        if self.adapter is None:
            return self.base.template()
        return read_adapter(self.adapter, parse_preset(self.settings.train.lora), self.base.family).template

    def identity(self) -> str:
        """Return a hash of all that losses depend on besides codes and transcripts. Raises CheckpointError, OSError."""
        files = [*self.base.model_files, *([adapter_weights(self.adapter)] if self.adapter else [])]
        use = self.settings.score
        precision = str(choose_precision(use.precision, choose_device(use.device)))
        lora = self.settings.train.lora if self.adapter else ""
        parts = [*(hash_file(path) for path in files), self.template, precision, lora, code_hash(*CODE)]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def load(self) -> Scorer:
        """Load the model. Raises CheckpointError, MisuseError."""
        use = self.settings.score
        voice = load_voice(
            self.base.path,
            self.adapter,
            parse_preset(self.settings.train.lora),
            device=use.device,
            precision=use.precision,
            resampler=self.settings.extract.resampler,
        )
        if voice.device.type == "cpu":
            keep_freed_memory()
        return Scorer(voice.model, voice.prompts)


@dataclass(frozen=True)
class Lengths:
    """Lengths of sequences in a template, for codes of a layout, without the codes."""

    prompts: Prompts
    layout: Layout
    longest: int
    """The positions that the model holds."""

    def of(self, text: str, frames: int) -> int:
        """Return the length of the sequence of a cleaned transcript and `frames` frames.

        Raises DataError, code `too-long`, if the model does not hold it.
        """
        codes = np.broadcast_to(np.int16(0), (len(self.layout), frames))
        length = self.prompts.sequence_length((text, codes))
        if length > self.longest:
            raise DataError(
                f"too long for the model: {length:,} tokens of at most {self.longest:,}",
                "Split the recording.",
                code="too-long",
            )
        return length


Pair = tuple[str, np.ndarray]
"""A cleaned transcript, and codes (codebooks, frames)."""


class Scorer:
    """Computes losses with a model; if a batch does not fit into memory, in halves of it."""

    def __init__(self, model: DualAR, prompts: Prompts) -> None:
        self.halved = 0
        """The number of batches that were halved."""
        self._model = model
        self._prompts = prompts

    def losses(self, pairs: Sequence[Pair]) -> list[float | None]:
        """Return the loss of each pair of transcript and codes, in nats; None if it does not fit into memory.

        The loss of a pair is the same in any batch, up to rounding. Raises DataError for codes of another codec.
        """
        if not pairs:
            return []
        try:
            with one_thread(is_small(self._model)):
                return self._losses(pairs)
        except (MemoryError, RuntimeError) as error:
            if not out_of_memory(error):
                raise
        # Outside the handler, because the exception's frames hold the tensors of the failed attempt.
        torch.cuda.empty_cache()
        if len(pairs) == 1:
            return [None]
        self.halved += 1
        middle = len(pairs) // 2
        return self.losses(pairs[:middle]) + self.losses(pairs[middle:])

    def _losses(self, pairs: Sequence[Pair]) -> list[float | None]:
        sequences = [self._prompts.training_sequence([pair]) for pair in pairs]
        shape = (len(pairs), len(sequences[0][0]), max(inputs.shape[1] for inputs, _ in sequences))
        tokens = torch.zeros(shape, dtype=torch.long)
        tokens[:, 0] = self._prompts.padding
        labels = torch.full_like(tokens, IGNORED)
        for row, (inputs, targets) in enumerate(sequences):
            tokens[row, :, : inputs.shape[1]] = torch.from_numpy(inputs)
            labels[row, :, : targets.shape[1]] = torch.from_numpy(targets)
        device = self._model.norm.weight.device
        return list(sequence_losses(self._model, tokens.to(device), labels.to(device)).tolist())
