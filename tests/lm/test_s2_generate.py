"""Sampling and generation against the golden data of S2-Pro, whose noise is given."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from fishtui.families.s2_pro.family import S2Pro
from fishtui.lm.generate import Batch, Continuation
from fishtui.lm.model import DualAR
from fishtui.lm.sampling import Sampling
from fishtui.load import load_model
from tests.golden_data import GOLDEN_S2
from tests.lm.tiny import tiny_model, tiny_tokens

SAMPLER = json.loads((GOLDEN_S2 / "sampling.json").read_text())
NOTES = json.loads((GOLDEN_S2 / "generate.json").read_text())
PROMPTS = load_file(GOLDEN_S2 / "prompts.safetensors")
PUBLISHED = S2Pro().sampling()
AGAIN = PUBLISHED.repetition_aware
ROUNDING = 1e-4


def golden_noise(classes: Tensor, seed: int, step: int, draw: int) -> Tensor:
    """Return the noise of the golden data for each class, float32."""
    x = (classes * 2654435761 + seed * 7919 + step * 97 + draw * 1000003) % 2**32
    x = ((x ^ (x >> 16)) * 0x7FEB352D) % 2**32
    x = ((x ^ (x >> 15)) * 0x5BD1E995) % 2**32
    x = x ^ (x >> 16)
    return (((x >> 9).double() + 0.5) / 2**23).float()


@dataclass(eq=False)
class GoldenContinuation(Continuation):
    """A continuation with the noise of the golden data; `begin` and `end` are the ids of its model."""

    seed: int = 0
    begin: int = 0
    end: int = 0

    def fill(self, noise: Tensor) -> None:
        codes = torch.arange(noise.shape[1] - 1)
        tokens = torch.cat([codes + self.begin, torch.tensor([self.end])])
        for draw in range(len(noise)):
            classes = tokens if draw < 2 else codes
            noise[draw, : len(classes)] = golden_noise(classes, self.seed, len(self.frames), draw)


@pytest.fixture(scope="module")
def model() -> DualAR:
    return load_model(GOLDEN_S2 / "checkpoint")


def continuation(model: DualAR, case: dict[str, Any]) -> GoldenContinuation:
    prompt = PROMPTS[case["prompt"]].long()
    ids = {"begin": model.semantic_begin, "end": model.im_end}
    return GoldenContinuation(prompt, case["max_frames"], seed=case["noise_seed"], **ids)


def rule(case: dict[str, Any]) -> Sampling:
    values = {name: case[name] for name in ("temperature", "top_p", "top_k")}
    return Sampling(**values, repetition_aware=AGAIN if case["ras"] else None)


def check(found: Continuation, case: dict[str, Any]) -> None:
    """Assert that frames are the golden ones, up to one that rounding may change."""
    wanted = torch.tensor(case["frames"]).T
    for frame, golden, margin in zip(found.frames, wanted, case["margins"], strict=False):
        if not torch.equal(frame, golden):
            assert margin < ROUNDING
            return
    assert len(found.frames) == len(wanted)
    assert found.stopped == case["stopped"]


def test_the_noise_is_that_of_the_golden_data() -> None:
    first, second = NOTES["noise_check"].values()
    assert golden_noise(torch.arange(4), 0, 0, 0).tolist() == first
    assert golden_noise(torch.arange(1000, 1004), 5, 3, 2).tolist() == second


@pytest.mark.parametrize("case", SAMPLER["sampler"], ids=lambda case: str(case["noise_seed"]))
def test_golden_draws(case: dict[str, Any]) -> None:
    scores = torch.tensor([case["logits"]])
    noise = golden_noise(torch.arange(scores.shape[1]), case["noise_seed"], 0, 0)[None]
    sampling = rule(case | {"ras": False})
    nothing = torch.full((1, 1), -1)
    assert sampling.draw(scores, nothing, noise).item() == case["choice"]
    if case["temperature"]:
        many = torch.rand(4000, scores.shape[1], generator=torch.Generator().manual_seed(0))
        drawn = sampling.draw(scores.expand(4000, -1), nothing.expand(4000, -1), many)
        shares = torch.bincount(drawn, minlength=scores.shape[1]) / 4000
        wanted = torch.tensor(case["probabilities"])
        assert torch.equal(wanted > 0, shares > 0) or wanted[shares == 0].max() < 2e-3
        torch.testing.assert_close(shares, wanted, atol=0.04, rtol=0)


@pytest.mark.parametrize("case", NOTES["cases"], ids=lambda case: f"{case['prompt']} {case['noise_seed']}")
def test_golden_frames(case: dict[str, Any], model: DualAR) -> None:
    batch = Batch(model, rule(case))
    one = continuation(model, case)
    batch.add(one)
    while batch.live:
        batch.step()
    check(one, case)


@pytest.mark.parametrize("ras", [False, True])
def test_golden_frames_in_a_batch(ras: bool, model: DualAR) -> None:
    by_rule: dict[Sampling, list[dict[str, Any]]] = {}
    for case in NOTES["cases"]:
        if case["ras"] == ras:
            by_rule.setdefault(rule(case), []).append(case)
    for sampling, cases in by_rule.items():
        batch = Batch(model, sampling, rows=len(cases))
        found = [continuation(model, case) for case in cases]
        for one in found:
            batch.add(one)
            # Rows begin at different steps.
            batch.step()
        while batch.live:
            batch.step()
        for one, case in zip(found, cases, strict=True):
            check(one, case)


def test_golden_frames_after_a_stop(model: DualAR) -> None:
    for case in NOTES["cases"]:
        if not case["ras_triggered"]:
            continue
        batch = Batch(model, rule(case))
        one = continuation(model, case)
        # Before the last frame that was drawn again because of an earlier one.
        one.frames = list(torch.tensor(case["frames"]).T[: max(case["ras_triggered"])])
        batch.add(one)
        while batch.live:
            batch.step()
        check(one, case)


def test_golden_window_of_the_second_draw(model: DualAR) -> None:
    case = SAMPLER["window"]
    drawn = {0.5: iter(case["m"]), 1.0: iter(case["m_fallback"])}

    class Given(Sampling):
        def _drawn(self, scores: Tensor, temperature: float, top_p: float, noise: Tensor) -> Tensor:
            if scores.shape[1] == model.config.codebook_size:
                return torch.zeros(len(scores), dtype=torch.long)
            if temperature == 1.0:
                assert (top_p, self.top_k) == (0.9, 30)
            token = next(drawn[temperature])
            return torch.tensor([model.config.codebook_size if token == model.im_end else token - model.semantic_begin])

    batch = Batch(model, Given(temperature=0.5, top_p=1.0, top_k=30, repetition_aware=AGAIN))
    one = Continuation(PROMPTS["plain"].long(), len(case["m"]))
    batch.add(one)
    while batch.live:
        batch.step()
    found = [int(frame[0]) for frame in one.frames] + [model.im_end] * one.stopped
    assert found == case["taken"]


def test_the_first_token_can_end_the_speech() -> None:
    model = tiny_model("tied")
    batch = Batch(model, replace(PUBLISHED, temperature=0))
    one = Continuation(tiny_tokens(model.config, 5), 4)
    batch.add(one)
    model.speech_logits = lambda hidden: torch.eye(model.config.codebook_size + 1)[[-1] * len(hidden)]  # type: ignore[method-assign]
    assert batch.step() == [one]
    assert one.stopped
    assert one.frames == []
