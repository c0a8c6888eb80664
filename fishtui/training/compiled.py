"""Compile the blocks of a model for training on a GPU, which waits for the launches of their small kernels."""

from __future__ import annotations

from typing import Any, cast

import torch

from fishtui.lm.attention import Attention
from fishtui.lm.model import DualAR


def compile_blocks(model: DualAR, **options: Any) -> None:
    """Compile each block of `model` for rows of any length, in its first step; `options` are those of torch.compile.

    Blocks are alike, so that few are compiled. Attention to packed rows is left as it is: it is one kernel already, and
    depends on lengths that change with each batch.
    """
    for block in model.layers:
        attention = cast(Attention, block.attention)
        attention.attended = torch.compiler.disable(attention.attended)  # type: ignore[method-assign]
    for block in (*model.layers, *model.fast_layers):
        block.compile(dynamic=True, **options)
