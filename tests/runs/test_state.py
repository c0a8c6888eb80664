"""The state of a run, from its folder and its process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from fishtui import settings
from fishtui.errors import MisuseError
from fishtui.project import Project
from fishtui.runs import identity, record, slurm, state
from fishtui.runs.execute import execute
from fishtui.runs.ledger import Ledger
from fishtui.runs.record import LOST, QUEUED, RUNNING, STOPPED, STOPPING, SUCCEEDED
from fishtui.runs.state import Launched, list_run_ids
from tests.builders import time_limit
from tests.expecting import failing

LOADED = settings.Loaded(settings.Settings())


def make(project: Project, stage: str = "pack", **changes: object) -> Path:
    made, folder = record.create(project, stage, [stage], LOADED, {})
    for name, value in changes.items():
        setattr(made, name, value)
    record.save(made, folder)
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_a_run_is_queued_until_a_process_was_started_for_it(project: Project) -> None:
    folder = make(project)
    assert state.read_run(folder).state == QUEUED
    state.write_launched(folder, Launched(process=identity.this_process(), gpus=["GPU-1"]))
    run = state.read_run(folder)
    assert (run.state, run.gpus) == (RUNNING, ("GPU-1",))


def test_a_run_with_a_stop_request_is_stopping_while_its_process_is_alive(project: Project) -> None:
    folder = make(project, process=identity.this_process())
    (folder / state.STOP).touch()
    assert state.read_run(folder).state == STOPPING


def test_a_run_whose_process_was_killed_is_lost_or_stopped_after_a_stop_request(project: Project) -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    folder = make(project, process=identity.identify(process.pid), state=RUNNING)
    assert state.read_run(folder).state == RUNNING
    process.kill()
    process.wait()
    assert state.read_run(folder).state == LOST
    (folder / state.STOP).touch()
    assert state.read_run(folder).state == STOPPED


def test_a_process_that_ended_and_was_not_reaped_is_not_alive(project: Project) -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    found = identity.identify(process.pid)
    assert found is not None
    process.kill()
    assert process.stdout is not None
    # The pipe closes when the process ends.
    process.stdout.read()
    with time_limit(30):
        while identity.is_alive(found):
            pass
    assert process.returncode is None
    process.wait()


@pytest.mark.parametrize(
    "change",
    [{"start_time": 1}, {"boot_id": "another"}, {"space": "pid:[1]"}],
    ids=["pid again", "reboot", "container"],
)
def test_another_process_with_the_same_pid_is_not_the_run(project: Project, change: dict[str, object]) -> None:
    stranger = msgspec.structs.replace(identity.this_process(), **change)
    assert state.read_run(make(project, process=stranger, state=RUNNING)).state == LOST


def test_a_run_of_another_machine_has_its_recorded_state(project: Project) -> None:
    elsewhere = msgspec.structs.replace(identity.this_process(), host="gpu-7", boot_id="another", pid=1, start_time=1)
    run = state.read_run(make(project, process=elsewhere, state=RUNNING))
    assert (run.state, run.remark) == (RUNNING, "on gpu-7")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"id": 3}', b"\xff\x00"])
def test_a_damaged_record_is_reported_and_does_not_hide_other_runs(project: Project, content: bytes) -> None:
    damaged, whole = make(project), make(project, state=SUCCEEDED)
    (damaged / "run.json").write_bytes(content)
    first, second = state.read_runs(project)
    assert (first.id, first.state, first.record.stage) == (damaged.name, LOST, "pack")
    assert "run.json: cannot read" in first.remark
    assert (second.id, second.state) == (whole.name, SUCCEEDED)


def test_ids_sort_in_the_order_of_creation_even_if_the_clock_is_set_back(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = make(project).name
    monkeypatch.setattr(record.time, "time_ns", lambda: 1_000_000_000_000_000_000)
    names = [first, *(make(project, stage).name for stage in ("train", "extract", "pack"))]
    assert names == sorted(names)
    assert len(set(names)) == 4


@pytest.mark.parametrize("newest", ["20991231-235959-999-pack", "99991231-235959-999-pack", "00000000-000000-000-pack"])
def test_runs_start_after_one_with_any_date(project: Project, newest: str) -> None:
    (project.runs / newest).mkdir(parents=True)
    made = [make(project).name for _ in range(2)]
    assert made == sorted(made)
    assert newest.startswith("9999") or newest < made[0]


def test_a_part_of_an_id_names_the_newest_matching_run(project: Project) -> None:
    older, newer, other = make(project), make(project), make(project, "train")
    assert state.find_run(project, "pack").folder == newer
    assert state.find_run(project, older.name).folder == older
    assert state.find_run(project, "last").folder == other
    with failing("no-run", MisuseError):
        state.find_run(project, "merge")
    with failing("empty-name", MisuseError):
        state.find_run(project, "")


def test_a_name_that_is_not_utf_8_survives_in_a_record(project: Project) -> None:
    folder = make(project, command=["extract", "caf\udce9"])
    assert record.read(folder).command == ["extract", "caf\udce9"]


def test_a_run_frees_its_reserve_and_records_its_duration(project: Project) -> None:
    run = execute(project, "pack", ["pack"], lambda reporter: Ledger(done=1), LOADED, {})
    assert (run.state, run.record.exit_status) == (SUCCEEDED, 0)
    assert run.record.took is not None
    assert sorted(path.name for path in run.folder.iterdir()) == ["events.jsonl", "lock", "output.log", "run.json"]
    assert state.read_run(run.folder).record.took == run.record.took


def test_a_run_whose_folder_is_removed_finishes_and_reports_its_outcome(project: Project) -> None:
    def work(reporter: object) -> Ledger:
        for path in next(project.runs.iterdir()).iterdir():
            path.unlink()
        next(project.runs.iterdir()).rmdir()
        return Ledger(done=1)

    run = execute(project, "pack", ["pack"], work, LOADED, {})
    assert state.read_run(run.folder).state == SUCCEEDED


@pytest.mark.parametrize(
    ("job", "expected"),
    [
        (slurm.Job("PENDING", "Resources"), QUEUED),
        (slurm.Job("RUNNING"), RUNNING),
        (slurm.Job("NODE_FAIL"), LOST),
        (slurm.Job("UNKNOWN"), LOST),
    ],
)
def test_a_submitted_run_has_the_state_that_slurm_reports(
    project: Project, job: slurm.Job, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slurm, "query_jobs", lambda numbers: dict.fromkeys(numbers, job))
    run = state.read_run(make(project, sbatch=(), job="12"))
    assert run.state == expected
    assert run.remark.startswith("job 12 ")


def test_a_run_is_not_visible_before_its_record_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = Project(tmp_path)
    seen: list[list[str]] = []
    save = record.save

    def check(made: record.RunRecord, folder: Path) -> None:
        seen.append(list_run_ids(project))
        save(made, folder)

    monkeypatch.setattr(record, "save", check)
    made, folder = record.create(project, "pack", ["pack"], LOADED, {})
    assert seen == [[]]
    assert list_run_ids(project) == [made.id] == [folder.name]
    assert state.read_run(folder).state == QUEUED
