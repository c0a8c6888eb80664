"""Write the trained weights, compressed, as the files that `fishtui demo` ships."""

from __future__ import annotations

import lzma
import shutil
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor

from fishtui.checkpoint import CheckpointFolder
from fishtui.codec.model import Codec
from fishtui.demo.shipped import CODEC, MODEL, RECOGNIZER
from fishtui.families.registry import DEFAULT
from fishtui.judges.ctc import CtcNetwork, save_network
from fishtui.weights import read_tensors
from tests.tinymodels.checkpoint import published_tensors

LARGEST = 8_000_000
NOTICE = """\
# The model of the demo

Codec, language model and recognizer of spoken digits, trained on the Free Spoken Digit Dataset
(https://github.com/Jakobovski/free-spoken-digit-dataset) by Zohar Jackson and contributors, licensed under Creative
Commons Attribution-ShareAlike 4.0 International (https://creativecommons.org/licenses/by-sa/4.0/). The recordings here
are from the same dataset; they are brought to one level and joined into sequences. These files are therefore licensed
under the same licence, whose text is in CC-BY-SA-4.0.txt, and not under the licence of fishtui.

`python -m tests.demo_model` in the source repository reproduces them.
"""
ORIGIN = {
    "origin": "trained on the Free Spoken Digit Dataset by Zohar Jackson and contributors",
    "license": "CC-BY-SA-4.0",
}
# The values have two bytes each, whose first and second ones are alike.
FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "lp": 1, "lc": 3, "pb": 1}]


def export(checkpoint: Path, codec: Codec, recognizer: CtcNetwork, target: Path) -> int:
    """Write the files of the demo, with `codec` in place of the checkpoint's, into `target`; return their bytes."""
    target.mkdir(parents=True, exist_ok=True)
    files = CheckpointFolder(checkpoint)
    _, sizes = files.codec_files
    weights = checkpoint / DEFAULT.weight_names(())[0]
    parts = (
        (CODEC, published_tensors(codec), torch.float16),
        (MODEL, read_tensors(weights), torch.bfloat16),
    )
    for name, tensors, dtype in parts:
        (target / name).write_bytes(packed(tensors, dtype))
    (target / "README.md").write_text(NOTICE, encoding="utf-8")
    save_network(recognizer, target / RECOGNIZER, ORIGIN)
    for path in (sizes, files.config_file, *(checkpoint / name for name in DEFAULT.tokenizer_names)):
        shutil.copyfile(path, target / path.name)
    size = sum(path.stat().st_size for path in target.glob("*.*"))
    if size > LARGEST:
        raise SystemExit(f"{target}: {size:,} bytes, more than {LARGEST:,}")
    return size


def packed(tensors: dict[str, Tensor], dtype: torch.dtype) -> bytes:
    """Return tensors as a compressed safetensors file of values of `dtype`."""
    values = {name: value.to(dtype).contiguous() for name, value in tensors.items()}
    return lzma.compress(safetensors.torch.save(values), lzma.FORMAT_XZ, filters=FILTERS)
