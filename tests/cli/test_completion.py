"""Shell completion: the shells' scripts, and completions of commands, options and choices."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import builders
from tests.evaluation.builders import evaluated
from tests.forking import fishtui
from tests.importers.builders import recording


def complete(shell: str, instruction: str, words: str = "") -> str:
    """Return the output of fishtui for a shell that requests its script (`source`) or completions (`complete`)."""
    environment = {
        "_FISHTUI_COMPLETE": f"{shell}_{instruction}",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split(" ")) - 1),
    }
    run = fishtui(cwd=Path.cwd(), **environment)
    assert run.returncode == 0, run.stderr
    return run.stdout


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with trainings, an evaluation and a scanned dataset."""
    found = builders.project(tmp_path_factory.mktemp("project"))
    for name in ("anna-1", "bert"):
        (found.results / name / "checkpoints").mkdir(parents=True)
    evaluated(found.results / "bert", {"base": 0.3, 100: 0.5, 200: 0.6})
    (found.results / "notes").mkdir()
    for name in ("anna/00", "anna/01", "bert/00"):
        recording(found.root / "data" / f"{name}.wav")
    assert fishtui("scan", cwd=found.root).returncode == 0
    return found.root


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_a_script(shell: str) -> None:
    assert "_FISHTUI_COMPLETE" in complete(shell, "source")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("fishtui tra", {"train", "transcribe"}),
        ("fishtui train --meth", {"--method"}),
        ("fishtui train --method ", {"lora", "full"}),
        ("fishtui runs st", {"stop"}),
    ],
)
def test_commands_options_and_choices_are_completed(words: str, expected: set[str]) -> None:
    assert {line.partition(",")[2] for line in complete("bash", "complete", words).splitlines()} == expected


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("fishtui merge an", {"anna-1"}),
        ("fishtui train ", {"anna-1", "bert"}),
        ("fishtui compare ", {"bert"}),
        ("fishtui compare bert ", {"base", "100", "200"}),
        ("fishtui compare bert base ", {"100", "200"}),
        ("fishtui compare bert base 1", {"100"}),
        ("fishtui compare ../bert ", set()),
        ("fishtui clips show an", {"anna/00", "anna/01"}),
        ("fishtui clips edit b", {"bert/00"}),
        ("fishtui clips fix loud", {"loudness"}),
    ],
)
def test_trainings_clips_and_checks_are_completed(
    words: str, expected: set[str], project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    found = {line.partition(",")[2] for line in complete("bash", "complete", words).splitlines()}
    assert found - {""} == expected
