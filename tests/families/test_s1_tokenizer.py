import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishtui.errors import CheckpointError
from fishtui.families.s1_mini.tokenizer import PATTERN
from tests.expecting import failing
from tests.families.s1 import read_tokenizer
from tests.golden_data import GOLDEN
from tests.lm.tiny import write_tokenizer

TOKENS = json.loads((GOLDEN / "tokens" / "tokens.json").read_text())
TOKENIZER = read_tokenizer(GOLDEN / "checkpoint")


@pytest.fixture
def folder(tmp_path):
    write_tokenizer(tmp_path)
    return tmp_path


@pytest.mark.parametrize("case", TOKENS["encode"], ids=lambda case: case["text"][:20])
def test_golden_ids(case):
    assert TOKENIZER.encode(case["text"]) == case["ids_no_special"]
    assert TOKENIZER._encoding.encode(case["text"], allowed_special="all") == case["ids"]


def test_golden_pattern():
    assert TOKENS["pattern"] == PATTERN


def test_ids_of_special_tokens():
    specials = json.loads((GOLDEN / "checkpoint" / "special_tokens.json").read_text())
    semantic = [specials[name] for name in specials if name.startswith("<|semantic:")]
    assert (TOKENIZER.semantic_begin, TOKENIZER.semantic_end) == (min(semantic), max(semantic))
    assert TOKENIZER.id("<|voice|>") == specials["<|voice|>"]
    assert (TOKENIZER.im_end, TOKENIZER.end_of_text) == (specials["<|im_end|>"], specials["<|end_of_text|>"])
    with pytest.raises(KeyError):
        TOKENIZER.id("<|speaker:0|>")


@given(st.text(st.characters(categories=None)))
def test_any_text_is_encoded_as_plain_text(text):
    assert all(token < TOKENIZER.end_of_text for token in TOKENIZER.encode(text))


@pytest.mark.parametrize("text", ["\ud800", "\udfff\ud800x", "a\0b", "<|im_end|>" * 3, "\ufeff", "🏴󠁧󠁢󠁥󠁮󠁧󠁿"], ids=ascii)
def test_odd_text_is_encoded(text):
    assert TOKENIZER.encode(text)


@pytest.mark.parametrize("unit", ["a", " ", "\n", "!", "é", "中", "1", "\u0301", "ab "], ids=ascii)
def test_long_runs_are_encoded(unit):
    assert len(TOKENIZER.encode(unit * 200_000)) >= 200_000 * len(unit) // 128


def test_a_token_that_is_an_equals_sign_is_skipped(folder):
    with (folder / "tokenizer.tiktoken").open("a") as file:
        file.write("= 999\n\n")
    assert read_tokenizer(folder).encode("=") == [ord("=")]


def test_missing_files_are_named(folder):
    for name in ("special_tokens.json", "tokenizer.tiktoken"):
        (folder / name).unlink()
        with failing("no-checkpoint-file", CheckpointError) as caught:
            read_tokenizer(folder)
        assert name in caught.value.problem


@pytest.mark.parametrize("line", ["AA== x", "AA==", "**** 3", "é 1"])
def test_a_damaged_line_is_an_error(folder, line):
    with (folder / "tokenizer.tiktoken").open("a", encoding="utf-8") as file:
        file.write(line + "\n")
    with failing("damaged-tokens", CheckpointError) as caught:
        read_tokenizer(folder)
    assert "tokenizer.tiktoken" in caught.value.problem


def test_a_cut_file_is_an_error(folder):
    lines = (folder / "tokenizer.tiktoken").read_text().splitlines()
    (folder / "tokenizer.tiktoken").write_text("\n".join(lines[:100]))
    with failing("wrong-tokenizer", CheckpointError):
        read_tokenizer(folder)


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"<|im_end|>": None}, "wrong-tokenizer", "im_end"),
        ({"<|semantic:0|>": None}, "wrong-tokenizer", "semantic:0"),
        ({"<|semantic:5|>": None}, "wrong-tokenizer", "semantic:5"),
        ({"<|semantic:5|>": 9000}, "wrong-tokenizer", "semantic:5"),
        ({"<|voice|>": 7}, "wrong-tokenizer", "same id"),
        ({"<|voice|>": "7"}, "damaged-special-tokens", "special_tokens.json"),
    ],
)
def test_damaged_special_tokens_are_an_error(folder, changes, code, words):
    path = folder / "special_tokens.json"
    content = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({name: value for name, value in content.items() if value is not None}))
    with failing(code, CheckpointError) as caught:
        read_tokenizer(folder)
    assert words in caught.value.problem
