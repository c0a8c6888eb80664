"""Models for the fake GPU: of the published sizes, and tiny ones, of both families."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec
import numpy as np
import torch
from torch import nn

from fishtui.families.s1_mini.config import read_config as s1_config
from fishtui.families.s2_pro.config import read_config as s2_config
from fishtui.lm.config import IGNORED, ModelConfig
from tests.golden_data import GOLDEN, GOLDEN_S2, OFFICIAL_S2

LM = Path(__file__).parents[1] / "lm"
Module = TypeVar("Module", bound=nn.Module)
OFFICIAL: dict[str, Callable[[], ModelConfig]] = {
    "s1-mini": lambda: s1_config(LM / "config-s1-mini.json"),
    "S2-Pro": lambda: s2_config(OFFICIAL_S2 / "config.json"),
}
TINY: dict[str, Callable[[], ModelConfig]] = {
    "tiny s1-mini": lambda: s1_config(GOLDEN / "checkpoint" / "config.json"),
    "tiny S2-Pro": lambda: s2_config(GOLDEN_S2 / "checkpoint" / "config.json"),
}
CONFIGS = {name: lambda read=read: few_layers(read()) for name, read in OFFICIAL.items()} | TINY


def few_layers(config: ModelConfig) -> ModelConfig:
    """Return the same sizes with as few layers as show every kind of work."""
    return msgspec.structs.replace(config, n_layer=2, n_fast_layer=1)


def on_gpu(module: Module) -> Module:
    """Give a module on the meta device a place on the GPU, its trained parameters still trained."""
    for part in module.modules():
        for name, given in list(part._parameters.items()):
            if given is not None:
                place = torch.empty(given.shape, dtype=given.dtype, device="cuda")
                part._parameters[name] = nn.Parameter(place, requires_grad=given.requires_grad)
    return module


class Prompts:
    """Sequences of five tokens of text, the frames and an end, for a model whose semantic tokens begin at 0."""

    def __init__(self, config: ModelConfig) -> None:
        self._rows = 1 + config.num_codebooks
        self.end = config.codebook_size
        self.padding = config.codebook_size + 1

    def training_sequence(
        self, utterances: Sequence[tuple[str, np.ndarray]], references: Sequence[object] = ()
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return inputs and labels as those of a family."""
        inputs, labels = [], []
        for _, codes in utterances:
            tokens = np.zeros((self._rows, 6 + codes.shape[1]), np.int64)
            tokens[0] = self.padding
            tokens[0, 5:-1], tokens[1:, 5:-1] = codes[0], codes
            tokens[0, -1] = self.end
            inputs.append(tokens[:, :-1])
            targets = tokens[:, 1:].copy()
            targets[:, :4] = IGNORED
            labels.append(targets)
        return np.concatenate(inputs, 1), np.concatenate(labels, 1)
