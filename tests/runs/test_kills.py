"""Signals to each process of a run, and to two commands that work at once: nothing is lost, and states are true."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from fishtui.catalog.scan import scan
from fishtui.catalog.store import Catalog
from fishtui.errors import SIGNALED
from fishtui.project import Project
from fishtui.runs.events import read_events
from fishtui.runs.record import RUNNING, STOPPED, STOPPING, SUCCEEDED
from fishtui.runs.reporter import Reporter
from fishtui.runs.state import Run, find_run, list_run_ids, read_run
from fishtui.settings import NormalizeSettings, Settings
from fishtui.stages.normalize import normalize
from tests.builders import PAUSE, all_ended, command, snapshot, tone, write_clip
from tests.builders import project as make_project
from tests.following import ended, until
from tests.forking import fishtui
from tests.runs.test_faults import progressing

pytestmark = pytest.mark.usefixtures("limited")

CLIPS = 24
SETTINGS = "[normalize]\nworkers = 1\n"


def recorded(folder: Path) -> Project:
    """A project with recordings to normalize."""
    made = make_project(folder, SETTINGS)
    first = write_clip(made.root / "raw" / "0.wav", samples=tone(0.5))
    for number in range(1, CLIPS):
        os.link(first, first.with_name(f"{number}.wav"))
        os.link(first.with_suffix(".lab"), first.with_name(f"{number}.lab"))
    return made


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return recorded(tmp_path / "project")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The results of an undisturbed run."""
    made = recorded(tmp_path_factory.mktemp("whole"))
    settings = Settings(normalize=NormalizeSettings(workers=1))
    normalize(made, settings, Reporter(), source=made.root / "raw", target=made.root / "loud", clean=False)
    return snapshot(made.root / "loud")


def started(project: Project) -> tuple[subprocess.Popen[str], Run]:
    """Start a stage in the foreground; return its watcher and the run, in the middle of its work."""
    watcher = subprocess.Popen(
        command("normalize", "raw", "loud"),
        cwd=project.root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not list_run_ids(project):
        assert watcher.poll() is None
        time.sleep(PAUSE)
    return watcher, until(project, find_run(project, "last"), progressing)


def members(watcher: subprocess.Popen[str], run: Run) -> dict[str, psutil.Process]:
    """Return the processes of a run by their part in it."""
    assert run.process is not None
    stage = psutil.Process(run.process.pid)
    found = {"watcher": psutil.Process(watcher.pid), "stage": stage}
    for child in stage.children():
        found["tracker" if "resource_tracker" in " ".join(child.cmdline()) else "worker"] = child
    return found


def test_a_killed_worker_and_watcher_do_not_end_a_run(project: Project, whole: dict[str, bytes]) -> None:
    watcher, run = started(project)
    there = members(watcher, run)
    for member in ("worker", "tracker", "watcher"):
        # The run may have ended before.
        with suppress(psutil.NoSuchProcess):
            there[member].kill()
    watcher.communicate(timeout=60)
    run = ended(project, run)
    assert (run.state, run.exit_status) == (SUCCEEDED, 0)
    assert all_ended(run.folder)
    assert snapshot(project.root / "loud") == whole


def test_several_requests_to_end_stop_a_run_once(project: Project, whole: dict[str, bytes]) -> None:
    watcher, run = started(project)
    there = members(watcher, run)
    for member in ("watcher", "stage", "stage", "watcher"):
        with suppress(psutil.NoSuchProcess):
            there[member].terminate()
    watcher.communicate(timeout=60)
    run = ended(project, run)
    assert (run.state, run.exit_status) in ((STOPPED, 143), (SUCCEEDED, 0))
    assert watcher.returncode == run.exit_status
    assert all_ended(run.folder)
    assert [event["kind"] for event in read_events(run.folder / "events.jsonl")].count("end") == 1
    again = fishtui("normalize", "raw", "loud", cwd=project.root)
    assert again.returncode == 0, again.stderr
    assert snapshot(project.root / "loud") == whole


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGQUIT], ids=lambda number: number.name)
def test_a_signal_to_all_processes_of_a_run_stops_it(
    project: Project, whole: dict[str, bytes], number: signal.Signals
) -> None:
    """The quick form of `python -m tests.signalsweep`."""
    watcher, run = started(project)
    there = members(watcher, run)
    for member in ("stage", "worker", "tracker", "stage"):
        with suppress(psutil.NoSuchProcess, KeyError):
            there[member].send_signal(number)
    _, output = watcher.communicate(timeout=60)
    run = ended(project, run)
    assert (run.state, run.exit_status) in ((STOPPED, SIGNALED + number), (SUCCEEDED, 0))
    assert watcher.returncode == run.exit_status
    assert all_ended(run.folder)
    assert "Traceback" not in output + (run.folder / "output.log").read_text(encoding="utf-8")
    assert not list(project.root.rglob("*.partial"))
    again = fishtui("normalize", "raw", "loud", cwd=project.root)
    assert again.returncode == 0, again.stderr
    assert snapshot(project.root / "loud") == whole


def test_a_suspended_run_is_running_and_continues(project: Project, whole: dict[str, bytes]) -> None:
    watcher, run = started(project)
    there = members(watcher, run)
    for process in (there["stage"], there["watcher"]):
        process.suspend()
    assert read_run(run.folder).state == RUNNING
    (project.runs / run.id / "stop").touch()
    assert read_run(run.folder).state == STOPPING
    (project.runs / run.id / "stop").unlink()
    listed = fishtui("runs", "list", cwd=project.root)
    assert "lost" not in listed.stdout
    there["stage"].resume()
    assert ended(project, run).state == SUCCEEDED
    there["watcher"].resume()
    output, _ = watcher.communicate(timeout=60)
    assert watcher.returncode == 0
    assert f"{CLIPS} done" in output
    assert snapshot(project.root / "loud") == whole


def test_two_commands_that_are_killed_while_both_work_leave_a_project_that_the_next_ones_complete(
    project: Project, whole: dict[str, bytes]
) -> None:
    (project.root / "data").symlink_to("loud")
    watcher, run = started(project)
    stage = members(watcher, run)["stage"]
    for _ in range(2):
        scanning = subprocess.Popen(command("scan"), cwd=project.root, stdout=subprocess.DEVNULL)
        while not project.catalog.exists() and scanning.poll() is None:
            time.sleep(PAUSE)
        scanning.kill()
        scanning.wait()
    # It may have ended before.
    with suppress(psutil.NoSuchProcess):
        stage.kill()
    watcher.communicate(timeout=60)
    assert all_ended(run.folder)
    again = fishtui("normalize", "raw", "loud", cwd=project.root)
    assert again.returncode == 0, again.stderr
    assert snapshot(project.root / "loud") == whole
    with Catalog(project, project.root / "data") as catalog:
        scan(catalog, Settings(), Reporter())
        rows = catalog.query("SELECT name, audio_hash, text FROM clips WHERE gone IS NULL ORDER BY name")
        assert catalog.value("PRAGMA integrity_check") == "ok"
    assert {row["name"] for row in rows} == {str(number) for number in range(CLIPS)}
    assert {row["text"] for row in rows} == {"Hello there."}
    assert len({row["audio_hash"] for row in rows}) == 1
