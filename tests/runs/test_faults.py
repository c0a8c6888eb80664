"""Runs under faults from outside: full disks, removed folders, reboots, wrong clocks, torn files, kills."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

from fishtui import settings
from fishtui.project import Project
from fishtui.results.checkpoints import list_checkpoints
from fishtui.runs import record
from fishtui.runs.events import new_event, read_events
from fishtui.runs.record import FAILED, LOST, RUNNING, SUCCEEDED, Needs
from fishtui.runs.state import Run, find_run, read_run, read_runs
from fishtui.training.origin import read_checkpoint
from tests import builders
from tests.builders import PAUSE, SmallDisk, SmallFiles, command, mounted, packable, processes_of, tone, write_clip
from tests.builders import project as make_project
from tests.following import ended, steps, until
from tests.forking import fishtui

pytestmark = pytest.mark.usefixtures("limited")

STEPS = 60
SETTINGS = """
[paths]
checkpoint = "{checkpoint}"
[train]
batch_size = 1
max_length = 96
max_steps = {steps}
validate_every = 20
device = "cpu"
[extract]
device = "cpu"
batch_size = 1
[normalize]
workers = 1
"""
# Bytes for the records of a few runs.
DISK = 512 << 10
Disk = SmallDisk | SmallFiles


@pytest.fixture
def project(tmp_path: Path, checkpoint: Path) -> Project:
    made = make_project(tmp_path / "project", SETTINGS.format(checkpoint=checkpoint, steps=STEPS))
    packable(made.root / "data", clips=4)
    return made


def succeeds(project: Project, *arguments: str) -> str:
    """Return the output of a command that must succeed without messages on stderr."""
    result = fishtui(*arguments, cwd=project.root)
    assert (result.returncode, result.stderr) == (0, ""), (arguments, result.stdout)
    return result.stdout


def launched(project: Project, *arguments: str, **environment: str) -> Run:
    """Start a run from a process of its own, so that `processes_of` finds it."""
    result = builders.fishtui(*arguments, "--detach", "--json", cwd=project.root, **environment)
    assert (result.returncode, result.stderr) == (0, ""), (arguments, result.stdout)
    return find_run(project, json.loads(result.stdout)["id"])


def listed(project: Project) -> dict[str, str]:
    """Return the state of each run that `runs list` shows."""
    return {run["id"]: run["state"] for run in json.loads(succeeds(project, "runs", "list", "--json"))}


def at_step(step: int) -> Callable[[Any], bool]:
    return lambda event: event["kind"] == "metric" and event["step"] >= step


def progressing(event: Any) -> bool:
    return event["kind"] == "progress" and event["done"] > 0


def busy(project: Project) -> Run:
    """Start a run that holds the processor and is alive, but is suspended in the middle of its work."""
    first = write_clip(project.root / "raw" / "0.wav", samples=tone(0.5))
    for number in range(1, 300):
        os.link(first, first.with_name(f"{number}.wav"))
        os.link(first.with_suffix(".lab"), first.with_name(f"{number}.lab"))
    run = until(project, launched(project, "normalize", "raw", "loud"), progressing)
    assert run.process is not None
    os.kill(run.process.pid, signal.SIGSTOP)
    return read_run(run.folder)


def kill(run: Run) -> None:
    assert run.process is not None
    os.kill(run.process.pid, signal.SIGKILL)


def queued_pack(project: Project) -> Path:
    """Queue a run that needs the processor, without starting the queue."""
    _, folder = record.create(
        project,
        "pack",
        ["pack", "--project", str(project.root)],
        settings.load(project.settings_file),
        {},
        needs=Needs(locks=("cpu", "pack")),
    )
    return folder


@pytest.fixture
def disk(project: Project) -> Iterator[Disk]:
    with mounted(project.runs, DISK) as is_mounted:
        yield SmallDisk(project.runs) if is_mounted else SmallFiles()
        for process in processes_of(project.root):
            process.kill()


@pytest.mark.long
def test_a_full_disk_fails_the_run_with_a_clear_error_and_the_next_run_completes_it(
    project: Project, disk: SmallDisk | SmallFiles
) -> None:
    succeeds(project, "pack")
    run = launched(project, "train", "voice")
    running = until(project, run, at_step(5))
    assert running.process is not None
    disk.fill(running.process.pid)
    run = ended(project, run)
    assert (run.state, run.exit_status) == (FAILED, 1)
    problem, _, remedy = (run.record.error or "").partition("\n")
    assert "events.jsonl: cannot write: " in problem
    assert "space" in remedy
    assert "\n" not in remedy
    assert json.loads((run.folder / "run.json").read_bytes())["state"] == FAILED
    assert listed(project)[run.id] == FAILED
    assert problem in succeeds(project, "runs", "show")
    if isinstance(disk, SmallDisk):
        refused = fishtui("pack", "--detach", cwd=project.root)
        assert refused.returncode == 1
        assert "cannot write" in refused.stderr
        assert len(refused.stderr.splitlines()) <= 2
        assert len(listed(project)) == 2
    disk.free()
    succeeds(project, "runs", "rerun")
    again = ended(project, find_run(project, "last"))
    assert again.state == SUCCEEDED
    assert {*steps(run), *steps(again)} == set(range(1, STEPS + 1))


@pytest.mark.long
def test_a_training_whose_folder_is_removed_ends_and_its_follower_too(project: Project) -> None:
    succeeds(project, "pack")
    run = launched(project, "train", "voice")
    queued = launched(project, "pack")
    until(project, run, at_step(3))
    (worker,) = processes_of(run.folder)
    watch = command("runs", "attach", run.id, "--json")
    follower = subprocess.Popen(watch, cwd=project.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert follower.stdout is not None
    # The follower has attached.
    follower.stdout.readline()
    shutil.rmtree(run.folder)
    _, output = follower.communicate(timeout=60)
    assert follower.returncode == 1
    assert "lost" in output
    assert "Traceback" not in output
    assert run.id not in listed(project)
    assert ended(project, queued).state == SUCCEEDED
    assert psutil.wait_procs([worker], timeout=60)[1] == []
    assert set(listed(project).values()) == {SUCCEEDED}
    saved = list_checkpoints(project.results / "voice" / "checkpoints")
    assert saved[-1].step == STEPS
    assert [read_checkpoint(each.path)[0].step for each in saved] == [each.step for each in saved]


def change_identity(run: Run, **changes: Any) -> None:
    """Change the identity of the run's process in its record."""
    path = run.folder / "run.json"
    content = json.loads(path.read_bytes())
    content["process"].update(changes)
    path.write_text(json.dumps(content), encoding="utf-8")


@pytest.mark.long
def test_after_a_reboot_a_run_is_lost_even_if_its_pid_is_reused_and_a_rerun_resumes_it(project: Project) -> None:
    clips = [write_clip(project.root / "data" / "carl" / f"{n:02d}.wav", samples=tone(0.5)) for n in range(20)]
    codes = [clip.with_suffix(".npy") for clip in clips]
    run = until(project, launched(project, "extract"), lambda event: any(path.exists() for path in codes))
    assert run.process is not None
    process = msgspec.to_builtins(run.process)
    # The suspended process is alive and writes nothing meanwhile.
    os.kill(run.process.pid, signal.SIGSTOP)
    for change, state in (({}, RUNNING), ({"start_time": 1}, LOST), ({"boot_id": "before"}, LOST)):
        change_identity(run, **{**process, **change})
        assert listed(project) == {run.id: state}
    kill(run)
    made = {path: path.stat().st_mtime_ns for path in codes if path.exists()}
    assert 0 < len(made) < len(codes)
    succeeds(project, "runs", "rerun")
    again = ended(project, find_run(project, "last"))
    assert again.state == SUCCEEDED
    assert again.record.ledger is not None
    assert again.record.ledger["done"] == len(codes) - len(made)
    assert {path: path.stat().st_mtime_ns for path in made} == made


YESTERDAY = """
import time
now, now_ns = time.time, time.time_ns
time.time = lambda: now() - 86_400
time.time_ns = lambda: now_ns() - 86_400 * 10**9
"""


def altered(folder: Path, code: str) -> str:
    """Return a PYTHONPATH with which Python first runs `code`."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(code, encoding="utf-8")
    return os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))


def test_runs_start_in_the_order_in_which_they_were_queued_even_if_the_clock_is_wrong(
    project: Project, tmp_path: Path
) -> None:
    path = altered(tmp_path / "clock", YESTERDAY)
    first = busy(project)
    waiting = [
        launched(project, "pack"),
        launched(project, "pack", PYTHONPATH=path),
        launched(project, "pack", PYTHONPATH=path),
        launched(project, "pack"),
    ]
    assert waiting[1].record.created < first.record.created - 80_000
    ids = [first.id, *(run.id for run in waiting)]
    assert ids == sorted(ids)
    assert list(listed(project)) == ids
    kill(first)
    done = [ended(project, run) for run in waiting]
    assert {run.state for run in done} == {SUCCEEDED}
    # The clock of the file system is correct.
    written = [(run.folder / "events.jsonl").stat().st_mtime_ns for run in done]
    assert written == sorted(written)
    assert all(0 < run.record.seconds < 80_000 for run in done)


def test_torn_records_are_reported_and_do_not_affect_other_runs(project: Project) -> None:
    succeeds(project, "pack")
    done, running = find_run(project, "last"), busy(project)
    queued, sound = launched(project, "pack"), launched(project, "pack")
    torn = [done.id, running.id, queued.id]
    for share in (0.999, 0.5, 0.01, 0.0):
        for run in (done, running, queued):
            path = run.folder / "run.json"
            os.truncate(path, int(path.stat().st_size * share))
        assert [listed(project)[each] for each in torn] == [LOST] * 3
        assert succeeds(project, "runs", "list").count("run.json: cannot read") == 3
    for each in torn:
        assert "run.json: cannot read" in succeeds(project, "runs", "show", each)
    assert succeeds(project, "runs", "stop", *torn).count("lost") == 3
    # The damaged runs before it no longer hold their locks.
    assert ended(project, sound).state == SUCCEEDED
    assert not (queued.folder / "events.jsonl").exists()
    succeeds(project, "runs", "remove", done.id, queued.id)
    assert set(listed(project)) == {running.id, sound.id}


HOSTILE = "\x1b]0;title\x07\x1b[2J\x9b31mred"


def test_torn_events_and_escape_sequences_do_not_reach_the_terminal(project: Project) -> None:
    succeeds(project, "pack")
    run = find_run(project, "last")
    with (run.folder / "output.log").open("wb") as log:
        log.write(HOSTILE.encode() + b"\n\r\xff\x00 30%\r 60%\nlast\n" + HOSTILE.encode()[:9])
    path = run.folder / "events.jsonl"
    *events, last = path.read_bytes().splitlines(keepends=True)
    hostile = [json.dumps(new_event("note", message=f"noted {HOSTILE}")).encode() + b"\n"]
    hostile += [json.dumps(new_event("warning", message=HOSTILE, item=HOSTILE)).encode() + b"\n"]
    path.write_bytes(b"".join([*events, b'{"version": 1, "ti\n', b"\x00\x1b[2J\n", *hostile, last, last[:30]]))
    content = json.loads((run.folder / "run.json").read_bytes())
    content |= {"error": f"broke {HOSTILE}\nand {HOSTILE}", "state": FAILED, "exit_status": 1, "ledger": None}
    (run.folder / "run.json").write_text(json.dumps(content), encoding="utf-8")
    commands = [["attach"], ["logs"], ["show"], ["list"]]
    for words in [*commands, *([*each, "--json"] for each in commands)]:
        result = fishtui("runs", *words, cwd=project.root)
        assert result.returncode == (1 if "attach" in words else 0)
        printed = result.stdout + result.stderr
        assert not {"\x1b", "\x07", "\x9b", "\x00"} & {*printed}
        assert "Traceback" not in printed
        assert "red" in printed
    attached = fishtui("runs", "attach", "--json", cwd=project.root)
    attached_events = [json.loads(line) for line in attached.stdout.splitlines()]
    assert [event["kind"] for event in attached_events[-4:]] == ["note", "warning", "end", "error"]
    assert "noted " in fishtui("runs", "attach", cwd=project.root).stderr


KILLED = """
import os, signal, sys
from pathlib import Path
from unittest import mock
from fishtui.project import Project
from fishtui.runs import scheduler

place, when = sys.argv[2:]
kept = getattr(scheduler, place)

def killed(*arguments, **options):
    if when == "after":
        kept(*arguments, **options)
    os.kill(os.getpid(), signal.SIGKILL)

with mock.patch.object(scheduler, place, killed):
    scheduler.advance(Project(Path(sys.argv[1])))
"""


@pytest.mark.parametrize(
    ("place", "when"),
    [("start", "before"), ("write_launched", "before"), ("write_launched", "after")],
    ids=["before it starts one", "before it notes that", "before it starts another"],
)
def test_if_the_process_that_starts_runs_is_killed_each_run_still_starts_once(
    project: Project, place: str, when: str
) -> None:
    folders = [queued_pack(project), queued_pack(project)]
    starter = subprocess.run([sys.executable, "-c", KILLED, str(project.root), place, when], timeout=60, check=False)
    assert starter.returncode == -signal.SIGKILL
    for folder in reversed(folders):
        assert ended(project, read_run(folder)).state == SUCCEEDED
    for folder in folders:
        assert [event["kind"] for event in read_events(folder / "events.jsonl")].count("end") == 1
    assert [run.state for run in read_runs(project)] == [SUCCEEDED] * 2


SLOW = """
import time
from importlib import metadata
version = metadata.version

def slow(name):
    time.sleep(0.4)
    return version(name)

metadata.version = slow
"""


def test_a_run_with_two_processes_is_never_shown_as_lost(project: Project, tmp_path: Path) -> None:
    folder = queued_pack(project)
    # A process that was started but not recorded: it has the run and is slow to record that.
    environment = {**os.environ, "FISHTUI_ADOPT": str(folder), "PYTHONPATH": altered(tmp_path / "slow", SLOW)}
    first = subprocess.Popen(command("pack", "--project", project.root), env=environment, stdout=subprocess.DEVNULL)
    while not (folder / "lock").exists():
        assert first.poll() is None
        time.sleep(PAUSE)
    assert ended(project, read_run(folder)).state == SUCCEEDED
    assert first.wait(timeout=60) == 0
    assert [event["kind"] for event in read_events(folder / "events.jsonl")].count("end") == 1
