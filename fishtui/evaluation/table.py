"""The table of an evaluation: one row per checkpoint, the base first; each figure with its interval."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple

from fishtui.evaluation.intervals import Estimate, estimate_difference, estimate_mean, estimate_share
from fishtui.evaluation.record import Evaluation, SpokenLine, Step, order_of
from fishtui.results.checkpoints import Checkpoint, read_start_loss
from fishtui.results.samples import BASE

# The judge without whose outcome it is unknown if a line failed.
FAILURES_JUDGE = "failures"
# In tables: an unknown value, and a measured difference.
UNKNOWN, STAR = "·", "*"
Values = Mapping[str, float | None]
"""A figure of each line, by the line's id; None if it was not measured."""


class Column(NamedTuple):
    """A kind of figure: its sources are names of judges' figures, of which the first that any line has is used.

    `scale` multiplies a value before it is shown in `unit`. With `reference`, it is of lines spoken as usual, with the
    speaker's reference; otherwise of lines without it.
    """

    name: str
    title: str
    sources: tuple[str, ...]
    better: Literal["higher", "lower"]
    unit: str
    digits: int
    scale: float = 1.0
    reference: bool = True


FAILURES = Column("failures", "failures", (), "lower", "%", 0, 100.0)
ERRORS = Column("errors", "error rate", ("character_errors", "word_errors"), "lower", "%", 1)
SIMILARITY = Column("similarity", "similarity", ("similarity",), "higher", "", 3)
SIMILARITY_ALONE = SIMILARITY._replace(name="similarity_alone", title="similarity without reference", reference=False)
PERCENTILE = Column("percentile", "percentile", ("similarity_percentile",), "higher", "%", 0)
PERCENTILE_ALONE = PERCENTILE._replace(name="percentile_alone", title="percentile without reference", reference=False)
DISTANCE = Column("distance", "voice distance", ("spectrum",), "lower", "dB", 1)
QUALITY = Column("quality", "quality", ("quality",), "higher", "", 2)
COLUMNS = (
    *(FAILURES, ERRORS, SIMILARITY, PERCENTILE, SIMILARITY_ALONE, PERCENTILE_ALONE),
    *(DISTANCE, QUALITY),
)
"""All columns, in the order in which they are shown; those without any figure are left out."""


@dataclass(frozen=True)
class Cell:
    """A figure of a checkpoint, and its paired difference to the base, None if the base did not speak."""

    estimate: Estimate
    change: Estimate | None = None


@dataclass(frozen=True)
class Row:
    """A checkpoint, or the base: `lines` is the number of lines that it spoke as usual, `loss` its validation loss."""

    step: Step
    loss: float | None
    lines: int
    cells: Mapping[str, Cell]

    @property
    def is_base(self) -> bool:
        return self.step == BASE


@dataclass(frozen=True)
class Table:
    """The rows, the base first and then by step, and the figures of each line that they are computed from.

    `lines` is the number of lines that each checkpoint is to speak, `missing` the judges that were not used and why.
    """

    rows: tuple[Row, ...]
    values: Mapping[tuple[Step, str], Values]
    lines: int
    missing: Mapping[str, str]

    @cached_property
    def base(self) -> Row | None:
        """The row of the base model, None if it did not speak."""
        return next((row for row in self.rows if row.is_base), None)

    @property
    def checkpoints(self) -> list[Row]:
        """The rows of checkpoints, by step."""
        return [row for row in self.rows if not row.is_base]

    @property
    def columns(self) -> list[Column]:
        """The columns that have a figure."""
        return [column for column in COLUMNS if self.has(column)]

    def has(self, column: Column) -> bool:
        """Return True if any row has a figure in a column."""
        return any(row.cells[column.name].estimate.mean is not None for row in self.rows)

    def is_complete(self, row: Row) -> bool:
        """Return True if a checkpoint spoke all lines."""
        return row.lines >= self.lines

    def of_steps(self, steps: Collection[int]) -> Table:
        """Return the table with the base and only these checkpoints."""
        rows = tuple(row for row in self.rows if row.is_base or row.step in steps)
        return replace(self, rows=rows)

    def difference(self, column: Column, row: Row, other: Row) -> Estimate:
        """Return the paired difference of a figure of two rows."""
        return estimate_difference(self.values[row.step, column.name], self.values[other.step, column.name])


def losses_by_step(results: Path, saved: Iterable[Checkpoint]) -> dict[Step, float | None]:
    """Return the validation losses of the base model and of these checkpoints of a training."""
    base = read_start_loss(results / "checkpoints")
    return {BASE: base, **{each.step: each.validation_loss for each in saved}}


def build_table(evaluation: Evaluation, losses: Mapping[Step, float | None]) -> Table:
    """Return the table of an evaluation; `losses` are the validation losses by step."""
    records = list(evaluation.records.values())
    values = {
        (step, column.name): _values(
            [each for each in records if each.step == step], column, figure_source(records, column)
        )
        for step in evaluation.steps
        for column in COLUMNS
    }
    plan = evaluation.plan
    missing = {name: judge.problem for name, judge in plan.missing.items()} if plan else {}
    return make_table(values, losses, len(plan.lines) if plan else 0, missing, _count_spoken(records))


def make_table(
    values: Mapping[tuple[Step, str], Values],
    losses: Mapping[Step, float | None],
    lines: int,
    missing: Mapping[str, str] | None = None,
    spoken: Mapping[Step, int] | None = None,
) -> Table:
    """Return the table of these figures of lines, by step and name of the column; those that are not given are missing.

    `lines` is the number of lines to speak, `spoken` of those that each step spoke, by default all.
    """
    steps = sorted({step for step, _ in values}, key=order_of)
    complete = {(step, column.name): values.get((step, column.name), {}) for step in steps for column in COLUMNS}
    counts = spoken if spoken is not None else dict.fromkeys(steps, lines)
    base = next((step for step in steps if step == BASE), None)
    rows = []
    for step in steps:
        cells = {}
        for column in COLUMNS:
            own = complete[step, column.name]
            others = None if base is None or step == base else complete[base, column.name]
            change = None if others is None else estimate_difference(own, others)
            cells[column.name] = Cell(_estimate(column, own), change)
        rows.append(Row(step, losses.get(step), counts.get(step, 0), cells))
    return Table(tuple(rows), complete, lines, dict(missing or {}))


def is_usual(record: SpokenLine) -> bool:
    """Return True for a line spoken as usual: with the speaker's reference, or without one if the speaker has none."""
    return record.with_reference or not record.line.reference


def _count_spoken(records: list[SpokenLine]) -> dict[Step, int]:
    counts: dict[Step, int] = {}
    for record in records:
        counts[record.step] = counts.get(record.step, 0) + is_usual(record)
    return counts


def _estimate(column: Column, values: Values) -> Estimate:
    if column is FAILURES:
        return estimate_share(None if value is None else value > 0 for value in values.values())
    return estimate_mean(values.values())


def figure_source(records: list[SpokenLine], column: Column) -> Callable[[SpokenLine], float | None]:
    """Return a function that reads a column's figure of a line: always the same figure of the same judge."""
    if column is FAILURES:
        return has_failed
    for name in column.sources:
        judges = dict.fromkeys(
            judge for each in records for judge, outcome in each.judges.items() if name in outcome.figures
        )
        for judge in judges:
            return lambda record: record.judges[judge].figures.get(name) if judge in record.judges else None
    return lambda record: None


def has_failed(record: SpokenLine) -> float | None:
    """Return 1 for a line with a failure, 0 for one without, None if failures were not judged."""
    if record.failures:
        return 1.0
    return 0.0 if FAILURES_JUDGE in record.judges else None


def _values(records: list[SpokenLine], column: Column, source: Callable[[SpokenLine], float | None]) -> Values:
    wanted = is_usual if column.reference else (lambda record: not is_usual(record))
    return {record.line.id: source(record) for record in records if wanted(record)}


def table_dict(table: Table) -> dict[str, Any]:
    """Return a table as JSON values (`schemas/evaluation.schema.json`); figures are in the units of their columns."""
    return {
        "lines": table.lines,
        "missing": dict(table.missing),
        "columns": [
            {"name": each.name, "title": each.title, "unit": each.unit, "better": each.better} for each in table.columns
        ],
        "rows": [
            {
                "step": row.step,
                "validation_loss": row.loss if row.loss is not None and math.isfinite(row.loss) else None,
                "lines": row.lines,
                "figures": {each.name: _cell_dict(each, row.cells[each.name]) for each in table.columns},
            }
            for row in table.rows
        ],
    }


def _cell_dict(column: Column, cell: Cell) -> dict[str, Any]:
    change = None if cell.change is None else _estimate_dict(column, cell.change)
    return {**_estimate_dict(column, cell.estimate), "change": change}


def _estimate_dict(column: Column, found: Estimate) -> dict[str, Any]:
    scaled = {name: getattr(found, name) for name in ("mean", "low", "high")}
    shown = {name: None if value is None else value * column.scale for name, value in scaled.items()}
    return {**shown, "lines": found.lines}


def shown_value(column: Column, value: float | None, signed: bool = False) -> str:
    """Return a value as text in the unit of its column, with a sign for a difference; a dot if it is unknown."""
    if value is None:
        return UNKNOWN
    unit = column.unit if column.unit == "%" else f" {column.unit}" if column.unit else ""
    return f"{value * column.scale:{'+' if signed else ''}.{column.digits}f}{unit}"


def shown_interval(column: Column, found: Estimate, signed: bool = False) -> str:
    """Return an interval as text, such as `2.1 to 4.0%`; empty if it is unknown."""
    if found.low is None or found.high is None:
        return ""
    low = f"{found.low * column.scale:{'+' if signed else ''}.{column.digits}f}"
    return f"{low} to {shown_value(column, found.high, signed)}"


def table_lines(table: Table) -> list[str]:
    """Return a table as lines of aligned text: means, with a star where a difference to the base was measured."""
    columns = table.columns
    titles = [["loss"], *(column.title.split() for column in columns)]
    height = max(map(len, titles))
    heading = [[""] * height, *([""] * (height - len(words)) + words for words in titles)]
    rows = [list(cells) for cells in zip(*heading, strict=True)]
    for row in table.rows:
        name = "base" if row.is_base else f"step {row.step}"
        loss = f"{row.loss:.3f}" if row.loss is not None else UNKNOWN
        rows.append([name, loss, *(_shown_cell(column, row.cells[column.name]) for column in columns)])
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    if any(cell.endswith(STAR) for row in rows for cell in row):
        lines.append(f"{STAR} differs from the base (95 % interval, paired by line)")
    return lines


def _shown_cell(column: Column, cell: Cell) -> str:
    differs = cell.change is not None and not cell.change.is_tie
    return shown_value(column, cell.estimate.mean) + STAR * differs
