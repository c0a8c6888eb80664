"""Random LoRA adapters for the benchmarks of merging."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from fishtui.lm.model import DualAR
from fishtui.training.lora import target_modules
from fishtui.training.preset import LoraSpec


def write_random_adapter(model: DualAR, preset: LoraSpec, path: Path) -> None:
    """Write an adapter of random values for `model`, whose weights may be on the meta device."""
    adapter = {}
    for name in target_modules(model, preset.targets):
        rows, columns = model.get_submodule(name).weight.shape
        if isinstance(model.get_submodule(name), nn.Embedding):
            rows, columns = columns, rows
        adapter[f"model.{name}.lora_A"] = torch.randn(preset.r, columns) * 0.01
        adapter[f"model.{name}.lora_B"] = torch.randn(rows, preset.r) * 0.01
    torch.save({"state_dict": adapter}, path)
