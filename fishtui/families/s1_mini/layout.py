"""The family's file of weights."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from fishtui.errors import CheckpointError
from fishtui.lm.config import ModelConfig
from fishtui.weights import read_tensors, write_file

SPLIT_QUERY = re.compile(r"(.*\.attention\.)wq(\.weight|\.bias)")


def read_weights(path: Path, config: ModelConfig) -> dict[str, Tensor]:
    """Read the weights at `path`, memory-mapped, under the parameter names of `DualAR`. Raises CheckpointError."""
    tensors = _fuse_projections(read_tensors(path, prefix="model."), path)
    if config.tie_word_embeddings:
        tensors.pop("output.weight", None)
    return tensors


def write_weights(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Write weights as `read_weights` and the public tools read them. Raises OSError."""
    write_file(dict(tensors), path)


def _fuse_projections(tensors: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """Join an attention's `wq`, `wk` and `wv`, which older files keep apart, as `wqkv`."""
    fused = dict(tensors)
    for name in tensors:
        if match := SPLIT_QUERY.fullmatch(name):
            stem, kind = match.groups()
            try:
                parts = [fused.pop(f"{stem}{part}{kind}") for part in ("wq", "wk", "wv")]
            except KeyError as error:
                raise CheckpointError(
                    f"{path}: the tensor {error.args[0]} is missing",
                    "Download the checkpoint again with `fishtui download`.",
                    code="missing-tensor",
                ) from error
            try:
                fused[f"{stem}wqkv{kind}"] = torch.cat(parts)
            except RuntimeError as error:
                raise CheckpointError(
                    f"{path}: {stem}wq{kind}, wk and wv do not fit together",
                    "Download the checkpoint again with `fishtui download`.",
                    code="wrong-tensors",
                ) from error
    return fused
