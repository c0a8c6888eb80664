"""`fishtui compare`."""

from __future__ import annotations

import json
import signal
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fishtui.evaluation.blind import make_trials, read_comparisons, store_decision
from fishtui.evaluation.record import read_evaluation
from fishtui.project import Project
from tests import builders, forking
from tests.cli.test_schemas import check
from tests.evaluation.builders import LINES, evaluated
from tests.expecting import error_in


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = builders.project(tmp_path / "p")
    evaluated(project.results / "voice", {"base": 0.3, 100: 0.5, 200: 0.6}, sounds=True)
    return project


def serve(project: Project, during: Callable[[str], None], *options: str) -> tuple[int, list[str], str]:
    """Run `compare voice base 100`; call `during` with its address; interrupt it; return status, lines and errors."""
    with builders.serving(project.root, "compare", "voice", "base", "100", *options) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line.rstrip("\n"))
            if "--json" in options or line.startswith("http"):
                break
        during(json.loads(lines[0])["url"] if "--json" in options else lines[-1])
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=60)
    return process.returncode, [*lines, *rest.splitlines()], errors


def decide(url: str, count: int) -> None:
    """Decide `count` times that A is better, as the page does."""
    for _ in range(count):
        with urllib.request.urlopen(f"{url}state", timeout=10) as response:
            trial = json.load(response)["trial"]["id"]
        request = urllib.request.Request(
            f"{url}decision",
            json.dumps({"trial": trial, "decision": 1}).encode(),
            {"Content-Type": "application/json", "Origin": url.rsplit("/", 2)[0]},
        )
        with urllib.request.urlopen(request, timeout=10) as response:
            assert response.status == 200


def documents(lines: list[str]) -> list[Any]:
    found = [json.loads(line) for line in lines]
    for each in found:
        check("compare", each)
    return found


def test_a_comparison_is_interrupted_and_continued_until_its_tally(project: Project) -> None:
    status, lines, errors = serve(project, lambda url: decide(url, 4), "--json")
    served, tally = documents(lines)
    assert (status, errors) == (0, "")
    assert served["ssh"].startswith(f"ssh -L {served['port']}:127.0.0.1:{served['port']} ")
    assert tally == {"name": "voice", "versions": ["base", 100], "decisions": 4, "lines": len(LINES), "tally": None}

    status, lines, errors = serve(project, lambda url: decide(url, len(LINES) - 4), "--json")
    tally = documents(lines)[1]
    # Each version is A in half of the trials.
    assert tally["tally"] == {"better": [len(LINES) // 2] * 2, "no_difference": 0, "p_value": 1.0}

    # Nothing is left to serve.
    done = forking.fishtui("compare", "voice", "100", "base", "--json", cwd=project.root)
    assert done.returncode == 0
    assert [each["versions"] for each in documents(done.stdout.splitlines())] == [[100, "base"]]


def test_people_see_the_address_and_then_the_tally(project: Project) -> None:
    assert len(LINES) == 10
    status, lines, errors = serve(project, lambda url: decide(url, 10))
    assert (status, errors) == (0, "")
    assert [line for line in lines if line.startswith("  ssh -L ")]
    assert "the base is better: 5" in lines
    assert len(read_comparisons(project.results / "voice")) == 10


def test_decisions_of_other_versions_and_of_the_interface_are_separate_or_shared(project: Project) -> None:
    results = project.results / "voice"
    for trial in make_trials(read_evaluation(results), 100, "base", 5)[:3]:
        store_decision(results, trial, 0)
    for trial in make_trials(read_evaluation(results), 100, 200, 5):
        store_decision(results, trial, 1)
    _, lines, _ = serve(project, lambda url: decide(url, 1), "--json")
    assert documents(lines)[1]["decisions"] == 4


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["voice", "base", "700"], "no-such-step"),
        (["voice", "100", "100"], "same-step"),
        (["voice", "base", "base"], "same-step"),
        (["voice", "base", "best"], "usage"),
        (["voice", "base", "9" * 5000], "usage"),
        (["voice", "base", "²"], "usage"),
        (["voice", "base"], "usage"),
        (["vioce", "base", "100"], "no-evaluation"),
        (["empty", "base", "100"], "no-evaluation"),
        (["../voice", "base", "100"], "invalid-name"),
        (["voice", "base", "100", "--port", "99999"], "bad-setting"),
        (["silent", "base", "100"], "no-recordings"),
        (["apart", "base", "100"], "nothing-to-compare"),
    ],
)
def test_wrong_calls_are_errors_with_codes(project: Project, words: list[str], code: str) -> None:
    (project.results / "empty" / "checkpoints").mkdir(parents=True)
    evaluated(project.results / "silent", {"base": 0.3, 100: 0.5})
    apart = evaluated(project.results / "apart", {"base": 0.3, 100: 0.5}) / "evaluation.jsonl"
    entries = [json.loads(line) for line in apart.read_text(encoding="utf-8").splitlines()]
    kept = [each for number, each in enumerate(entries) if each["kind"] == "plan" or number in (1, len(entries) - 1)]
    apart.write_text("".join(json.dumps(each) + "\n" for each in kept), encoding="utf-8")
    done = forking.fishtui("compare", *words, "--json", cwd=project.root)
    assert (done.returncode, error_in(done.stdout)["code"]) == (2, code)
    assert done.stderr == ""
