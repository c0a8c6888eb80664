"""`fishtui synthesize` as a user sees it: paths, names that exist, progress, and a stop in the middle."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fishtui.audio.decode import read_audio
from fishtui.project import Project
from fishtui.runs.events import read_events
from fishtui.runs.state import find_run, read_runs
from tests.builders import PAUSE, command, project, restore_signals
from tests.expecting import error_in
from tests.forking import fishtui
from tests.golden_data import GOLDEN

SETTINGS = '[paths]\ncheckpoint = "{checkpoint}"\n[synthesize]\ndevice = "cpu"\nmax_seconds = {seconds}\n'
Speak = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def root(tmp_path: Path, checkpoint: Path) -> Path:
    return project(tmp_path, SETTINGS.format(checkpoint=checkpoint, seconds=0.3)).root


def wrote(text: str) -> list[str]:
    return [line.removeprefix("wrote ") for line in text.splitlines() if line.startswith("wrote ")]


def spoken(events: Path) -> list[str]:
    return [event["path"] for event in read_events(events) if event["kind"] == "artifact"]


def test_names_of_ours_are_numbered_and_shown(root: Path) -> None:
    assert wrote(fishtui("synthesize", "--text", "One.", cwd=root).stdout) == ["speech.wav"]
    first = (root / "speech.wav").read_bytes()
    assert wrote(fishtui("synthesize", "--text", "Two.", cwd=root).stdout) == ["speech-2.wav"]
    assert (root / "speech.wav").read_bytes() == first
    assert wrote(fishtui("runs", "show", cwd=root).stdout) == ["speech-2.wav"]
    # Elsewhere the path is absolute, so that it can be used.
    assert wrote(fishtui("runs", "attach", "--project", root, cwd=root / ".fishtui").stdout) == [f"{root}/speech-2.wav"]
    # The name of a file in a folder is ours too.
    for name in ("speech.wav", "speech-2.wav"):
        assert wrote(fishtui("synthesize", "--text", "x", "--output", "new", cwd=root).stdout) == [f"new/{name}"]


def test_names_of_the_user_are_refused_or_replaced_if_forced(root: Path) -> None:
    (root / "mine.wav").write_bytes(b"mine")
    words = ["synthesize", "--text", "One.", "--output", "mine.wav"]
    for more in ([], ["--dry-run"], ["--detach"]):
        refused = fishtui(*words, "--json", *more, cwd=root)
        assert (refused.returncode, error_in(refused.stdout)["code"]) == (2, "exists")
    assert (root / "mine.wav").read_bytes() == b"mine"
    assert read_runs(Project(root)) == []
    assert wrote(fishtui(*words, "--force", cwd=root).stdout) == ["mine.wav"]
    assert read_audio(root / "mine.wav").seconds > 0
    # The second of two files exists.
    (root / "all-002.wav").write_bytes(b"mine")
    words = ["synthesize", "--text", "One.", "--text", "Two.", "--output", "all.wav"]
    refused = fishtui(*words, "--json", cwd=root)
    assert "all-002.wav" in error_in(refused.stdout)["problem"]
    assert not (root / "all-001.wav").exists()


def test_two_at_once_write_two_files(root: Path) -> None:
    words = command("synthesize", "--text", "One.", "--text", "Two.", "--json", "--now")
    both = [subprocess.Popen(words, cwd=root, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    events = [json.loads(line) for process in both for line in process.communicate()[0].splitlines()]
    paths = [event["path"] for event in events if event["kind"] == "artifact"]
    assert sorted(paths) == [
        str(root / name) for name in ("speech-001.wav", "speech-002.wav", "speech-2-001.wav", "speech-2-002.wav")
    ]


def test_progress_names_loading_and_each_sentence(root: Path) -> None:
    texts = [word for text in ("One.", "Two.", "Three.") for word in ("--text", text)]
    result = fishtui("synthesize", *texts, cwd=root)
    run = find_run(Project(root), "last")
    events = [event for event in read_events(run.folder / "events.jsonl") if event["kind"] == "progress"]
    assert [event["unit"] for event in events if event["done"] == 0][:2] == ["steps", "texts"]
    assert {event["done"] for event in events if event["unit"] == "texts"} >= {0, 3}
    assert any("frames" in event["note"] for event in events)
    # Without a terminal progress is in lines, and in the log.
    assert "loading the model" in result.stderr
    assert "0 of 3 texts" in result.stderr
    assert "0 of 3 texts" in (run.folder / "output.log").read_text(encoding="utf-8")
    assert sorted(wrote(result.stdout)) == [f"speech-00{number}.wav" for number in (1, 2, 3)]


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("to_run", [False, True], ids=["to the command", "to the run"])
def test_a_stop_keeps_finished_sentences_and_names_them(
    number: int, status: int, to_run: bool, tmp_path: Path, checkpoint: Path
) -> None:
    root = project(tmp_path, SETTINGS.format(checkpoint=checkpoint, seconds=2)).root
    (root / "book.txt").write_text("\n".join(f"This is line {line}." for line in range(500)), encoding="utf-8")
    process = subprocess.Popen(
        command("synthesize", "--text-file", "book.txt", "--output", "book.flac"),
        cwd=root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=restore_signals,
    )
    while not (root / "book-002.flac").exists():
        assert process.poll() is None
        time.sleep(PAUSE)
    run = find_run(Project(root), "last")
    assert run.process is not None
    os.kill(run.process.pid if to_run else process.pid, number)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == status
    assert "Traceback" not in stderr
    files = sorted(path.name for path in root.glob("book-*.flac"))
    # In the order in which the sentences ended.
    assert sorted(wrote(stdout)) == files
    assert 2 <= len(files) < 500
    assert all(read_audio(root / name).seconds > 0 for name in files)
    assert sorted(spoken(run.folder / "events.jsonl")) == [str(root / name) for name in files]


def test_exports_are_refused_or_replaced_if_forced(root: Path) -> None:
    adapter = next((GOLDEN / "lora").glob("step_*.ckpt"))
    words = ["export", "--adapter", adapter, "--output", "adapter"]
    assert wrote(fishtui(*words, cwd=root).stdout) == ["adapter"]
    refused = fishtui(*words, "--json", cwd=root)
    assert error_in(refused.stdout)["code"] == "exists"
    assert wrote(fishtui(*words, "--force", cwd=root).stdout) == ["adapter"]
