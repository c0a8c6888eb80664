"""Generate frames with a model of the published size and random weights; the plain implementation has no KV cache."""

from __future__ import annotations

import time
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor

from fishtui.families.registry import DEFAULT
from fishtui.families.s1_mini.config import read_config
from fishtui.lm.generate import generate
from fishtui.lm.model import DualAR

UNIT = "frames/s"
CASES = ["float32", "bfloat16"]
PROMPT = 100
FRAMES = 20


def measure(case: str, plain: bool) -> float:
    """Return frames generated per second, without the prompt's prefill."""
    config = read_config(Path(__file__).parents[1] / "lm" / "config-s1-mini.json")
    with torch.device("meta"):
        model = DualAR(config, semantic_begin=151_658, im_end=151_647)
    model.to_empty(device="cpu").to(getattr(torch, case)).eval()
    for name, parameter in model.named_parameters():
        parameter.data.normal_(mean=1.0 if "norm" in name else 0.0, std=0.02)
    prompt = torch.zeros(11, PROMPT, dtype=torch.long)
    prompt[0] = torch.arange(PROMPT)
    if plain:
        return generate_plainly(model, prompt)
    frames = generate(model, prompt, DEFAULT.sampling(), max_frames=FRAMES + 1)
    next(frames)
    started = time.perf_counter()
    made = sum(1 for _ in islice(frames, FRAMES))
    return made / (time.perf_counter() - started)


@torch.no_grad()
def generate_plainly(model: DualAR, tokens: Tensor) -> float:
    frames = 3
    started = time.perf_counter()
    for _ in range(frames):
        hidden = model.slow(tokens[None])[:, -1]
        semantic = int(model.token_logits(hidden)[0, model.semantic_begin :].argmax()) % model.config.codebook_size
        codes = torch.zeros(1, model.config.num_codebooks, dtype=torch.long)
        codes[0, 0] = semantic
        for i in range(1, model.config.num_codebooks):
            codes[0, i] = model.codebook_logits(hidden, codes)[0, i, :1024].argmax()
        frame = torch.cat([codes[:, :1] + model.semantic_begin, codes], dim=1)
        tokens = torch.cat([tokens, frame.T], dim=1)
    return frames / (time.perf_counter() - started)
