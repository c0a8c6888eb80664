"""Load a codec's file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from fishtui.codec.config import read_config, sizes_file
from fishtui.codec.model import Codec
from fishtui.weights import assign_tensors, check_tensors, read_tensors, without_values


def load_codec(
    path: Path | str,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    decodes: bool = True,
) -> Codec:
    """Load the codec in the file at `path`, of the sizes in the file next to it, or else of the published sizes.

    `dtype` is the type of the large layers, float32 or bfloat16; the search in the codebooks is always in float32. With
    `decodes=False` the codec only encodes, and takes less memory.
    Raises CheckpointError that names each tensor that is missing, unexpected or of another shape.
    """
    path = Path(path)
    with without_values():
        codec = Codec(read_config(sizes_file(path)))
    tensors = read_tensors(path, prefix="generator.")
    check_tensors(stored_shapes(codec), tensors, path, ignored=is_table)
    if not decodes:
        codec.drop_decoder()
    assign_tensors(codec, {name: folded(name, tensors).float() for name in codec.state_dict()}, path)
    return codec.prepare(dtype).to(device)


def is_table(name: str) -> bool:
    """Return True if a stored tensor is a table that the transformers compute themselves."""
    return name.endswith((".freqs_cis", ".causal_mask"))


def stored_shapes(codec: Codec) -> dict[str, torch.Size]:
    """Return names and shapes of the tensors in the file of a codec of these sizes, without tables."""
    shapes = {}
    for name, value in codec.state_dict().items():
        if parts := weight_norm_parts(name):
            magnitude, direction = parts
            shapes[magnitude] = torch.Size([value.shape[0], *[1] * (value.dim() - 1)])
            shapes[direction] = value.shape
        else:
            shapes[name] = value.shape
    return shapes


def weight_norm_parts(name: str) -> tuple[str, str] | None:
    """Return the stored names of a weight-normalised tensor's magnitude and direction; None for a plain tensor."""
    if name.startswith(("encoder.", "decoder.")) and name.endswith(".conv.weight"):
        stem = name.removesuffix("weight") + "parametrizations.weight.original"
        return f"{stem}0", f"{stem}1"
    if name.endswith(("in_proj.weight", "out_proj.weight")):
        return f"{name}_g", f"{name}_v"
    return None


def folded(name: str, tensors: Mapping[str, Tensor]) -> Tensor:
    """Return the tensor `name` with weight normalisation over the first axis applied (Salimans & Kingma 2016)."""
    parts = weight_norm_parts(name)
    if parts is None:
        return tensors[name]
    magnitude, direction = (tensors[part].float() for part in parts)
    return direction * (magnitude / torch.linalg.vector_norm(direction, dim=(1, 2), keepdim=True))
