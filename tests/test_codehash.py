"""Code hashes change with statements, but not with comments, docstrings or layout."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fishtui.codehash import code_hash, source_hash
from fishtui.pipeline.steps import pipeline_steps
from tests.source import copied_source, edit_source, forget

SOURCE = '''"""A module."""
from math import sqrt

class Half:
    """A class."""

    share: float = 0.5
    """Documented below."""

def rms(values: list[float]) -> float:
    """The root mean square."""
    # Why so.
    return sqrt(sum(value * value for value in values) / len(values))

def nothing() -> None:
    """Return at once."""
'''


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("A module.", "Another text."),
        ("A class.", "Another text.\n\n    In two paragraphs."),
        ("Documented below.", "Another text."),
        ("The root mean square.", "Another text."),
        ("# Why so.", "# For another reason."),
        ("    # Why so.\n", ""),
        ("(value * value for value in values)", "(\n        value * value\n        for value in values\n    )"),
        ('    """The root mean square."""\n', ""),
    ],
)
def test_comments_docstrings_and_layout_do_not_change_the_hash(before: str, after: str) -> None:
    assert before in SOURCE
    assert source_hash(SOURCE.replace(before, after)) == source_hash(SOURCE)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("value * value", "value + value"),
        ("0.5", "0.25"),
        ("0.5", "True"),
        ("/ len(values)", "/ (len(values) - 1)"),
        ("from math import sqrt", "from cmath import sqrt"),
        ("def nothing()", "def something()"),
        ("    return sqrt", "    sqrt"),
        ('"""Return at once."""', "return None"),
    ],
)
def test_statements_change_the_hash(before: str, after: str) -> None:
    assert before in SOURCE
    assert source_hash(SOURCE.replace(before, after)) != source_hash(SOURCE)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of fishtui's source that code_hash reads."""
    with monkeypatch.context() as patch:
        yield copied_source(tmp_path, patch)
    forget()


def test_a_changed_module_changes_only_the_hashes_of_steps_that_use_it(package: Path) -> None:
    before = {step.name: code_hash(*step.code) for step in pipeline_steps().values()}
    edit_source(package / "lm" / "loss.py", '"""', '"""Edited. ')
    assert {step.name: code_hash(*step.code) for step in pipeline_steps().values()} == before
    (package / "lm" / "loss.py").write_text("FACTOR = 2\n", encoding="utf-8")
    forget()
    after = {step.name: code_hash(*step.code) for step in pipeline_steps().values()}
    assert {name for name in before if before[name] != after[name]} == {"train", "evaluate", "merge", "synthesize"}


def test_adding_or_renaming_a_module_changes_the_hash(package: Path) -> None:
    before = code_hash("lm")
    (package / "lm" / "loss.py").rename(package / "lm" / "losses.py")
    forget()
    renamed = code_hash("lm")
    (package / "lm" / "more.py").touch()
    forget()
    assert len({before, renamed, code_hash("lm")}) == 3


def test_the_order_of_names_does_not_change_the_hash_and_an_unknown_name_is_an_error() -> None:
    assert code_hash("files.py", "lm") == code_hash("lm", "files.py") == code_hash("lm", "lm/loss.py", "files.py")
    with pytest.raises(FileNotFoundError):
        code_hash("llm")
