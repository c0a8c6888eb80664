"""The table of an evaluation as text: columns that fit, and marks where a figure differs from the base."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from textual.content import Content

from fishtui.evaluation.record import Step
from fishtui.evaluation.table import Cell, Column, Row, Table, shown_interval, shown_value
from fishtui.glyphs import MARKED, RECOMMENDED, SIGN

STEP, LINES, LOSS = "step", "lines", "loss"
# Short headings; other columns have their title.
HEADINGS = {
    "failures": "FAILED",
    "errors": "ERRORS",
    "similarity": "SIMILAR",
    "percentile": "RANK",
    "similarity_alone": "SIMILAR ALONE",
    "percentile_alone": "RANK ALONE",
    "distance": "DISTANCE",
    "quality": "QUALITY",
}
# The columns that stay longest where there is little room.
IMPORTANT = (LINES, "errors", "similarity", "failures", LOSS, "quality", "distance", "percentile", "similarity_alone")
# Characters of a step, and before it the mark and the sign.
STEP_WIDTH, SIGNS = 8, 2
GAP = 2
BETTER, WORSE = "+", "-"
TONES = {BETTER: "$text-success", WORSE: "$text-error"}
LEGEND = f"{BETTER} better, {WORSE} worse than the base (95 % interval, paired by line)"


@dataclass(frozen=True)
class Figures:
    """A column with the text of each row: the figure, its mark or a space, and its interval."""

    name: str
    heading: str
    cells: Sequence[tuple[str, str, str]]

    def width(self, with_intervals: bool) -> int:
        """Return the width of the widest cell."""
        return max(len(self.heading), *(len(_joined(cell, with_intervals)) for cell in self.cells), 0)


def sort_names(table: Table) -> list[str]:
    """Return the names of columns that a table can be sorted by."""
    has_loss = any(row.loss is not None for row in table.rows)
    return [STEP, *([LOSS] if has_loss else []), *(column.name for column in table.columns)]


def sort_title(table: Table, name: str) -> str:
    """Return the name of a column for people."""
    titles = {column.name: column.title for column in table.columns}
    return titles.get(name, "validation loss" if name == LOSS else name)


def sorted_rows(table: Table, name: str, is_reversed: bool) -> list[Row]:
    """Return the base, then the checkpoints by a column: the best first, unknown ones last."""
    column = next((each for each in table.columns if each.name == name), None)
    sign = -1 if column is not None and column.better == "higher" else 1

    def value(row: Row) -> float | None:
        found = row.cells[column.name].estimate.mean if column else row.loss if name == LOSS else float(row.step)
        return found if found is not None and math.isfinite(found) else None

    known = [row for row in table.checkpoints if value(row) is not None]
    known.sort(key=lambda row: sign * (value(row) or 0.0), reverse=is_reversed)
    unknown = [row for row in table.checkpoints if value(row) is None]
    return [*([table.base] if table.base else []), *known, *unknown]


def table_text(
    table: Table,
    rows: Sequence[Row],
    width: int,
    *,
    sorted_by: str = STEP,
    recommended: int | None = None,
    remarks: Mapping[Step, str] | None = None,
    marked: Collection[Step] = (),
) -> tuple[str, list[tuple[Step, Content]]]:
    """Return the heading of a table, and its lines by step, all within `width` columns."""
    names = ["base" if row.is_base else f"{row.step:,}" for row in rows]
    left = SIGNS + max([STEP_WIDTH, *map(len, names)])
    figures, with_intervals = _fitting(_figures(table, rows), width - left, sorted_by)
    notes = dict(remarks or {})
    heading = f"{'STEP':>{left}}"
    heading += "".join(f"{each.heading:>{each.width(with_intervals) + GAP - 1}} " for each in figures)
    lines: list[tuple[Step, Content]] = []
    for at, row in enumerate(rows):
        is_chosen = row.step == recommended
        note = "recommended" if is_chosen else notes.get(row.step, "")
        sign = RECOMMENDED if is_chosen else SIGN["warning"] if note else " "
        parts: list[str | tuple[str, str]] = [
            (MARKED if row.step in marked else " ", "bold $text-accent"),
            (sign, "$text-success" if is_chosen else "$text-warning"),
            f"{names[at]:>{left - SIGNS}}",
        ]
        for each in figures:
            value, mark, interval = each.cells[at]
            text = _joined(each.cells[at], with_intervals)
            parts.append(" " * (GAP + each.width(with_intervals) - len(text)) + value)
            parts.append((mark, TONES.get(mark, "")))
            parts.append((interval if with_intervals else "", "dim"))
        used = left + sum(GAP + each.width(with_intervals) for each in figures)
        if note and used + GAP + len(note) <= width:
            parts.append((f"{'':{GAP}}{note}", "$text-success" if is_chosen else "$text-warning"))
        lines.append((row.step, Content.assemble(*parts)))
    return heading[:width], lines


def _joined(cell: tuple[str, str, str], with_intervals: bool) -> str:
    value, mark, interval = cell
    return value + mark + (interval if with_intervals else "")


def _figures(table: Table, rows: Sequence[Row]) -> list[Figures]:
    found = []
    if not all(table.is_complete(row) for row in rows):
        found.append(Figures(LINES, "LINES", [(f"{row.lines}/{table.lines}", " ", "") for row in rows]))
    if any(row.loss is not None for row in rows):
        losses = ["" if row.is_base else "·" if row.loss is None else f"{row.loss:.3f}" for row in rows]
        found.append(Figures(LOSS, "LOSS", [(loss, " ", "") for loss in losses]))
    for column in table.columns:
        cells = [_cell(column, row.cells[column.name]) for row in rows]
        longest = max((len(interval) for _, _, interval in cells), default=0)
        cells = [(value, mark, f" {interval:<{longest}}" if longest else "") for value, mark, interval in cells]
        found.append(Figures(column.name, HEADINGS.get(column.name, column.title.upper()), cells))
    return found


def _cell(column: Column, cell: Cell) -> tuple[str, str, str]:
    mark = " "
    if cell.change is not None and not cell.change.is_tie:
        mark = BETTER if cell.change.is_above_zero == (column.better == "higher") else WORSE
    return shown_value(column, cell.estimate.mean), mark, shown_interval(column, cell.estimate)


def _fitting(figures: Sequence[Figures], width: int, sorted_by: str) -> tuple[list[Figures], bool]:
    """Return the columns that fit into `width`, the most important ones first, and whether intervals fit too."""
    for with_intervals in (True, False):
        if sum(GAP + each.width(with_intervals) for each in figures) + len("  recommended") <= width:
            return list(figures), with_intervals
    order = (sorted_by, *IMPORTANT)
    ranked = sorted(figures, key=lambda each: order.index(each.name) if each.name in order else len(order))
    left = width
    kept = set()
    for each in ranked:
        if (needed := GAP + each.width(False)) <= left:
            left -= needed
            kept.add(each.name)
    return [each for each in figures if each.name in kept], False
