"""Merge an adapter into a base of the published size with random bfloat16 weights, including the proof.

The plain implementation holds base and merged model in float32, without a proof.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path

import torch

from fishtui.families.s1_mini.config import read_config
from fishtui.lm.model import DualAR
from fishtui.load import load_model
from fishtui.project import Project
from fishtui.runs.reporter import Reporter
from fishtui.stages.merge import merge
from fishtui.training.preset import parse_preset
from tests.bench.adapters import write_random_adapter
from tests.lm.tiny import write_tokenizer

UNIT = "merges/min"
CASES = ["published size"]
FOLDER = Path(tempfile.gettempdir()) / "fishtui-bench-merging"
PRESET = parse_preset("r_8_alpha_16")
PUBLISHED = Path(__file__).parents[1] / "lm" / "config-s1-mini.json"


def measure(case: str, plain: bool) -> float:
    """Return merges per minute."""
    folder, output = FOLDER, FOLDER / "merged"
    started = time.perf_counter()
    if plain:
        merge_plainly(folder, output)
    else:
        merge(
            Project(folder), Reporter(), base=folder / "base", adapter=folder / "adapter.ckpt", output=output,
            preset=PRESET, template=None,
        )  # fmt: skip
    elapsed = time.perf_counter() - started
    shutil.rmtree(output)
    return 60 / elapsed


def prepare(sizes: Path = PUBLISHED) -> None:
    """Write a base of the sizes in a file, and an adapter in the format of the older tool."""
    base = FOLDER / "base"
    base.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(sizes, base / "config.json")
    config = read_config(base / "config.json")
    write_tokenizer(base, config.codebook_size)
    with torch.device("meta"):
        model = DualAR(config, semantic_begin=262, im_end=261)
    tensors = {
        name: torch.randn(value.shape, dtype=torch.bfloat16) * 0.02 for name, value in model.state_dict().items()
    }
    torch.save(tensors, base / "model.pth")
    write_random_adapter(model, PRESET, FOLDER / "adapter.ckpt")


def merge_plainly(folder: Path, output: Path) -> None:
    output.mkdir()
    base = load_model(folder / "base").state_dict()
    adapter = torch.load(folder / "adapter.ckpt", weights_only=True)["state_dict"]
    merged = dict(base)
    for name in adapter:
        if name.endswith("lora_A"):
            module = name.removeprefix("model.").removesuffix(".lora_A")
            delta = adapter[name.removesuffix("A") + "B"] @ adapter[name] * PRESET.scaling
            weight = base[f"{module}.weight"]
            merged[f"{module}.weight"] = weight + (delta if delta.shape == weight.shape else delta.T)
    torch.save({name: value.bfloat16() for name, value in merged.items()}, output / "model.pth")
