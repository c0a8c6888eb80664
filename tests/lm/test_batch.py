"""Several continuations at once are those of each alone, for all sampling settings, lengths and ends."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fishtui.errors import MisuseError
from fishtui.families.registry import DEFAULT
from fishtui.lm.decoder import cache_bytes
from fishtui.lm.generate import CACHE_STEP, Batch, Continuation, generate
from fishtui.lm.model import DualAR
from fishtui.lm.sampling import MOST_LIKELY, RepetitionAware, Sampling
from tests.expecting import failing
from tests.lm.tiny import IM_END, KINDS, tiny_model, tiny_tokens

PUBLISHED = DEFAULT.sampling()
RULES = {
    "published": PUBLISHED,
    "greedy": replace(PUBLISHED, temperature=0),
    "all kept": replace(PUBLISHED, top_p=1),
    "hot": replace(PUBLISHED, temperature=2, top_p=0.95, repetition_penalty=1),
    "short window": replace(PUBLISHED, temperature=1, penalty_window=2, residual_candidates=9),
    "again": Sampling(temperature=1, top_p=0.9, top_k=5, repetition_aware=RepetitionAware(4, 1.0, 0.9)),
}


class Given(NamedTuple):
    """A prompt of random tokens, the limit of its frames, and its seed."""

    length: int
    max_frames: int
    seed: int

    def continuation(self, model: DualAR) -> Continuation:
        prompt = tiny_tokens(model.config, self.length, self.seed)
        return Continuation(prompt, self.max_frames, torch.Generator().manual_seed(self.seed))


def alone(model: DualAR, rule: Sampling, given: Given) -> list[list[int]]:
    prompt, most, random = (one := given.continuation(model)).prompt, one.max_frames, one.generator
    return [frame.tolist() for frame in generate(model, prompt, rule, max_frames=most, generator=random)]


def together(batch: Batch, waiting: list[Continuation], at_a_time: int = 99) -> None:
    """Generate all, each added as soon as there is room for it, and at most `at_a_time` between two steps."""
    waiting = waiting[::-1]
    while waiting or batch.live:
        for _ in range(at_a_time):
            if waiting and batch.has_room(waiting[-1]):
                batch.add(waiting.pop())
        batch.step()


def frames(continuation: Continuation) -> list[list[int]]:
    return [frame.tolist() for frame in continuation.frames]


@cache
def stopping_model(kind: str, dtype: torch.dtype) -> DualAR:
    """Return a model that stops after some frames, which depend on the noise."""
    model = tiny_model(kind, max_seq_len=512)
    if not model.config.tie_word_embeddings:
        with torch.no_grad():
            model.output.weight[IM_END] *= 2
    return model.to(dtype)


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(sorted(KINDS)),
    rule=st.builds(
        Sampling,
        temperature=st.sampled_from([0, 0.3, 0.7, 1, 2]),
        top_p=st.sampled_from([0, 0.5, 0.7, 0.95, 1]),
        repetition_penalty=st.sampled_from([1, 1.2, 1.5, 3]),
        penalty_window=st.integers(1, 16),
        residual_candidates=st.none() | st.integers(1, 32),
        top_k=st.none() | st.integers(1, 40),
        repetition_aware=st.none() | st.builds(RepetitionAware, st.integers(1, 12), st.just(1.0), st.just(0.9)),
    ),
    wanted=st.lists(
        st.builds(Given, st.integers(1, 140), st.integers(1, 25), st.integers(0, 99)), min_size=1, max_size=6
    ),
    rows=st.integers(1, 6),
    at_a_time=st.integers(1, 3),
    memory=st.none() | st.integers(1, 4 * CACHE_STEP),
)
def test_each_continuation_is_that_of_itself_alone(
    kind: str, rule: Sampling, wanted: list[Given], rows: int, at_a_time: int, memory: int | None
) -> None:
    # In float64, where rounding does not change a draw.
    model = stopping_model(kind, torch.float64)
    size = cache_bytes(model.config, model.norm.weight)
    batch = Batch(model, rule, rows=rows, memory=memory and memory * size)
    found = [given.continuation(model) for given in wanted]
    together(batch, found, at_a_time)
    assert [frames(each) for each in found] == [alone(model, rule, given) for given in wanted]
    assert all(each.stopped or len(each.frames) == each.max_frames for each in found)


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("kind", KINDS)
def test_in_float32_too(kind: str, name: str) -> None:
    model, rule = stopping_model(kind, torch.float32), RULES[name]
    wanted = [Given(length, 30, length) for length in (3, 40, 17, 99, 140, 60, 61)]
    found = [given.continuation(model) for given in wanted]
    together(Batch(model, rule, rows=4), found)
    assert [frames(each) for each in found] == [alone(model, rule, given) for given in wanted]


def test_rows_end_at_different_frames() -> None:
    """Otherwise the tests above would not show that ended rows leave."""
    model = stopping_model("plain", torch.float64)
    found = [Given(20, 40, seed).continuation(model) for seed in range(12)]
    together(Batch(model, RULES["hot"], rows=12), found)
    assert len({len(each.frames) for each in found}) > 3
    assert {each.stopped for each in found} == {True, False}


def test_the_work_of_a_step_is_that_of_the_live_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    model = stopping_model("plain", torch.float32)
    widths = []
    embed = model.embed
    monkeypatch.setattr(model, "embed", lambda tokens: widths.append(len(tokens)) or embed(tokens))
    batch = Batch(model, RULES["greedy"], rows=4)
    found = [Given(5, 2 * n, n).continuation(model) for n in (1, 3, 2)]
    together(batch, found)
    ends = sorted(len(each.frames) + each.stopped for each in found)
    assert widths == [1, 1, 1] + [sum(end > step for end in ends) for step in range(ends[-1])]


def test_caches_are_bounded_by_the_memory_and_as_long_as_needed() -> None:
    model = stopping_model("plain", torch.float32)
    size = cache_bytes(model.config, model.norm.weight)
    batch = Batch(model, PUBLISHED, rows=8, memory=3 * CACHE_STEP * size)
    short = [Given(5, 5, n).continuation(model) for n in range(4)]
    for each in short[:3]:
        assert batch.has_room(each)
        batch.add(each)
    assert not batch.has_room(short[3])
    long = Given(CACHE_STEP, 5, 1).continuation(model)
    assert not batch.has_room(long)
    assert batch._decoder is not None
    assert batch._decoder.cache.keys.shape[1:4] == (3, model.config.n_local_heads, CACHE_STEP)
    while batch.live:
        batch.step()
    # One is always possible.
    huge = Given(4 * CACHE_STEP - 5, 5, 1).continuation(model)
    assert batch.has_room(huge)
    batch.add(huge)
    assert batch._decoder.cache.keys.shape[1:4] == (1, model.config.n_local_heads, 4 * CACHE_STEP)


@pytest.mark.parametrize("name", RULES)
def test_a_continuation_continues_from_its_frames_as_if_it_had_never_stopped(name: str) -> None:
    model, given = tiny_model(), Given(6, 60, 5)
    whole = alone(model, RULES[name], given)
    batch = Batch(model, RULES[name], rows=2)
    # Steps of another one come before, so that the window of recent frames begins at any place.
    together(batch, [Given(3, 5, 1).continuation(model)])
    for done in (1, 2, 5, 18, 40):
        begun = given.continuation(model)
        begun.frames = [torch.tensor(frame) for frame in whole[:done]]
        for _ in begun.frames if RULES[name].is_random else ():
            begun.fill(torch.zeros(1 + model.config.num_codebooks, model.config.codebook_size + 1))
        together(batch, [begun])
        assert frames(begun) == whole


def test_the_first_frame_never_counts_for_second_draws() -> None:
    model = tiny_model()
    whole = alone(model, RULES["again"], Given(6, 5, 5))
    for done in range(4):
        batch = Batch(model, RULES["again"])
        begun = Given(6, 5, 5).continuation(model)
        begun.frames = [torch.tensor(frame) for frame in whole[:done]]
        batch.add(begun)
        assert sorted(batch._recent[0, 0].tolist()) == sorted(
            [-1] * (4 - max(done - 1, 0)) + [f[0] for f in whole[1:done]]
        )


def test_a_continuation_that_does_not_fit_leaves_the_others_alone() -> None:
    model = stopping_model("plain", torch.float32)
    batch = Batch(model, PUBLISHED, rows=2)
    batch.add(first := Given(5, 5, 1).continuation(model))
    with failing("prompt-too-long", MisuseError):
        batch.add(Given(500, 13, 1).continuation(model))
    assert batch.live == [first]


@settings(deadline=None)
@given(
    top_p=st.floats(0, 1),
    top_k=st.none() | st.integers(1, 6 * MOST_LIKELY),
    spread=st.floats(0, 8),
    seed=st.integers(0, 99),
)
def test_the_most_likely_of_many_classes_are_those_of_a_full_sort(
    top_p: float, top_k: int | None, spread: float, seed: int
) -> None:
    classes = 4 * MOST_LIKELY
    scores = torch.randn(3, classes, generator=torch.Generator().manual_seed(seed)) * spread
    kept = replace(PUBLISHED, top_k=top_k)._kept(scores.softmax(-1), top_p)
    for row, probabilities in zip(kept, scores.softmax(-1), strict=True):
        likely = probabilities.sort(descending=True).values
        # A sum of all can exceed 1 by rounding.
        kept_by_share = classes if top_p == 1 and (top_k or classes) >= classes else (likely.cumsum(0) <= top_p).sum()
        count = min(max(1, int(kept_by_share)), top_k or classes)
        assert row.sum() == count
        assert probabilities[row].min() >= likely[count - 1]
