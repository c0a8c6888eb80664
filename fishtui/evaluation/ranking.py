"""The lines of a checkpoint, worst first, each with the reason."""

from __future__ import annotations

from fishtui.evaluation.record import Evaluation, SpokenLine, Step
from fishtui.evaluation.table import ERRORS, SIMILARITY, figure_source, is_usual


def worst_first(evaluation: Evaluation, step: Step) -> list[tuple[SpokenLine, str]]:
    """Return the lines that a step spoke as usual, worst first, each with the reason, empty if it is fine.

    Lines with more failures come first, then those with more errors, then those less similar to the speaker.
    """
    records = list(evaluation.records.values())
    errors, similarity = figure_source(records, ERRORS), figure_source(records, SIMILARITY)
    order = {line.id: place for place, line in enumerate(evaluation.lines)}

    def rank(record: SpokenLine) -> tuple[float, float, float, int]:
        return -len(record.failures), -(errors(record) or 0.0), similarity(record) or 0.0, order[record.line.id]

    own = sorted((each for each in records if each.step == step and is_usual(each)), key=rank)
    return [(record, describe(record, errors(record))) for record in own]


def lines_worst_first(evaluation: Evaluation) -> list[str]:
    """Return the ids of all lines, worst first: by failures, and then errors, of all checkpoints and the base."""
    records = list(evaluation.records.values())
    errors = figure_source(records, ERRORS)
    badness: dict[str, tuple[int, float]] = {line.id: (0, 0.0) for line in evaluation.lines}
    for record in records:
        if is_usual(record):
            failures, wrong = badness[record.line.id]
            badness[record.line.id] = (failures - len(record.failures), wrong - (errors(record) or 0.0))
    return sorted(badness, key=lambda line: badness[line])


def describe(record: SpokenLine, errors: float | None = None) -> str:
    """Return the failures of a spoken line in words, and what was heard if it has errors."""
    parts = [": ".join(filter(None, [code.replace("-", " "), detail])) for code, detail in record.failures]
    heard = next((outcome.heard for outcome in record.judges.values() if outcome.heard), "")
    return "; ".join([*parts, f'heard: "{heard}"'] if heard and errors else parts)
