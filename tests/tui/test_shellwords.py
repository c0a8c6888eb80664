"""Words of a command: paths with spaces are completed as in a shell, and taken without quotes if they exist."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishtui.tui import shellwords
from fishtui.tui.shellwords import candidates, last_word, words_of
from tests.builders import project


@given(words=st.lists(st.text("ab '\"\\é(&", min_size=1), min_size=1, max_size=4))
def test_the_last_word_is_that_of_a_shell(words: list[str]) -> None:
    typed = shlex.join(["slice", *words])
    raw, plain = last_word(typed)
    assert plain == words[-1]
    assert typed.endswith(raw)


def test_a_path_with_spaces_is_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = project(tmp_path / "project")
    (tmp_path / "My podcasts (old)").mkdir()
    asked: list[dict[str, str]] = []

    def answer(words: object, project: object, variables: dict[str, str]) -> tuple[int, str, str]:
        asked.append(variables)
        return 0, "file,\n", ""

    monkeypatch.setattr(shellwords, "run_fishtui", answer)
    whole = r"../My\ podcasts\ \(old\)/"
    for typed in ("slice ../My", r"slice ../My\ po", "slice '../My po", f"slice {whole} ../My"):
        assert candidates(typed, made) == [whole]
    assert words_of(f"slice {whole}", made.root) == ["slice", "../My podcasts (old)/"]
    assert [each["COMP_CWORD"] for each in asked] == ["2", "2", "2", "3"]


def test_a_path_that_exists_needs_no_quotes(tmp_path: Path) -> None:
    (tmp_path / "My podcasts").mkdir()
    given = f"slice {tmp_path}/My podcasts --speaker Anna"
    assert words_of(given, tmp_path) == ["slice", f"{tmp_path}/My podcasts", "--speaker", "Anna"]
    assert words_of("clips list a b", tmp_path) == ["clips", "list", "a", "b"]
