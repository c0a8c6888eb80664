"""Tests of the interface on a real terminal of 80x24: review, training, kill and restart."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from fishtui.catalog.store import Catalog
from fishtui.project import Project
from fishtui.results.checkpoints import list_checkpoints
from fishtui.runs.events import read_events
from fishtui.runs.follow import follow
from fishtui.runs.record import RUNNING, STOPPED, SUCCEEDED
from fishtui.runs.state import read_run, read_runs
from tests import builders, forking

LONGEST = 60.0
# Between two pictures of the terminal, each of which takes a process.
PAUSE = 0.05
SETTINGS = """
[paths]
checkpoint = "{checkpoint}"
[train]
batch_size = 1
max_length = 96
max_steps = 4000
validate_every = 5
learning_rate = 5e-3
device = "cpu"
"""
needs_tmux = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")


class Terminal:
    """The interface in a tmux server of its own, 80 columns by 24 lines."""

    def __init__(self, folder: Path, project: Project) -> None:
        self.tmux = ["tmux", "-S", str(folder / "tmux")]
        self.project = project

    def open(self, wanted: str = "Overview") -> None:
        """Start the interface, and wait for its first screen."""
        line = [sys.executable, "-m", "fishtui", str(self.project.root)]
        subprocess.run([*self.tmux, "new", "-d", "-x", "80", "-y", "24", *line], check=True)
        self.until(wanted)

    def press(self, *keys: str) -> None:
        subprocess.run([*self.tmux, "send-keys", *keys], check=True)

    def leave(self) -> None:
        """Close the dialog. The terminal would combine a key right after escape into Alt+key."""
        self.press("Escape")
        self.until(lambda: "esc back" not in self.screen)

    @property
    def screen(self) -> str:
        shown = subprocess.run([*self.tmux, "capture-pane", "-p"], capture_output=True, text=True, check=False)
        return shown.stdout

    @property
    def loss(self) -> float | None:
        """The smoothed loss above the plot."""
        found = re.search(r"loss \S+ \(~(\d+\.\d+)\)", self.screen)
        return float(found[1]) if found else None

    def until(self, wanted: str | Callable[[], object]) -> None:
        """Wait until the screen shows a text, or a condition is true."""
        end = time.monotonic() + LONGEST
        while not (wanted in self.screen if isinstance(wanted, str) else wanted()):
            assert time.monotonic() < end, f"{wanted} never came:\n{self.screen}"
            time.sleep(PAUSE)

    def kill(self) -> None:
        """`kill -9` the interface and its terminal."""
        pane = subprocess.run([*self.tmux, "list-panes", "-F", "#{pane_pid}"], capture_output=True, text=True)
        for pid in pane.stdout.split():
            os.kill(int(pid), signal.SIGKILL)
        self.end()
        psutil.wait_procs([psutil.Process(int(pid)) for pid in pane.stdout.split() if psutil.pid_exists(int(pid))])

    def end(self) -> None:
        """Close the terminal."""
        subprocess.run([*self.tmux, "kill-server"], capture_output=True, check=False)


@pytest.fixture
def terminal(tmp_path: Path, checkpoint: Path) -> Iterator[Terminal]:
    project = builders.project(tmp_path / "voice", SETTINGS.format(checkpoint=checkpoint))
    for number in range(6):
        builders.write_clip(
            project.root / "data" / "anna" / f"{number}.wav",
            f"This is sentence {number}.",
            builders.tone(0.6, pitch=200 + 10 * number),
        )
    builders.packable(project.root / "data", ["bert"], clips=8)
    assert forking.fishtui("scan", cwd=project.root).returncode == 0
    found = Terminal(tmp_path, project)
    yield found
    found.end()
    for run in read_runs(project):
        if run.state == RUNNING and run.process is not None:
            os.kill(run.process.pid, signal.SIGKILL)


def status_of(project: Project, name: str) -> str:
    with Catalog(project, project.root / "data") as catalog:
        return catalog.value("SELECT status || ':' || coalesce(text, '') FROM clips WHERE name = ?", (name,))


@needs_tmux
def test_clips_are_reviewed_edited_and_undone_on_a_terminal(terminal: Terminal) -> None:
    project = terminal.project
    terminal.open()
    terminal.press("2")
    terminal.until("This is sentence 0.")
    terminal.press("a")
    terminal.until(lambda: status_of(project, "anna/0").startswith("accepted"))
    terminal.press("r")
    terminal.until(lambda: status_of(project, "anna/1").startswith("rejected"))
    terminal.press("u")
    terminal.until(lambda: status_of(project, "anna/1").startswith("open"))
    # The cursor moves to the undone clip.
    terminal.until("▸ i  anna    1")
    terminal.press("g", "e")
    terminal.until("e This is sentence 0.")
    terminal.press("!")
    terminal.until("e This is sentence 0.!")
    terminal.press("Enter")
    terminal.until(lambda: status_of(project, "anna/0").endswith("sentence 0.!"))
    assert (project.root / "data" / "anna" / "0.lab").read_text(encoding="utf-8") == "This is sentence 0.!"
    terminal.kill()
    terminal.open()
    terminal.press("2")
    terminal.until("This is sentence 0.!")
    terminal.press("q")
    terminal.until(lambda: terminal.screen == "")


@needs_tmux
def test_decisions_on_the_screen_survive_a_kill_at_any_moment(terminal: Terminal) -> None:
    project, most = terminal.project, 0
    for wanted in (1, 3, 5):
        terminal.open()
        terminal.press("2")
        terminal.until("This is sentence")
        terminal.press("g", *"aaaaaaaa")
        terminal.until(lambda wanted=wanted: len(accepted(terminal.screen)) >= wanted)
        shown = accepted(terminal.screen)
        terminal.kill()
        assert all(status_of(project, name).startswith("accepted") for name in shown)
        most = max(most, len(shown))
    assert most >= 5


def accepted(screen: str) -> set[str]:
    return {f"{speaker}/{name}" for speaker, name in re.findall(r"✓ +(anna|bert) +(\S+)", screen)}


@needs_tmux
def test_recordings_are_imported_and_scanned_as_the_guide_describes(tmp_path: Path) -> None:
    for number in range(3):
        builders.write_clip(
            tmp_path / "recordings" / "carla" / f"{number}.wav", f"Imported {number}.", builders.tone(0.6)
        )
    project = Project(tmp_path / "voice")
    project.root.mkdir()
    terminal = Terminal(tmp_path, project)
    try:
        terminal.open("create a project here")
        terminal.press("Enter")
        terminal.until("exit status 0")
        terminal.leave()
        terminal.press("i")
        terminal.until("enter run")
        terminal.press(f"{tmp_path}/recordings", "Enter")
        terminal.until("y yes")
        terminal.press("y")
        terminal.until("exit status 0")
        # A screen's key closes the sheet; the import has scanned its clips. The sheet shows their texts too.
        terminal.press("2")
        terminal.until("3 found")
        builders.write_clip(project.root / "data" / "carla" / "late.wav", "A late one.", builders.tone(0.6))
        terminal.press("1")
        terminal.until(lambda: "Overview" in terminal.screen and "found" not in terminal.screen)
        terminal.press("s")
        terminal.until("scanned 4 clips")
        terminal.press("2")
        terminal.until("A late one.")
    finally:
        terminal.end()


@pytest.mark.long
@needs_tmux
def test_a_training_started_from_the_form_outlives_the_interface_and_its_voice_is_played(terminal: Terminal) -> None:
    project = terminal.project
    assert forking.fishtui("pack", cwd=project.root).returncode in (0, 3)
    terminal.open()
    terminal.press("4")
    terminal.until("$ fishtui train voice")
    terminal.press("Tab", "Enter")
    terminal.until(lambda: read_runs(project)[-1].record.stage == "train")
    terminal.until("of 4,000 steps")
    terminal.kill()
    run = read_runs(project)[-1]
    assert run.state == RUNNING
    terminal.open()
    terminal.press("3")
    terminal.until("1 running")
    terminal.until(lambda: terminal.loss is not None)
    first = terminal.loss
    assert first is not None
    terminal.until(lambda: (terminal.loss or first) < first - 0.2)
    terminal.press("s")
    terminal.until("y yes")
    terminal.press("y")
    ended = follow(project, run.folder, lambda event: None)
    assert ended.state == STOPPED
    assert read_run(run.folder).exit_status == 143
    stopped_at = max(saved_steps(project))
    terminal.until("stopped")

    terminal.press("R")
    terminal.until(lambda: read_runs(project)[-1].id != run.id)
    again = read_runs(project)[-1]
    assert again.record.command == ["train", "voice", "--resume"]
    terminal.until(lambda: any(step > stopped_at for step in steps(again.folder)))
    assert stopped_at not in steps(again.folder)
    terminal.press("s")
    terminal.until("y yes")
    terminal.press("y")
    assert follow(project, again.folder, lambda event: None).state == STOPPED

    terminal.press("5")
    terminal.until("STEP")
    terminal.press("m")
    terminal.until("y yes")
    terminal.press("y")
    terminal.until(lambda: read_runs(project)[-1].record.stage == "merge")
    merge = follow(project, read_runs(project)[-1].folder, lambda event: None)
    assert merge.state == SUCCEEDED
    terminal.until("✓ merged")
    terminal.press("y")
    terminal.until("enter synthesize")
    terminal.press("Enter")
    terminal.until(lambda: read_runs(project)[-1].record.stage == "synthesize")
    assert follow(project, read_runs(project)[-1].folder, lambda event: None).state == SUCCEEDED
    terminal.until("1 ready")
    assert list(project.results.rglob("*.wav"))


def saved_steps(project: Project) -> list[int]:
    return [saved.step for saved in list_checkpoints(project.results / "voice" / "checkpoints")]


def steps(folder: Path) -> list[int]:
    """The steps that a training has reported so far."""
    try:
        events = list(read_events(folder / "events.jsonl"))
    except FileNotFoundError:
        return []
    return [event["step"] for event in events if "loss" in event.get("values", {})]
