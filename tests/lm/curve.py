"""Golden training steps, which are checked alike for every family."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from fishtui.lm.loss import Losses, losses
from fishtui.lm.model import DualAR


def accuracy(found: Losses) -> float:
    """Return the share of codes among the five most likely."""
    return (found.top5_hits / found.top5_codes).item()


def follow_curve(model: DualAR, batch: tuple[Tensor, ...], curve: dict[str, Any]) -> None:
    """Train `model` on `batch` with the optimizer and learning rates of `curve`, and compare each step with it."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.0, **curve["adamw"])
    for step in curve["steps"]:
        optimizer.param_groups[0]["lr"] = step["lr"]
        found = losses(model, *batch)
        assert found.total.item() == pytest.approx(step["loss"], rel=1e-4)
        assert found.base.item() == pytest.approx(step["base_loss"], rel=1e-4)
        assert found.semantic.item() == pytest.approx(step["semantic_loss"], rel=1e-4)
        assert accuracy(found) == pytest.approx(step["top_5_accuracy"], abs=1e-6)
        optimizer.zero_grad()
        found.total.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), curve["clip"])
        assert norm.item() == pytest.approx(step["grad_norm_before_clip"], rel=1e-4)
        optimizer.step()
