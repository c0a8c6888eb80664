"""The runs of a project as a table that is read repeatedly; the record of an ended run is read once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from fishtui.project import Project
from fishtui.runs import scheduler
from fishtui.runs.details import model_of
from fishtui.runs.follow import JOB_INTERVAL
from fishtui.runs.progress import Progress, describe_result, read_progress, seconds_taken
from fishtui.runs.record import FINAL, ID, LOST, QUEUED
from fishtui.runs.state import Run, list_run_ids, read_runs_by_id
from fishtui.runs.subject import describe_subject
from fishtui.runs.tail import read_newest_metrics
from fishtui.sanitize import harmless
from fishtui.stage import TRAIN

LOSSES = ("loss", "validation_loss")


@dataclass(frozen=True)
class RunSummary:
    """A run as a list shows it, without its ledger. All text is sanitized.

    `name` is the name of the training, or empty; `subject` what a run without one is about; `seconds` is its duration,
    or the time since it began. A training has its newest `loss` and `validation_loss`, if there are any, `resumes` if
    it continues an earlier one, and the name of its `model`, if that is not the default one.
    """

    id: str
    folder: Path
    stage: str
    name: str
    parent: str | None
    state: str
    command: str
    is_removable: bool
    created: float
    seconds: float | None
    text: str
    progress: Progress | None = None
    resumes: bool = False
    loss: float | None = None
    validation_loss: float | None = None
    subject: str = ""
    model: str = ""

    @property
    def is_training(self) -> bool:
        return self.stage == TRAIN.name

    @property
    def is_preparing(self) -> bool:
        """True for a training whose progress is that of a part before its first step, such as reading the clips."""
        return self.is_training and self.progress is not None and self.progress.unit != "steps"

    @property
    def short_id(self) -> str:
        """The shortest part of the id that names the run for most commands; see `short_id`."""
        return harmless(short_id(self.id))

    @property
    def ended(self) -> bool:
        return self.state in (*FINAL, LOST)


class RunTable:
    """Reads the runs of a project repeatedly, and starts queued ones that can start. For one thread at a time."""

    def __init__(self, project: Project) -> None:
        self.project = project
        # A final record does not change.
        self._ended: dict[str, RunSummary] = {}
        # Runs whose state only SLURM knows, as last queried, and the time of the next query.
        self._elsewhere: dict[str, Run] = {}
        self._next_query = 0.0

    def read(self) -> list[RunSummary]:
        """Return all runs with their current states, oldest first. Raises FishtuiError."""
        runs = self._unfinished(list_run_ids(self.project))
        if any(run.state == QUEUED and run.is_here and not run.is_elsewhere for run in runs) and scheduler.advance(
            self.project
        ):
            runs = self._unfinished(list_run_ids(self.project))
        waits = scheduler.find_blockers(runs) if any(run.state == QUEUED for run in runs) else {}
        rows = [_summarize(run, waits.get(run.id)) for run in runs]
        self._ended |= {
            row.id: row for row, run in zip(rows, runs, strict=True) if run.record.state in FINAL and run.record.created
        }
        return sorted({**self._ended, **{row.id: row for row in rows}}.values(), key=lambda row: row.id)

    def _unfinished(self, ids: Sequence[str]) -> list[Run]:
        """Return the runs that had not ended, with their current states; forget runs whose folders were removed."""
        there = set(ids)
        self._ended = {run_id: row for run_id, row in self._ended.items() if run_id in there}
        if due := monotonic() >= self._next_query:
            self._elsewhere = {}
        known = {run_id: run for run_id, run in self._elsewhere.items() if run_id in there}
        read = read_runs_by_id(self.project, [each for each in ids if each not in self._ended and each not in known])
        if due:
            self._next_query = monotonic() + JOB_INTERVAL
        self._elsewhere = known | {run.id: run for run in read if run.is_elsewhere}
        return sorted([*known.values(), *read], key=lambda run: run.id)


def nest_runs(rows: Sequence[RunSummary]) -> list[tuple[int, RunSummary]]:
    """Return runs with their depth: the newest first, and below each pipeline (0) its stages (1) in their order."""
    ids = {row.id for row in rows}
    parts: dict[str, list[RunSummary]] = {}
    for row in rows:
        if row.parent in ids:
            parts.setdefault(str(row.parent), []).append(row)
    found: list[tuple[int, RunSummary]] = []
    for row in reversed(rows):
        if row.parent not in ids:
            found.append((0, row))
            found += [(1, part) for part in parts.get(row.id, ())]
    return found


def find_lineage(run: RunSummary, rows: Sequence[RunSummary]) -> list[RunSummary]:
    """Return the runs of one training up to `run`, oldest first: each of them resumes the one before.

    `rows` are all runs in any order.
    """
    earlier = sorted(
        (each for each in rows if each.is_training and each.name == run.name and each.id < run.id),
        key=lambda each: each.id,
    )
    found = [run]
    while run.is_training and run.name and found[0].resumes and earlier:
        found.insert(0, earlier.pop())
    return found


def short_id(run_id: str) -> str:
    """Return the time of day (UTC) in an id: `find_run` accepts it. Other ids are returned unchanged."""
    match = ID.fullmatch(run_id)
    return match[1].split("-")[1] if match else run_id


def _shorten(match: re.Match[str]) -> str:
    return f"{match[2]} {short_id(match[0])}"


def _summarize(run: Run, blocker: str | None) -> RunSummary:
    record = run.record
    is_training = record.stage == TRAIN.name
    metrics = read_newest_metrics(run.folder / "events.jsonl", LOSSES) if is_training else {}
    return RunSummary(
        id=run.id,
        folder=run.folder,
        stage=harmless(record.stage) or "?",
        name=harmless(record.name),
        parent=record.parent,
        state=run.state,
        command=record.shown_command if record.command else "",
        is_removable=run.is_removable,
        created=record.created,
        seconds=seconds_taken(run),
        text=harmless(ID.sub(_shorten, describe_result(run, blocker))),
        progress=read_progress(run),
        resumes="--resume" in record.command or record.arguments.get("resume") is True,
        loss=metrics.get("loss"),
        validation_loss=metrics.get("validation_loss"),
        subject="" if record.name else describe_subject(record.arguments),
        model=model_of(run) if is_training else "",
    )
