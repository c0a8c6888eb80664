"""The family's files of weights: safetensors, in shards with an index or in one file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from fishtui.families.s2_pro.layout import flat_name, stored_name
from fishtui.lm.config import ModelConfig
from fishtui.lm.model import DualAR
from fishtui.tensorfiles.content import read_folder, write_like
from fishtui.weights import check_tensors, without_values


def read_weights(folder: Path, config: ModelConfig) -> dict[str, Tensor]:
    """Read the weights, memory-mapped, under the parameter names of `DualAR`. Raises CheckpointError."""
    found = read_folder(folder)
    with without_values():
        # The token ids do not affect the shapes.
        model = DualAR(config, semantic_begin=0, im_end=0)
    shapes = {stored_name(name): value.shape for name, value in model.state_dict().items()}
    # Compared here, so that an error has the names in the files.
    check_tensors(shapes, found, folder)
    return {flat_name(stored): value for stored, value in found.items()}


def write_weights(tensors: Mapping[str, Tensor], folder: Path, base: Path) -> None:
    """Write tensors, named as `DualAR` names them, into `folder`, in the files of the checkpoint folder `base`.

    Each is taken from the mapping when it is written. Raises OSError.
    """
    write_like(base, folder, lambda stored: tensors[flat_name(stored)])
