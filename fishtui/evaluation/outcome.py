"""The outcome of an evaluation: its records, and the verdict on the checkpoints that still exist."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from fishtui.evaluation.record import Evaluation, read_evaluation
from fishtui.evaluation.table import build_table, losses_by_step
from fishtui.evaluation.verdict import Verdict, judge_table
from fishtui.results.checkpoints import list_checkpoints


class Evaluated(NamedTuple):
    """An evaluation and its verdict."""

    evaluation: Evaluation
    verdict: Verdict


def read_outcome(results: Path) -> Evaluated:
    """Return the evaluation in a training's results, and the verdict. Raises FishtuiError, code `cannot-read`.

    Checkpoints that were removed since they spoke are left out, because they cannot be merged.
    """
    evaluation = read_evaluation(results)
    saved = list_checkpoints(results / "checkpoints")
    table = build_table(evaluation, losses_by_step(results, saved))
    return Evaluated(evaluation, judge_table(table.of_steps({each.step for each in saved})))
