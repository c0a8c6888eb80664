from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishtui.checkpoint import CheckpointFolder
from fishtui.errors import CheckpointError
from fishtui.families.s2_pro.tokenizer import Tokenizer
from tests.expecting import failing
from tests.golden_data import GOLDEN_S2
from tests.tinymodels.s2 import write_tiny

TOKENS = json.loads((GOLDEN_S2 / "tokens" / "tokens.json").read_text())
TOKENIZER = Tokenizer.read(GOLDEN_S2 / "checkpoint" / "tokenizer.json")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    write_tiny(folder)
    return folder


@pytest.fixture
def folder(tiny: Path, tmp_path: Path) -> Path:
    for name in ("config.json", "tokenizer.json"):
        (tmp_path / name).write_bytes((tiny / name).read_bytes())
    return tmp_path


@pytest.mark.parametrize("case", TOKENS["encode"], ids=lambda case: case["text"][:20])
def test_golden_ids(case: dict[str, Any]) -> None:
    assert TOKENIZER.encode(case["text"]) == case["ids_plain"]
    assert TOKENIZER.encode_template(case["text"]) == case["ids"]


def test_golden_ids_of_special_tokens() -> None:
    vocabulary = CheckpointFolder(GOLDEN_S2 / "checkpoint").vocabulary()
    config = json.loads((GOLDEN_S2 / "checkpoint" / "config.json").read_text())
    assert vocabulary.im_end == config["eos_token_id"]
    assert vocabulary.semantic_begin == config["semantic_start_token_id"]
    assert vocabulary.semantic_end == config["semantic_end_token_id"]
    assert TOKENIZER.padding == config["pad_token_id"]


@given(st.text(st.characters(categories=None)))
def test_any_text_is_encoded_as_plain_text(text: str) -> None:
    first = min(TOKENIZER.encode_template(name)[0] for name in ("<|endoftext|>", "<think>", "<|pad|>"))
    assert all(token < first for token in TOKENIZER.encode(text))


@pytest.mark.parametrize("text", ["\ud800", "\udfff\ud800x", "a\0b", "<|im_end|>" * 3, "<think>", "🏴󠁧󠁢󠁥󠁮󠁧󠁿"], ids=ascii)
def test_odd_text_is_encoded(text: str) -> None:
    assert len(TOKENIZER.encode(text)) > (text != "\ud800")


@pytest.mark.parametrize("unit", ["a", " ", "\n", "é", "中", "\u0301"], ids=ascii)
def test_long_runs_are_encoded(unit: str) -> None:
    assert TOKENIZER.encode(unit * 20_000)


def change(folder: Path, **changes: Any) -> None:
    path = folder / "tokenizer.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def added(folder: Path, name: str, token: int | None) -> None:
    tokens = json.loads((folder / "tokenizer.json").read_text())["added_tokens"]
    kept = [each if each["content"] != name else each | {"id": token} for each in tokens]
    change(folder, added_tokens=[each for each in kept if each["id"] is not None])


@pytest.mark.parametrize(
    ("name", "token", "code"),
    [
        ("<|im_end|>", None, "wrong-tokenizer"),
        ("<|semantic:0|>", None, "wrong-tokenizer"),
        ("<|semantic:5|>", None, "wrong-tokenizer"),
        ("<|semantic:5|>", 9000, "wrong-tokenizer"),
        ("<|audio_pad|>", None, "token-ids-mismatch"),
    ],
)
def test_a_wrong_added_token_is_named(folder: Path, name: str, token: int | None, code: str) -> None:
    added(folder, name, token)
    with failing(code, CheckpointError) as caught:
        CheckpointFolder(folder).vocabulary()
    assert name in caught.value.problem
    assert str(folder) in caught.value.problem


@pytest.mark.parametrize("key", ["eos_token_id", "pad_token_id", "audio_pad_token_id", "semantic_start_token_id"])
def test_ids_other_than_the_config_s_are_an_error(folder: Path, key: str) -> None:
    config = json.loads((folder / "config.json").read_text())
    config[key] += 1
    if key.startswith("semantic"):
        config["semantic_end_token_id"] += 1
    (folder / "config.json").write_text(json.dumps(config))
    with failing("token-ids-mismatch", CheckpointError) as caught:
        CheckpointFolder(folder).vocabulary()
    assert key in caught.value.problem


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"model": None}, "wrong-tokenizer"),
        ({"model": {"type": "BPE", "vocab": {}, "merges": [["a"]]}}, "wrong-tokenizer"),
        ({"added_tokens": 5}, "wrong-tokenizer"),
        ({"added_tokens": [{"id": "x"}]}, "wrong-tokenizer"),
        ({"pre_tokenizer": {"type": "Split", "pattern": {"Regex": "("}}}, "wrong-tokenizer"),
    ],
    ids=["no model", "broken merges", "no list", "no id", "broken pattern"],
)
def test_a_damaged_file_is_an_error(folder: Path, changes: dict[str, Any], code: str) -> None:
    change(folder, **changes)
    with failing(code, CheckpointError) as caught:
        CheckpointFolder(folder).vocabulary()
    assert "tokenizer.json" in caught.value.problem


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    with failing("no-checkpoint-file", CheckpointError) as caught:
        CheckpointFolder(folder).vocabulary()
    assert "tokenizer.json" in caught.value.problem
