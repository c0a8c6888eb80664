"""A small model that speaks digits, which ships with fishtui, as a checkpoint folder."""

from __future__ import annotations

import lzma
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

import safetensors.torch
from torch import Tensor

from fishtui.checkpoint import CheckpointFolder
from fishtui.families.registry import DEFAULT
from fishtui.files import replacing, write_bytes
from fishtui.weights import write_file

CODEC, MODEL = "codec.safetensors.xz", "model.safetensors.xz"
RECOGNIZER = "digits.safetensors"
"""The recognizer of digits, for `evaluate.recognizer`."""


def write_shipped_checkpoint(folder: Path, source: Traversable | None = None) -> None:
    """Write the files in `source`, by default those of the package, into `folder`. Raises FishtuiError."""
    source = source or files("fishtui.demo") / "model"
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint = CheckpointFolder(folder)
    codec, sizes = checkpoint.codec_files
    names = (RECOGNIZER, *DEFAULT.tokenizer_names)
    for path in (sizes, checkpoint.config_file, *(folder / name for name in names)):
        write_bytes(path, (source / path.name).read_bytes())
    for path, name in ((codec, CODEC), (folder / DEFAULT.weight_names(())[0], MODEL)):
        with replacing(path) as temporary:
            write_file(unpacked((source / name).read_bytes()), temporary)


def unpacked(content: bytes) -> dict[str, Tensor]:
    """Return the tensors of a compressed safetensors file."""
    return safetensors.torch.load(lzma.decompress(content))
