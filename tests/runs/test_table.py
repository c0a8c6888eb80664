"""The runs of a project as a table that is read repeatedly."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from fishtui import settings
from fishtui.project import Project
from fishtui.runs import record, scheduler, table
from fishtui.runs.identity import this_process
from fishtui.runs.record import FAILED, LOST, QUEUED, RUNNING, SUCCEEDED, Needs
from fishtui.runs.table import RunTable, nest_runs

LOADED = settings.Loaded(settings.Settings())


def make(project: Project, stage: str = "pack", state: str = SUCCEEDED, **changes: object) -> record.RunRecord:
    made, folder = record.create(project, stage, [stage], LOADED, {}, process=this_process())
    for name, value in {"state": state, **changes}.items():
        setattr(made, name, value)
    record.save(made, folder)
    return made


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_a_project_without_runs_has_an_empty_table(project: Project) -> None:
    assert RunTable(project).read() == []


def test_ended_runs_are_read_once_and_others_each_time(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    make(project)
    running = make(project, state=RUNNING)
    watched = RunTable(project)
    assert [row.state for row in watched.read()] == [SUCCEEDED, RUNNING]
    reads: list[str] = []
    read = table.read_runs_by_id
    monkeypatch.setattr(table, "read_runs_by_id", lambda project, ids: read(project, reads.extend(ids) or ids))
    running.state, running.error = FAILED, "no room"
    record.save(running, project.runs / running.id)
    assert [(row.state, row.text) for row in watched.read()] == [(SUCCEEDED, ""), (FAILED, "no room")]
    assert reads == [running.id]


def test_new_runs_appear_and_removed_ones_disappear(project: Project) -> None:
    watched = RunTable(project)
    first = make(project)
    assert [row.id for row in watched.read()] == [first.id]
    second = make(project)
    shutil.rmtree(project.runs / first.id)
    assert [row.id for row in watched.read()] == [second.id]


def test_speech_and_merges_name_the_model_and_the_text(project: Project) -> None:
    adapter = "/p/results/voice/checkpoints/step_000000020.ckpt"
    long = "word " * 100
    subjects = {
        'voice step 20  "Bread."': {"checkpoint": "/p/checkpoints/mini", "adapter": adapter, "texts": ["Bread."]},
        "mini  2 texts": {"checkpoint": "/p/checkpoints/mini", "adapter": None, "texts": ["One.", "Two."]},
        "voice step 20": {"base": "/p/checkpoints/mini", "adapter": adapter},
        "": {"name": "voice", "adapter": adapter},
        r'mini  "\x1b[31m"': {"checkpoint": "mini", "texts": ["\x1b[31m"]},
    }
    for arguments in subjects.values():
        make(project, "synthesize", arguments=arguments)
    assert [row.subject for row in RunTable(project).read()] == [*subjects]
    # Another program may have written a record.
    make(project, "synthesize", arguments={"texts": 3, "adapter": ["x"], "checkpoint": {}})
    make(project, "synthesize", arguments={"texts": [long]})
    assert len(RunTable(project).read()[-1].subject) < len(long)


def test_a_folder_without_a_record_is_a_lost_run(project: Project) -> None:
    made = make(project)
    (project.runs / made.id / "run.json").write_bytes(b"{")
    (row,) = RunTable(project).read()
    assert (row.state, row.stage, row.ended) == (LOST, "pack", True)
    assert "cannot read" in row.text


def test_a_queued_run_names_its_blocker_and_starts_after_it(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    first = make(project, state=RUNNING, needs=Needs(locks=("data",)))
    made, _ = record.create(project, "train", ["train"], LOADED, {}, needs=Needs(locks=("data",)))
    watched = RunTable(project)
    assert [row.text for row in watched.read()][1] == f"waits for pack {table.short_id(first.id)}"
    started: list[str] = []
    monkeypatch.setattr(scheduler, "start", lambda run, chosen: started.append(run.id))
    first.state = SUCCEEDED
    record.save(first, project.runs / first.id)
    assert [row.state for row in watched.read()] == [SUCCEEDED, QUEUED]
    assert started == [made.id]


def test_the_newest_run_is_first_and_stages_follow_their_pipeline(project: Project) -> None:
    old = make(project)
    pipeline = make(project, "pipeline")
    parts = [make(project, stage, parent=pipeline.id).id for stage in ("extract", "pack")]
    orphan = make(project, parent="gone")
    shown = [(depth, row.id) for depth, row in nest_runs(RunTable(project).read())]
    assert shown == [(0, orphan.id), (0, pipeline.id), (1, parts[0]), (1, parts[1]), (0, old.id)]
