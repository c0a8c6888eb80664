"""The course of a blind comparison: which trial is next, what was decided, and the tally."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path

from fishtui.evaluation.blind import (
    Comparison,
    Decision,
    Tally,
    Trial,
    count,
    make_trials,
    no_recordings,
    read_comparisons,
    store_decision,
    undecided,
)
from fishtui.evaluation.record import Evaluation, Step, read_evaluation


@dataclass
class BlindSession:
    """The trials of two versions that were not decided in earlier sessions, in random order; `at` is the next one."""

    evaluation: Evaluation
    one: Step
    other: Step
    trials: list[Trial]
    comparisons: list[Comparison]
    at: int = field(default=0)

    @classmethod
    def open(cls, results: Path, one: int | None, other: int | None) -> BlindSession:
        """Return the comparison of two checkpoints of a training, None for the base.

        Raises FishtuiError; code `no-recordings` if no line can be played.
        """
        evaluation = read_evaluation(results)
        first, second = _step(one), _step(other)
        comparisons = read_comparisons(results)
        trials = make_trials(evaluation, first, second, random.randrange(1 << 32))
        session = cls(evaluation, first, second, [], comparisons)
        playable = [trial for trial in trials if all(path.is_file() for path in session.paths(trial))]
        if not playable:
            raise no_recordings(first, second)
        session.trials = undecided(playable, comparisons)
        return session

    @property
    def trial(self) -> Trial | None:
        """The trial to decide; None if all are decided."""
        return self.trials[self.at] if self.at < len(self.trials) else None

    @property
    def tally(self) -> Tally:
        """The tally of all decisions on these two versions, of earlier sessions too."""
        return count(self.evaluation, self.comparisons, self.one, self.other)

    def paths(self, trial: Trial) -> list[Path]:
        """Return the recordings of a trial, in the order in which they are played."""
        return [self.evaluation.path(each) for each in (trial.first, trial.second)]

    def decide(self, decision: Decision) -> None:
        """Store a decision on the trial, and go on to the next. Raises FishtuiError, code `cannot-write`."""
        trial = self.trial
        if trial is not None:
            self.comparisons.append(store_decision(self.evaluation.results, trial, decision))
            self.at += 1

    def back(self) -> bool:
        """Return to the trial before, whose new decision will replace the old one; False without any trial."""
        self.at -= self.at > 0
        return self.trial is not None


def _step(step: int | None) -> Step:
    return "base" if step is None else step
