import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file

from fishtui.errors import DataError
from fishtui.families.s1_mini.family import S1Mini
from fishtui.families.s1_mini.prompt import S1Prompts, sequence_length, synthesis_prompt, training_sequence
from fishtui.families.s1_mini.text import clean_for_training
from fishtui.families.s1_mini.tokenizer import Tokenizer
from fishtui.lm.sampling import Sampling
from tests.expecting import failing
from tests.families.s1 import read_tokenizer
from tests.golden_data import GOLDEN
from tests.tinymodels.s1 import SPECIALS

TOKENIZER = read_tokenizer(GOLDEN / "checkpoint")
N_SEMANTIC = TOKENIZER.semantic_end - TOKENIZER.semantic_begin + 1
TEMPLATES = ["interleave", "instruct"]
INFERENCE = json.loads((GOLDEN / "tokens" / "inference_format.json").read_text())["cases"]
SAMPLES = json.loads((GOLDEN / "tokens" / "train_format.json").read_text())["samples"]


def codes_of(frames: int, seed: int = 0, rows: int = 10) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, min(1024, N_SEMANTIC), (rows, frames), dtype=np.int16)


@pytest.mark.parametrize("case", INFERENCE, ids=lambda case: case["name"])
def test_golden_synthesis_prompts(case):
    texts = [case["prompt_text"]] if isinstance(case["prompt_text"], str) else case["prompt_text"] or []
    references = [(text, np.array(codes)) for text, codes in zip(texts, case["prompt_codes"] or [], strict=True)]
    wanted = load_file(GOLDEN / "tokens" / "inference_format.safetensors")[case["name"]]
    prompt = synthesis_prompt("interleave", TOKENIZER, case["text"], references, num_codebooks=len(wanted) - 1)
    np.testing.assert_array_equal(prompt, wanted)
    assert prompt.shape[1] == case["length"]
    assert prompt.dtype == np.int64


def golden_clip(sample) -> tuple[str, np.ndarray]:
    text = "<|skip_text|>" if sample["skip_text"] else clean_for_training(sample["text"])
    assert sample["skip_text"] or text == sample["clean"]
    return text, np.array(sample["codes"])


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: str(sample["index"]))
def test_golden_training_sequences(sample):
    wanted = load_file(GOLDEN / "tokens" / "train_format.safetensors")
    inputs, labels = training_sequence("instruct", TOKENIZER, [golden_clip(sample)])
    np.testing.assert_array_equal(inputs, wanted[f"{sample['index']}.tokens"])
    np.testing.assert_array_equal(labels, wanted[f"{sample['index']}.labels"])
    assert inputs.dtype == labels.dtype == np.int64


def test_golden_training_sequence_with_multiple_clips():
    wanted = load_file(GOLDEN / "tokens" / "train_format.safetensors")
    clips = clips_in(wanted["augment.tokens"])
    inputs, labels = training_sequence("instruct", TOKENIZER, clips)
    np.testing.assert_array_equal(inputs, wanted["augment.tokens"])
    np.testing.assert_array_equal(labels, wanted["augment.labels"])


def clips_in(tokens: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """Return texts and codes of a concatenated instruct sequence, which the golden data has in no other form."""
    words = {rank: token for token, rank in TOKENIZER._encoding._mergeable_ranks.items()}
    opening = TOKENIZER.encode("Speak out the provided text.") + TOKENIZER.encode("<|speaker:user|>")
    ids = tokens[0].tolist()
    clips = []
    for start in range(len(ids)):
        if ids[start : start + len(opening)] == opening:
            end = ids.index(TOKENIZER.im_end, start)
            text = b"".join(words[token] for token in ids[start + len(opening) : end]).decode()
            first = ids.index(TOKENIZER.id("<|voice|>"), end) + 1
            last = first
            while last < len(ids) and TOKENIZER.semantic_begin <= ids[last] <= TOKENIZER.semantic_end:
                last += 1
            clips.append((text.removeprefix(" "), tokens[1:, first:last]))
    return clips


def test_rows_are_padded_with_the_end_of_text():
    for template in TEMPLATES:
        assert S1Prompts(template, TOKENIZER, 10).padding == TOKENIZER.id("<|end_of_text|>")


def test_the_published_sampling():
    wanted = Sampling(temperature=0.7, top_p=0.7, repetition_penalty=1.5, penalty_window=16, residual_candidates=1024)
    assert S1Mini().sampling() == wanted


def test_interleaved_training_sequence():
    first, second = codes_of(3, 1), codes_of(2, 2)
    inputs, labels = training_sequence("interleave", TOKENIZER, [("Hello", first), ("你好", second)])

    def text(string: str) -> list[int]:
        return TOKENIZER.encode("<|speaker:0|>") + TOKENIZER.encode(string)

    def frames(codes: np.ndarray) -> list[int]:
        return (codes[0].astype(int) + TOKENIZER.semantic_begin).tolist()

    end = TOKENIZER.im_end
    whole = [TOKENIZER.id("<|interleave|>"), *text("Hello"), *frames(first), end, *text("你好"), *frames(second), end]
    learned = [
        -100,
        *[-100] * len(text("Hello")),
        *frames(first),
        end,
        *[-100] * len(text("你好")),
        *frames(second),
        end,
    ]
    assert inputs[0].tolist() == whole[:-1]
    assert labels[0].tolist() == learned[1:]
    is_frame = (inputs[0] >= TOKENIZER.semantic_begin) & (inputs[0] <= TOKENIZER.semantic_end)
    np.testing.assert_array_equal(inputs[1:, is_frame], np.concatenate([first, second], axis=1))
    assert not inputs[1:, ~is_frame].any()
    assert (labels[1:, labels[0] == -100] == -100).all()
    assert (labels[1:, labels[0] == end] == 0).all()
    np.testing.assert_array_equal(labels[1:, labels[0] >= TOKENIZER.semantic_begin], np.concatenate([first, second], 1))


@pytest.mark.parametrize("template", TEMPLATES)
@settings(max_examples=30)
@given(texts=st.lists(st.text(max_size=8), min_size=1, max_size=3), frames=st.integers(1, 4))
def test_a_prompt_is_a_prefix_of_the_training_sequence(template, texts, frames):
    clips = [(text, codes_of(frames, seed)) for seed, text in enumerate(texts)]
    inputs, labels = training_sequence(template, TOKENIZER, clips)
    prompt = synthesis_prompt(template, TOKENIZER, texts[-1], clips[:-1])
    length = prompt.shape[1]
    np.testing.assert_array_equal(inputs[:, :length], prompt)
    first = np.concatenate([[clips[-1][1][0, 0] + TOKENIZER.semantic_begin], clips[-1][1][:, 0]])
    np.testing.assert_array_equal(labels[:, length - 1], first)


@pytest.mark.parametrize("template", TEMPLATES)
@settings(max_examples=30)
@given(text=st.text(max_size=8), frames=st.integers(0, 4))
def test_the_length_of_a_sequence_is_known_without_building_it(template, text, frames):
    utterance = (text, codes_of(frames))
    inputs, _ = training_sequence(template, TOKENIZER, [utterance])
    assert sequence_length(template, TOKENIZER, utterance) == inputs.shape[1]


@pytest.mark.parametrize("template", TEMPLATES)
def test_special_tokens_in_a_transcript_are_spelled_out(template):
    clips = [("<|im_end|><|semantic:3|>", codes_of(2))]
    inputs, labels = training_sequence(template, TOKENIZER, clips)
    plain, _ = training_sequence(template, TOKENIZER, [("", codes_of(2))])
    for special in (TOKENIZER.im_end, TOKENIZER.semantic_begin + 3):
        assert (inputs[0] == special).sum() == (plain[0] == special).sum()
    assert (labels[0] != -100).sum() == 3


def test_the_number_of_codebooks_is_that_of_the_codes():
    clip = ("a", codes_of(2, rows=4))
    assert training_sequence("interleave", TOKENIZER, [clip])[0].shape[0] == 5
    assert synthesis_prompt("interleave", TOKENIZER, "b", [clip], num_codebooks=4).shape[0] == 5


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint64"])
@pytest.mark.parametrize("template", TEMPLATES)
def test_codes_of_any_type_get_the_published_token_ids(template, dtype):
    names = [f"<|{name}|>" for name in (*SPECIALS, *(f"semantic:{code}" for code in range(4096)))]
    ids = {name: 151_643 + number for number, name in enumerate(names)}
    published = Tokenizer({bytes([byte]): byte for byte in range(256)}, ids)
    codes = np.array([[0, 100, 127]] * 10)
    inputs, labels = training_sequence(template, published, [("a", codes.astype(dtype))])
    assert inputs[0][inputs[0] >= 151_658].tolist() == [151_658, 151_758, 151_785]
    assert labels[0][labels[0] > 0].tolist() == [151_658, 151_758, 151_785, 151_647]
    np.testing.assert_array_equal(labels[1:, labels[0] >= 151_658], codes)
    prompt = synthesis_prompt(template, published, "b", [("a", codes.astype(dtype))])
    np.testing.assert_array_equal(prompt[:, : inputs.shape[1]], inputs)


def too_large_in_the_last_row() -> np.ndarray:
    codes = np.zeros((10, 2), dtype=np.int64)
    codes[-1, -1] = N_SEMANTIC
    return codes


@pytest.mark.parametrize(
    ("codes", "code"),
    [
        (np.full((10, 2), N_SEMANTIC), "codes-out-of-range"),
        (too_large_in_the_last_row(), "codes-out-of-range"),
        (np.full((10, 2), -1), "codes-out-of-range"),
        (np.zeros((10, 2)), "codes-not-integers"),
        (np.zeros(10, dtype=np.int64), "codes-not-integers"),
    ],
    ids=["too large", "too large in one row", "negative", "floats", "flat"],
)
def test_codes_of_another_codec_are_an_error(codes, code):
    with failing(code, DataError) as caught:
        training_sequence("interleave", TOKENIZER, [("a text", codes)])
    assert "a text" in caught.value.problem
    with failing(code, DataError):
        sequence_length("interleave", TOKENIZER, ("a text", codes))
