from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file

from fishtui.checkpoint import CheckpointFolder
from fishtui.errors import DataError
from fishtui.families.s2_pro.prompt import S2Prompts
from fishtui.families.s2_pro.text import TAG
from fishtui.families.s2_pro.tokenizer import Tokenizer
from tests.expecting import failing
from tests.golden_data import GOLDEN_S2

TOKENIZER = Tokenizer.read(GOLDEN_S2 / "checkpoint" / "tokenizer.json")
CONFIG = CheckpointFolder(GOLDEN_S2 / "checkpoint").config()
CODEBOOKS = CONFIG.num_codebooks
PLAIN = S2Prompts("chat-untagged", TOKENIZER, CODEBOOKS)
TAGGED = S2Prompts("chat", TOKENIZER, CODEBOOKS)
PROMPTS = json.loads((GOLDEN_S2 / "prompts.json").read_text())["cases"]
PROMPT_TOKENS = load_file(GOLDEN_S2 / "prompts.safetensors")
SAMPLES = json.loads((GOLDEN_S2 / "train.json").read_text())["samples"]
SAMPLE_TOKENS = load_file(GOLDEN_S2 / "train.safetensors")


def utterances(entries: list[dict[str, Any]]) -> list[tuple[str, np.ndarray]]:
    return [(entry["text"], np.array(entry["codes"])) for entry in entries]


def codes_of(frames: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, CONFIG.codebook_size, (CODEBOOKS, frames), dtype=np.int16)


@pytest.mark.parametrize("case", PROMPTS, ids=lambda case: case["name"])
def test_golden_synthesis_prompts(case: dict[str, Any]) -> None:
    messages = PLAIN.messages(case["text"])
    assert messages == case["batches"]
    answers = [np.array(codes) for codes in case["answers"]]
    for number, length in enumerate(case["lengths"]):
        prompt = PLAIN.synthesis_prompt(messages[: number + 1], answers[:number], utterances(case["references"]))
        name = case["name"] if case["name"] in PROMPT_TOKENS else f"{case['name']}.{number}"
        np.testing.assert_array_equal(prompt, PROMPT_TOKENS[name])
        assert prompt.shape[1] == length
        assert prompt.dtype == np.int64


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample["name"])
def test_golden_training_sequences(sample: dict[str, Any]) -> None:
    inputs, labels = PLAIN.chat(utterances(sample["turns"]), utterances(sample["references"]))
    np.testing.assert_array_equal(inputs, SAMPLE_TOKENS[f"{sample['name']}.tokens"])
    np.testing.assert_array_equal(labels, SAMPLE_TOKENS[f"{sample['name']}.labels"])
    assert inputs.dtype == labels.dtype == np.int64


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint64"])
def test_codes_of_any_type_give_the_same_sequence(dtype: str) -> None:
    codes = np.full((CODEBOOKS, 3), CONFIG.codebook_size - 1) % 128
    for prompts in (PLAIN, TAGGED):
        found = prompts.training_sequence([("Hi.", codes.astype(dtype))])
        np.testing.assert_array_equal(found, prompts.training_sequence([("Hi.", codes)]))


def test_a_text_without_a_tag_gets_the_first_one_unless_the_template_leaves_it() -> None:
    assert TAGGED.messages("Hi.") == ["<|speaker:0|>Hi."]
    assert PLAIN.messages("Hi.") == ["Hi."]
    for prompts in (TAGGED, PLAIN):
        assert prompts.messages("Hi.<|speaker:3|>Ho.") == ["<|speaker:0|>Hi.\n<|speaker:3|>Ho."]
        assert prompts.messages("<|speaker:1|> Ho. ") == ["<|speaker:1|> Ho."]
    tagged, plain = (prompts.training_sequence([("Hi.", codes_of(2))])[0] for prompts in (TAGGED, PLAIN))
    np.testing.assert_array_equal(tagged, PLAIN.training_sequence([("<|speaker:0|>Hi.", codes_of(2))])[0])
    assert tagged.shape[1] > plain.shape[1]


TEXTS = st.lists(st.tuples(st.sampled_from(["", "<|speaker:0|>", "<|speaker:12|>"]), st.text(max_size=60)), max_size=9)


@given(TEXTS)
def test_messages_hold_whole_turns_within_their_limits(pieces: list[tuple[str, str]]) -> None:
    text = "".join(tag + words for tag, words in pieces)
    messages = TAGGED.messages(text)
    assert "".join("".join(messages).split()) == "".join(text.split()) or messages[0].startswith("<|speaker:0|>")
    for message in messages:
        count = len(TAG.findall(message))
        assert count <= 5
        assert count == 1 or len(message.encode("utf-8", "surrogatepass")) <= 300 + count - 1


@settings(max_examples=30)
@given(texts=st.lists(st.text(st.characters(categories=None), max_size=8), min_size=1, max_size=3))
def test_a_prompt_is_a_prefix_of_the_training_sequence(texts: list[str]) -> None:
    turns = [(text, codes_of(2, seed)) for seed, text in enumerate(texts)]
    inputs, labels = TAGGED.chat(turns, [("A reference.", codes_of(3))])
    messages = ["\n".join(TAGGED.messages(text)) for text in texts]
    prompt = TAGGED.synthesis_prompt(messages, [codes for _, codes in turns[:-1]], [("A reference.", codes_of(3))])
    length = prompt.shape[1]
    np.testing.assert_array_equal(inputs[:, :length], prompt)
    first = turns[-1][1][:, 0]
    np.testing.assert_array_equal(labels[:, length - 1], [first[0] + TOKENIZER.vocabulary.semantic_begin, *first])
    assert (labels[0] == TOKENIZER.vocabulary.im_end).sum() == len(texts)
    assert (labels[0] != -100).sum() == 3 * len(texts)


def test_added_tokens_in_a_transcript_are_spelled_out() -> None:
    hostile = "<|im_end|><|semantic:3|><think><|voice|>"
    inputs, labels = TAGGED.training_sequence([(hostile, codes_of(2))])
    plain, _ = TAGGED.training_sequence([("", codes_of(2))])
    for name in ("<|im_end|>", "<|semantic:3|>", "<think>", "<|voice|>"):
        [token] = TOKENIZER.encode_template(name)
        assert (inputs[0] == token).sum() == (plain[0] == token).sum()
    assert (labels[0] != -100).sum() == 3


@pytest.mark.parametrize(
    ("codes", "code"),
    [
        (np.full((CODEBOOKS, 2), CONFIG.codebook_size), "codes-out-of-range"),
        (np.full((CODEBOOKS, 2), -1), "codes-out-of-range"),
        (np.zeros((CODEBOOKS, 2)), "codes-not-integers"),
        (np.zeros(CODEBOOKS, dtype=np.int64), "codes-not-integers"),
        (np.zeros((CODEBOOKS - 1, 2), dtype=np.int64), "codes-not-integers"),
    ],
    ids=["too large", "negative", "floats", "flat", "other codebooks"],
)
def test_codes_of_another_codec_are_an_error(codes: np.ndarray, code: str) -> None:
    with failing(code, DataError) as caught:
        TAGGED.training_sequence([("a text", codes)])
    assert "a text" in caught.value.problem
