import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fishtui.errors import MisuseError
from fishtui.families.registry import DEFAULT
from fishtui.families.s1_mini.prompt import synthesis_prompt
from fishtui.lm.generate import generate as generate_with
from fishtui.lm.sampling import Sampling
from fishtui.load import load_model
from tests.expecting import failing
from tests.families.s1 import read_tokenizer
from tests.golden_data import GOLDEN
from tests.lm.tiny import IM_END, KINDS, SEMANTIC_BEGIN, tiny_model, tiny_tokens

CASES = json.loads((GOLDEN / "generate_io.json").read_text())["cases"]
ROUNDING = 1e-4
PUBLISHED = DEFAULT.sampling()
WINDOW = PUBLISHED.penalty_window


def sampling(**values: float) -> Sampling:
    return replace(PUBLISHED, **values)


def generate(model, prompt, *, max_frames, generator=None, compile=False, **values):
    """Generate with the published sampling parameters, except `values`."""
    return generate_with(model, prompt, sampling(**values), max_frames=max_frames, generator=generator, compile=compile)


@pytest.fixture(scope="module")
def golden_model():
    return load_model(GOLDEN / "checkpoint")


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['name']} {case['repetition_penalty']}")
def test_golden_frames(case, golden_model):
    texts = [case["prompt_text"]] if isinstance(case["prompt_text"], str) else case["prompt_text"] or []
    references = [(text, np.array(codes)) for text, codes in zip(texts, case["prompt_codes"] or [], strict=True)]
    tokenizer = read_tokenizer(GOLDEN / "checkpoint")
    rows = golden_model.config.num_codebooks
    prompt = torch.from_numpy(synthesis_prompt("interleave", tokenizer, case["text"], references, rows))
    assert prompt.shape[1] == case["prompt_len"]
    wanted = torch.tensor(case["frames"]).T
    penalty = case["repetition_penalty"]
    found = list(generate(golden_model, prompt, max_frames=len(wanted), temperature=0, repetition_penalty=penalty))
    for frame, golden, margin in zip(found, wanted, case["per_frame_min_margin"], strict=True):
        if not torch.equal(frame, golden):
            assert margin < ROUNDING
            return


@pytest.mark.parametrize("kind", KINDS)
def test_steps_agree_with_the_whole_sequence_at_once(kind):
    model = tiny_model(kind)
    config = model.config
    prompt = tiny_tokens(config, 7)
    frames = torch.stack(list(generate(model, prompt, max_frames=20, temperature=0, repetition_penalty=1)), dim=1)
    assert frames.shape[1] > 2
    whole = torch.cat([prompt, frames], dim=1)
    with torch.no_grad():
        hidden = model.slow(whole[None, :, :-1])[0, 6:]
        tokens = model.token_logits(hidden)
        codes = model.codebook_logits(hidden, frames[1:].T)
    allowed = [*range(SEMANTIC_BEGIN, SEMANTIC_BEGIN + config.codebook_size), IM_END]
    assert torch.equal(torch.tensor(allowed)[tokens[:, allowed].argmax(1)], frames[0])
    assert torch.equal(frames[0] - SEMANTIC_BEGIN, frames[1])
    assert torch.equal(codes[:, 1:].argmax(-1), frames[2:].T)


def test_generation_stops_at_im_end():
    model = tiny_model()
    prompt = tiny_tokens(model.config, 7)
    frames = list(generate(model, prompt, max_frames=8, temperature=0, repetition_penalty=1.5))
    with torch.no_grad():
        # <|im_end|> gets a larger logit than the third frame's token, and the largest one only there.
        model.output.weight[IM_END] = model.output.weight[frames[2][0]] * 1.001
    stopped = list(generate(model, prompt, max_frames=8, temperature=0, repetition_penalty=1.5))
    earlier = {int(frame[0]) for frame in frames[:2]}
    assert int(frames[2][0]) not in earlier
    assert [frame.tolist() for frame in stopped] == [frame.tolist() for frame in frames[:2]]


def test_ids_of_text_are_never_drawn():
    model = tiny_model()
    with torch.no_grad():
        model.output.weight[:IM_END] *= 100
    random = torch.Generator().manual_seed(1)
    frames = torch.stack(list(generate(model, tiny_tokens(model.config, 5), max_frames=20, generator=random)))
    assert (frames[:, 0] >= SEMANTIC_BEGIN).all()


def test_a_seed_repeats_itself():
    model = tiny_model()
    prompt = tiny_tokens(model.config, 5)

    def run(seed: int) -> list[list[int]]:
        generator = torch.Generator().manual_seed(seed)
        return [frame.tolist() for frame in generate(model, prompt, max_frames=10, generator=generator)]

    assert run(1) == run(1)
    assert run(1) != run(2)


@pytest.mark.parametrize("settings", [{"temperature": 0}, {"top_p": 0}, {"temperature": 1e-30, "top_p": 1}])
def test_the_limits_of_the_sampling_values_are_greedy(settings):
    model = tiny_model()
    prompt = tiny_tokens(model.config, 5)
    greedy = list(generate(model, prompt, max_frames=6, temperature=0))
    found = list(generate(model, prompt, max_frames=6, **settings))
    assert torch.equal(torch.stack(found), torch.stack(greedy))


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"temperature": -1}, "bad-temperature"),
        ({"temperature": float("nan")}, "bad-temperature"),
        ({"top_p": 1.1}, "bad-top-p"),
        ({"top_p": -0.1}, "bad-top-p"),
        ({"repetition_penalty": 0}, "bad-repetition-penalty"),
        ({"top_k": 0}, "bad-top-k"),
    ],
)
def test_sampling_values_out_of_range_are_an_error(values, code):
    with failing(code, MisuseError):
        sampling(**values)


def test_a_sequence_longer_than_the_model_allows_is_an_error():
    model = tiny_model()
    prompt = tiny_tokens(model.config, 100)
    assert len(list(generate(model, prompt, max_frames=28, temperature=0, repetition_penalty=1))) > 0
    with failing("prompt-too-long", MisuseError) as caught:
        generate(model, prompt, max_frames=29)
    assert "100 positions" in caught.value.problem


def probabilities(rule: Sampling, scores: torch.Tensor, recent: torch.Tensor, draws: int = 4000) -> torch.Tensor:
    noise = torch.rand(draws, len(scores), generator=torch.Generator().manual_seed(0))
    drawn = rule.draw(scores.expand(draws, -1), recent.expand(draws, -1), noise)
    return torch.bincount(drawn, minlength=len(scores)) / draws


NOTHING = torch.full((WINDOW,), -1)


def test_draws_follow_the_softmax_of_the_temperature():
    scores = torch.tensor([1.0, 0.0, -1.0, 2.0])
    found = probabilities(sampling(temperature=2.0, top_p=1.0), scores, NOTHING)
    torch.testing.assert_close(found, (scores / 2).softmax(0), atol=0.03, rtol=0)


def test_top_p_keeps_tokens_up_to_their_cumulated_probability_before_temperature():
    scores = torch.tensor([0.1, 0.5, 0.25, 0.15]).log()
    kept = probabilities(sampling(temperature=5.0, top_p=0.8), scores, NOTHING) > 0
    assert kept.tolist() == [False, True, True, False]
    kept = probabilities(sampling(temperature=5.0, top_p=0.3), scores, NOTHING) > 0
    assert kept.tolist() == [False, True, False, False]


def test_top_k_keeps_the_most_likely_tokens_within_top_p():
    scores = torch.tensor([0.1, 0.5, 0.25, 0.15]).log()
    kept = probabilities(sampling(temperature=5.0, top_p=1.0, top_k=2), scores, NOTHING) > 0
    assert kept.tolist() == [False, True, True, False]
    kept = probabilities(sampling(temperature=5.0, top_p=0.6, top_k=2), scores, NOTHING) > 0
    assert kept.tolist() == [False, True, False, False]


def test_the_penalty_is_applied_first_and_depends_on_the_sign():
    scores = torch.tensor([3.0, 2.5, -1.0, -1.2])
    recent = NOTHING.clone()
    recent[:2] = torch.tensor([0, 2])
    penalised = torch.tensor([2.0, 2.5, -1.5, -1.2])
    found = probabilities(sampling(temperature=1.0, top_p=1.0, repetition_penalty=1.5), scores, recent)
    torch.testing.assert_close(found, penalised.softmax(0), atol=0.03, rtol=0)
    assert sampling(temperature=0).draw(scores[None], recent[None], torch.zeros(1, 4)).item() == 1


@given(
    scores=st.lists(st.floats(-50, 50, width=32), min_size=1, max_size=12),
    temperature=st.floats(0, 3),
    top_p=st.floats(0, 1),
    noise=st.lists(st.floats(0, 1, exclude_max=True, width=32), min_size=12, max_size=12),
)
def test_a_draw_is_a_kept_class(scores, temperature, top_p, noise):
    logits = torch.tensor(scores)
    rule = sampling(temperature=temperature, top_p=top_p, repetition_penalty=1.0)
    drawn = rule.draw(logits[None], NOTHING[None], torch.tensor([noise[: len(scores)]]))[0]
    ordered = logits.softmax(0).sort(descending=True).values
    least = ordered[(ordered.cumsum(0) <= top_p + 1e-6)].min() if (ordered[0] <= top_p + 1e-6) else ordered[0]
    assert logits.softmax(0)[drawn] >= least - 1e-6


def test_the_penalty_applies_to_the_last_frames_of_the_same_row():
    seen = []

    class Spy(Sampling):
        def draw(self, scores, recent, noise):
            seen.append(set(recent[0].tolist()) - {-1})
            return super().draw(scores, recent, noise)

    model = tiny_model()
    spy = Spy(3.0, 1.0, 1.0, WINDOW, PUBLISHED.residual_candidates)
    prompt = tiny_tokens(model.config, 5)
    random = torch.Generator().manual_seed(5)
    frames = torch.stack(list(generate_with(model, prompt, spy, max_frames=40, generator=random)))
    assert len(frames) > WINDOW + 2
    rows = model.config.num_codebooks
    for n in range(len(frames)):
        for row in range(rows):
            window = frames[max(0, n - WINDOW) : n, row + 1]
            assert seen[n * rows + row] == set(window.tolist())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="CUDA graphs need a CUDA device")
def test_a_captured_graph_gives_the_same_frames():
    model = tiny_model().cuda()
    prompt = tiny_tokens(model.config, 5)
    eager, captured = (
        torch.stack(list(generate(model, prompt, max_frames=30, temperature=0, compile=compile)))
        for compile in (False, True)
    )
    assert torch.equal(eager, captured)
