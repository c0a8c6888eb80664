"""Compares computed values with golden ones, which may be stored in part."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


def agree(found: Tensor, wanted: Tensor, tolerance: float = 1e-4) -> None:
    """Assert that values differ by at most `tolerance` of the largest one."""
    torch.testing.assert_close(found.double(), wanted.double(), rtol=0, atol=tolerance * wanted.abs().max().item())


def every(stored: Mapping[str, Tensor], name: str) -> tuple[Tensor, int]:
    """Return a tensor of which only every n-th row may be stored, and n."""
    [key] = [key for key in stored if key == name or key.startswith(f"{name}@")]
    return stored[key], int(key.rpartition(":")[2]) if "@" in key else 1
