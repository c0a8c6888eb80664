"""Generate with a mid-size model in batches; the plain way is one after the other."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec
import torch

from fishtui.families.registry import DEFAULT
from fishtui.families.s1_mini.config import read_config
from fishtui.lm.generate import Batch, Continuation
from fishtui.lm.model import DualAR

UNIT = "frames/s"
CASES = ["1", "4", "8", "16"]
PROMPT = 150
FRAMES = 40
SIZES = {
    "vocab_size": 16_384, "dim": 512, "n_layer": 12, "n_head": 8, "n_local_heads": 4, "head_dim": 64,
    "intermediate_size": 1536, "fast_dim": 512, "fast_n_head": 8, "fast_n_local_heads": 4,
    "fast_intermediate_size": 1536,
}  # fmt: skip


def mid_size_model() -> DualAR:
    """Return a random model with half the width and fewer layers than the published one, 92 million parameters."""
    torch.manual_seed(0)
    config = read_config(Path(__file__).parents[1] / "lm" / "config-s1-mini.json")
    model = DualAR(msgspec.structs.replace(config, **SIZES), semantic_begin=12_000, im_end=11_999)
    for name, parameter in model.named_parameters():
        parameter.data.normal_(mean=1.0 if "norm" in name else 0.0, std=0.02)
    return model.eval()


def measure(case: str, plain: bool) -> float:
    """Return frames generated per second, without the prompts' prefill."""
    return Rows(mid_size_model(), 1 if plain else int(case)).speed()


class Rows:
    """Continuations that never stop, in one batch."""

    def __init__(self, model: DualAR, rows: int) -> None:
        self.batch = Batch(model, DEFAULT.sampling(), rows=rows)
        prompt = torch.zeros(11, PROMPT, dtype=torch.long)
        prompt[0] = torch.arange(PROMPT)
        for row in range(rows):
            self.batch.add(Continuation(prompt, 1000, torch.Generator().manual_seed(row)))
        self.batch.step()

    def speed(self, frames: int = FRAMES) -> float:
        """Return frames per second of the batch's next ones."""
        started = time.perf_counter()
        for _ in range(frames):
            self.batch.step()
        return frames * len(self.batch.live) / (time.perf_counter() - started)
