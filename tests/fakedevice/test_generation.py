"""Generation on a GPU: one wait in a frame, and none in the work that a CUDA graph repeats."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from fishtui.families.registry import FAMILIES
from fishtui.lm import generate
from fishtui.lm.config import ModelConfig
from fishtui.lm.generate import Batch, Continuation
from fishtui.lm.model import DualAR
from fishtui.training.proof import proof_logits
from tests.fakedevice.gpu import CUDA, Gpu, fake_gpu
from tests.fakedevice.models import CONFIGS, OFFICIAL, on_gpu

SAMPLINGS = [family.sampling() for family in FAMILIES.values()]


def model_of(config: ModelConfig, dtype: torch.dtype) -> DualAR:
    with torch.device("meta"):
        model = DualAR(config, semantic_begin=config.vocab_size - config.codebook_size - 1, im_end=1).to(dtype)
    return on_gpu(model).eval()


def speak(config: ModelConfig, dtype: torch.dtype, rows: int, compile: bool, gpu: Gpu) -> None:
    """Generate frames of `rows` prompts, which do not end together."""
    model = model_of(config, dtype)
    for sampling in SAMPLINGS:
        batch = Batch(model, sampling, rows=rows, compile=compile)
        for row in range(rows):
            prompt = torch.zeros(1 + config.num_codebooks, 5 + row, dtype=torch.long)
            batch.add(Continuation(prompt, 2 + row, torch.Generator(CUDA)))
        gpu.waits.clear()
        steps = 0
        while batch.live:
            batch.step()
            steps += 1
        assert steps == 1 + rows
        assert gpu.waits == {"copy": steps}


@pytest.fixture
def captured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Run work that would be captured as a graph under the rules of a capture; return what was captured."""
    calls: list[str] = []

    def capture(work: Callable[[], Tensor]) -> Callable[[], Tensor]:
        calls.append("captured")

        def run() -> Tensor:
            with torch.utils._python_dispatch._get_current_dispatch_mode_stack()[-1].capturing():  # type: ignore[attr-defined]
                return work()

        return run

    monkeypatch.setattr(generate, "_captured", capture)
    return calls


CASES = [
    (name, dtype, rows, compile)
    for name in CONFIGS
    for dtype in (torch.bfloat16, torch.float32)
    for rows in (1, 3)
    for compile in (False, True)
]
FEW = [
    ("s1-mini", torch.bfloat16, 3, True),
    ("tiny S2-Pro", torch.float32, 1, True),
    ("tiny s1-mini", torch.float32, 3, False),
    ("S2-Pro", torch.bfloat16, 1, False),
]


@pytest.mark.parametrize(
    ("name", "dtype", "rows", "compile"),
    [pytest.param(*case, marks=[] if case in FEW else pytest.mark.whole) for case in CASES],
    ids=str,
)
def test_frames_are_made_on_the_gpu(
    name: str, dtype: torch.dtype, rows: int, compile: bool, captured: list[str]
) -> None:
    with fake_gpu() as gpu:
        speak(CONFIGS[name](), dtype, rows, compile, gpu)
    assert bool(captured) == compile


@pytest.mark.whole
@pytest.mark.parametrize("name", OFFICIAL)
def test_frames_of_the_published_model_are_made_on_the_gpu(name: str, captured: list[str]) -> None:
    with fake_gpu() as gpu:
        speak(OFFICIAL[name](), torch.bfloat16, 2, True, gpu)


@pytest.mark.parametrize("name", ["tiny s1-mini", "tiny S2-Pro"])
def test_the_proof_of_a_merge_runs_on_the_gpu(name: str) -> None:
    with fake_gpu():
        logits = proof_logits(model_of(CONFIGS[name](), torch.bfloat16))
        assert (logits.device, logits.dtype) == (CUDA, torch.float32)
