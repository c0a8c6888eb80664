"""The recommendation: the earliest checkpoint that is measurably better than the base, and not measurably worse.

The rule, which the README states: of the checkpoints that spoke all lines, the earliest that is not measurably worse
than the best in errors and failures, and that has gained similarity to the speaker over the base. A difference is
measured if its 95 % interval, paired by line, leaves out zero.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

from fishtui.evaluation.intervals import FEWEST, Estimate
from fishtui.evaluation.record import Step
from fishtui.evaluation.table import (
    DISTANCE,
    ERRORS,
    FAILURES,
    SIMILARITY,
    SIMILARITY_ALONE,
    Column,
    Row,
    Table,
    shown_interval,
    shown_value,
    table_dict,
)
from fishtui.results.samples import BASE
from fishtui.wording import counted

Rule = Literal["similarity", "voice-distance", "failures", "validation-loss", "nothing"]
"""What chose: similarity or voice distance, with errors and failures; errors and failures alone; the lowest loss."""

NONE_BETTER = "No checkpoint is better than the base model."


@dataclass(frozen=True)
class Verdict:
    """The table, and the recommended checkpoint, None without one.

    `sentences` explain it. `against` has for each checkpoint the reasons that count against it. `none_better` is true
    if the checkpoints were compared with the base, and none is better.
    """

    table: Table
    recommended: int | None
    rule: Rule
    sentences: tuple[str, ...]
    against: dict[int, tuple[str, ...]]
    none_better: bool = False


def judge_table(table: Table) -> Verdict:
    """Return the verdict on the checkpoints of a table. It does not depend on the order of lines."""
    rule, gains = _choose_rule(table)
    if rule == "validation-loss":
        return _by_loss(table)
    against = {
        _step(row): (*_unfinished(table, row), *_worse(table, row), *_no_gain(table, row, gains))
        for row in table.checkpoints
    }
    is_compared = table.base is None or table.is_complete(table.base)
    chosen = next((row for row in table.checkpoints if is_compared and not against[_step(row)]), None)
    notes = [*_missing(table, rule), *_few(table)]
    if chosen is None:
        unfinished = [row for row in table.rows if not table.is_complete(row)]
        none_better = table.base is not None and not unfinished
        problem = NONE_BETTER if none_better else _undecided(table, unfinished)
        return Verdict(table, None, rule, (problem, *notes), against, none_better)
    return Verdict(table, _step(chosen), rule, (_recommendation(table, chosen, gains), *notes), against)


def _choose_rule(table: Table) -> tuple[Rule, tuple[Column, ...]]:
    """Return the rule that the figures allow, and the columns of which one must have gained over the base."""
    if not table.checkpoints:
        return "validation-loss", ()
    if columns := tuple(column for column in (SIMILARITY, SIMILARITY_ALONE) if _is_compared(table, column)):
        return "similarity", columns
    if _is_compared(table, DISTANCE):
        return "voice-distance", (DISTANCE,)
    if any(_has_checkpoint(table, column) for column in (FAILURES, ERRORS)):
        return "failures", ()
    return "validation-loss", ()


def _has_checkpoint(table: Table, column: Column) -> bool:
    return any(row.cells[column.name].estimate.lines for row in table.checkpoints)


def _is_compared(table: Table, column: Column) -> bool:
    """Return True if any checkpoint has figures to compare with the base's, or without a base any figures at all."""
    if table.base is None:
        return _has_checkpoint(table, column)
    changes = (row.cells[column.name].change for row in table.checkpoints)
    return any(change is not None and change.lines for change in changes)


def _unfinished(table: Table, row: Row) -> list[str]:
    return [] if table.is_complete(row) else [f"spoke {row.lines} of {counted(table.lines, 'line')}"]


def _undecided(table: Table, unfinished: list[Row]) -> str:
    if not unfinished:
        return "No checkpoint can be recommended."
    names = ", ".join(_name(row.step) for row in unfinished)
    return f"The evaluation is not finished: lines are missing of {names}."


def _worse(table: Table, row: Row) -> list[str]:
    """Return the columns in which a row is measurably worse than the best, in words."""
    found = []
    for column in (FAILURES, ERRORS):
        best = _best(table, column)
        if best is None or best is row:
            continue
        if not row.cells[column.name].estimate.lines:
            found.append(f"{column.title} not measured")
        difference = table.difference(column, row, best)
        if _is_worse(column, difference):
            found.append(f"more {_noun(column)} than {_name(best.step)}: {_shown(column, difference)}")
    return found


def _best(table: Table, column: Column) -> Row | None:
    """Return the row with the best mean, the earliest of equal ones, the base included; only rows with all lines."""
    sign = -1 if column.better == "higher" else 1
    rows = [row for row in table.rows if row.cells[column.name].estimate.mean is not None and table.is_complete(row)]
    return min(rows, key=lambda row: sign * (row.cells[column.name].estimate.mean or 0.0), default=None)


def _is_worse(column: Column, difference: Estimate) -> bool:
    return difference.is_below_zero if column.better == "higher" else difference.is_above_zero


def _is_better(column: Column, difference: Estimate) -> bool:
    return difference.is_above_zero if column.better == "higher" else difference.is_below_zero


def _no_gain(table: Table, row: Row, gains: tuple[Column, ...]) -> list[str]:
    """Return why a row has not gained over the base; without a base, why it is not as good as the best checkpoint.

    It has gained if it is measurably better in one of the columns, and measurably worse in none.
    """
    if not gains:
        return []
    others = {column: table.base or _best(table, column) for column in gains}
    differences = {
        column: table.difference(column, row, other) for column, other in others.items() if other not in (None, row)
    }
    lost = [
        f"{_less(column)} than {_name(others[column])}: {_shown(column, difference)}"
        for column, difference in differences.items()
        if _is_worse(column, difference)
    ]
    if lost or table.base is None:
        return lost
    if any(_is_better(column, difference) for column, difference in differences.items()):
        return []
    shown = ", ".join(f"{column.title} {_shown(column, each)}" for column, each in differences.items() if each.lines)
    return [f"not measurably closer to the speaker than the base{f': {shown}' if shown else ''}"]


def _name(of: Row | Step | None) -> str:
    step = of.step if isinstance(of, Row) else of
    return "the base" if step == BASE else f"step {step}"


def _step(row: Row) -> int:
    return int(row.step)


def _noun(column: Column) -> str:
    return {FAILURES.name: "failures", ERRORS.name: "errors"}[column.name]


def _less(column: Column) -> str:
    return "farther from the speaker" if column.better == "lower" else f"less {column.title}"


def _shown(column: Column, difference: Estimate) -> str:
    interval = shown_interval(column, difference, signed=True)
    value = shown_value(column, difference.mean, signed=True)
    return f"{value} ({interval})" if interval else f"{value} ({counted(difference.lines, 'line')})"


def _recommendation(table: Table, row: Row, gains: tuple[Column, ...]) -> str:
    """Return the sentence that recommends a checkpoint, with what it has gained."""
    start = f"Step {row.step} is recommended: the earliest checkpoint that is not measurably worse than the best"
    if not gains:
        return f"{start} in errors and failures."
    if table.base is None:
        return f"{start} in errors, failures and {gains[0].title}; the base was not compared."
    differences = [(column, table.difference(column, row, table.base)) for column in gains]
    column, gain = next(each for each in differences if _is_better(*each))
    return (
        f"{start} in errors and failures, and is closer to the speaker than the base: "
        f"{column.title} {_shown(column, gain)}."
    )


def _missing(table: Table, rule: Rule) -> list[str]:
    """Return what was not measured, and what replaces it."""
    found = [f"The judge of {name} is missing: {problem}." for name, problem in sorted(table.missing.items())]
    if rule == "voice-distance":
        found.append("Similarity was not measured: the voice distance, a difference of average spectra, replaces it.")
    if rule == "failures":
        found.append("Similarity and voice distance were not measured: only errors and failures decide.")
    if not _has_checkpoint(table, ERRORS):
        found.append("The error rate was not measured.")
    return found


def _few(table: Table) -> list[str]:
    if table.lines >= FEWEST:
        return []
    return [f"{counted(table.lines, 'line').capitalize()}: too few to measure a difference, which takes {FEWEST}."]


def _by_loss(table: Table) -> Verdict:
    """Return the verdict without any figures: the lowest validation loss chooses."""
    validated = [row for row in table.checkpoints if row.loss is not None and math.isfinite(row.loss)]
    best = min(validated, key=lambda row: (row.loss, row.step), default=None)
    notes = _missing(table, "validation-loss") if table.checkpoints else []
    if best is None:
        return Verdict(table, None, "nothing", ("No checkpoint was evaluated or validated.", *notes), {})
    sentence = f"Step {best.step} has the lowest validation loss, {best.loss:.3f}. Nothing was measured on its speech."
    return Verdict(table, _step(best), "validation-loss", (sentence, *notes), {})


def verdict_dict(verdict: Verdict) -> dict[str, Any]:
    """Return a verdict as JSON values (`schemas/evaluation.schema.json`)."""
    return {
        "kind": "verdict",
        "recommended": verdict.recommended,
        "rule": verdict.rule,
        "none_better": verdict.none_better,
        "sentences": list(verdict.sentences),
        "against": {str(step): list(reasons) for step, reasons in verdict.against.items()},
        "table": table_dict(verdict.table),
    }
