"""Reads the evaluations of trainings for the interface, each again only when something that decides it has changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fishtui.errors import FishtuiError
from fishtui.evaluation.record import FILE
from fishtui.files import hash_file
from fishtui.results.checkpoints import Checkpoint

if TYPE_CHECKING:
    from fishtui.evaluation.record import Evaluation, SpokenLine, Step
    from fishtui.evaluation.table import Table
    from fishtui.evaluation.verdict import Verdict

# Why a checkpoint of an evaluation is not among those that can be recommended.
REMOVED, CHANGED = "removed", "changed"


@dataclass(frozen=True)
class Evaluated:
    """An evaluation: its table with all checkpoints that spoke, and the verdict on those that are as they were then.

    `lines` are those of each step, worst first, each with the reason; `real` the recordings of held-out lines by the
    line's id; `remarks` have the reason why a step cannot be recommended.
    """

    evaluation: Evaluation
    table: Table
    verdict: Verdict
    lines: Mapping[Step, Sequence[tuple[SpokenLine, str]]]
    real: Mapping[str, Path]
    remarks: Mapping[Step, str]

    @property
    def sentence(self) -> str:
        """The verdict in one sentence."""
        return self.verdict.sentences[0] if self.table.rows else "Nothing has been spoken yet."


class Evaluations:
    """Reads evaluations repeatedly. For one thread at a time."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[object, Evaluated | FishtuiError]] = {}

    def read(
        self, results: Path, saved: Sequence[Checkpoint], data: Path, text_extension: str
    ) -> Evaluated | FishtuiError | None:
        """Return the evaluation in a training's results, or why it cannot be read; None without one.

        `saved` are the training's checkpoints, `data` the dataset with the recordings of held-out lines.
        """
        files = [results / FILE, *(each.path for each in saved)]
        state = (*(_state_of(path) for path in files), *saved, data, text_extension)
        if state[0] is None:
            return None
        known = self._known.get(results)
        if known is None or known[0] != state:
            try:
                found: Evaluated | FishtuiError = read_evaluated(results, saved, data, text_extension)
            except FishtuiError as error:
                found = error
            known = self._known[results] = (state, found)
        return known[1]


def _state_of(path: Path) -> tuple[int, ...] | None:
    with suppress(OSError):
        status = path.stat()
        return status.st_ino, status.st_size, status.st_mtime_ns
    return None


def read_evaluated(results: Path, saved: Sequence[Checkpoint], data: Path, text_extension: str) -> Evaluated:
    """Return the evaluation in a training's results. Raises FishtuiError, code `cannot-read`."""
    # Imported here, because numpy takes a tenth of a second and most trainings have no evaluation.
    from fishtui.evaluation.ranking import worst_first
    from fishtui.evaluation.record import read_evaluation
    from fishtui.evaluation.report import real_recordings
    from fishtui.evaluation.table import build_table, losses_by_step
    from fishtui.evaluation.verdict import judge_table

    evaluation = read_evaluation(results)
    table = build_table(evaluation, losses_by_step(results, saved))
    remarks = dict(_remarks(evaluation, saved))
    real = real_recordings(data, text_extension)
    return Evaluated(
        evaluation,
        table,
        judge_table(table.of_steps({each.step for each in saved} - remarks.keys())),
        {step: worst_first(evaluation, step) for step in evaluation.steps},
        {line.id: path for line in evaluation.lines if (path := real(line)) is not None},
        remarks,
    )


def _remarks(evaluation: Evaluation, saved: Sequence[Checkpoint]) -> Iterator[tuple[Step, str]]:
    paths = {each.step: each.path for each in saved}
    first: dict[Step, float] = {}
    for key, record in evaluation.records.items():
        first[key.step] = min(first.get(key.step, record.time), record.time)
    for step, spoken in first.items():
        if not isinstance(step, int):
            continue
        path = paths.get(step)
        try:
            # A hash takes time, so it is only computed of a file that was written after it spoke.
            if path is None:
                yield step, REMOVED
            elif path.stat().st_mtime > spoken and hash_file(path) != evaluation.adapter(step):
                yield step, CHANGED
        except OSError:
            yield step, REMOVED
