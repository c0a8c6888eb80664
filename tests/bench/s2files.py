"""Load S2-Pro at its published size with random weights, and merge an adapter into it, including the proof.

The plain implementation of loading reads all bytes into memory; that of merging only copies the files, which is the
disk's limit. Base and merged model take 9.1 GB each; FISHTUI_BENCH_LAYERS gives the slow transformer fewer layers.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from fishtui.families.s2_pro.config import read_config
from fishtui.lm.model import DualAR
from fishtui.load import load_model
from fishtui.project import Project
from fishtui.runs.reporter import Reporter
from fishtui.stages.merge import merge
from fishtui.training.preset import parse_preset
from tests.bench.adapters import write_random_adapter
from tests.golden_data import OFFICIAL_S2
from tests.tinymodels.s2 import write_new_weights, write_tokenizer

UNIT = "GB/s"
CASES = ["load", "merge"]
FOLDER = Path(tempfile.gettempdir()) / "fishtui-bench-s2files"
BASE = FOLDER / "base"
PRESET = parse_preset("r_8_alpha_16")
# Each tensor is a part of the same random numbers, which take longer to draw than to write.
RANDOM = 1 << 24


class RandomTensors(Mapping[str, Tensor]):
    """Random bfloat16 tensors of the shapes of a model on the meta device, made when they are read."""

    def __init__(self, model: DualAR) -> None:
        self._shapes = {name: value.shape for name, value in model.state_dict().items()}
        self._numbers = torch.randn(RANDOM, dtype=torch.bfloat16) * 0.02

    def __getitem__(self, name: str) -> Tensor:
        count = self._shapes[name].numel()
        return self._numbers.repeat(-(-count // RANDOM))[:count].view(self._shapes[name])

    def __iter__(self):
        return iter(self._shapes)

    def __len__(self) -> int:
        return len(self._shapes)


def measure(case: str, plain: bool) -> float:
    """Return the gigabytes of weights per second."""
    files = list(BASE.glob("*.safetensors"))
    size = sum(path.stat().st_size for path in files) / 1e9
    output = FOLDER / "merged"
    shutil.rmtree(output, ignore_errors=True)
    started = time.perf_counter()
    if case == "load" and plain:
        kept = [{name: value.clone() for name, value in load_file(path).items()} for path in files]
        assert kept
    elif case == "load":
        load_model(BASE, dtype=None)
    elif plain:
        output.mkdir()
        for path in files:
            shutil.copyfile(path, output / path.name)
    else:
        merge(
            Project(FOLDER), Reporter(), base=BASE, adapter=FOLDER / "adapter.ckpt", output=output, preset=PRESET,
            template=None,
        )  # fmt: skip
    elapsed = time.perf_counter() - started
    shutil.rmtree(output, ignore_errors=True)
    return size / elapsed


def prepare() -> None:
    """Write a base and an adapter in the format of other tools."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    BASE.mkdir(parents=True)
    content = json.loads((OFFICIAL_S2 / "config.json").read_text())
    content["text_config"]["n_layer"] = int(os.environ.get("FISHTUI_BENCH_LAYERS", content["text_config"]["n_layer"]))
    ids = write_tokenizer(BASE / "tokenizer.json", (), 4096)
    content |= {
        "semantic_start_token_id": ids["<|semantic:0|>"],
        "semantic_end_token_id": ids["<|semantic:4095|>"],
        "eos_token_id": ids["<|im_end|>"],
        "pad_token_id": ids["<|pad|>"],
        "audio_pad_token_id": ids["<|audio_pad|>"],
    }
    (BASE / "config.json").write_text(json.dumps(content))
    config = read_config(BASE / "config.json")
    with torch.device("meta"):
        model = DualAR(config, semantic_begin=ids["<|semantic:0|>"], im_end=ids["<|im_end|>"])
    write_new_weights(RandomTensors(model.bfloat16()), BASE)
    write_random_adapter(model, PRESET, FOLDER / "adapter.ckpt")
