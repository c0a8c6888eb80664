"""Blind comparison: two versions of one line in random order, decisions next to the evaluation, and their sign test."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Literal

import msgspec

from fishtui.errors import MisuseError
from fishtui.evaluation.record import Evaluation, SpokenLine, Step
from fishtui.evaluation.table import is_usual
from fishtui.files import LineAppender
from fishtui.reading import Damaged, parse_json, read_lines
from fishtui.results.samples import BASE
from fishtui.runs.ledger import Moment
from fishtui.wording import cannot_read, cannot_write

FILE = "comparisons.jsonl"
# Bytes of a line of the file.
LONGEST = 1 << 16
# An earlier tally would influence the decisions that follow.
ENOUGH = 10
Decision = Literal[0, 1, 2]
"""The first version sounds better, or the second, or 0 for no difference."""


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """A decision between two versions of a line, which were played as the `first` and the `second`.

    `sounds` are the hashes of what was heard, in the same order.
    """

    version: Literal[1] = 1
    time: Moment
    line: str
    first: Step
    second: Step
    sounds: tuple[str, str]
    decision: Decision

    @property
    def heard(self) -> frozenset[str]:
        """The two sounds, in any order: a later decision between them replaces an earlier one."""
        return frozenset(self.sounds)

    @property
    def winner(self) -> Step | None:
        """The better version, None without a difference."""
        return (None, self.first, self.second)[self.decision]


@dataclass(frozen=True)
class Trial:
    """Two versions of one line, to play as the first and the second without their names."""

    first: SpokenLine
    second: SpokenLine

    @property
    def heard(self) -> frozenset[str]:
        return frozenset((self.first.sound, self.second.sound))


@dataclass(frozen=True)
class Tally:
    """The decisions between two versions: how often each was better, how often neither, and how many trials exist."""

    one: Step
    other: Step
    wins_of_one: int
    wins_of_other: int
    ties: int
    trials: int

    @property
    def decisions(self) -> int:
        return self.wins_of_one + self.wins_of_other + self.ties

    @property
    def is_shown(self) -> bool:
        """True after `ENOUGH` decisions, or once all trials of a smaller evaluation are decided."""
        return 0 < min(ENOUGH, self.trials) <= self.decisions

    @property
    def p_value(self) -> float:
        """The p-value of the two-sided sign test; decisions without a difference do not count."""
        return sign_test(self.wins_of_one, self.wins_of_other)


def sign_test(wins: int, losses: int) -> float:
    """Return the exact two-sided p-value: the chance of a split at least as uneven if both versions are equal."""
    count = wins + losses
    fewer = sum(math.comb(count, number) for number in range(min(wins, losses) + 1))
    return min(1.0, 2 * fewer / 2**count)


def make_trials(evaluation: Evaluation, one: Step, other: Step, seed: int) -> list[Trial]:
    """Return a trial for each line that both versions spoke as usual, in an order that depends only on the seed.

    Each version comes first in half of the trials, in one more if their number is odd. Raises MisuseError, code
    `same-step`, `no-such-step`, or `nothing-to-compare` if they have no line in common.
    """
    _check(evaluation, one, other)
    pairs = _pairs(evaluation, one, other)
    if not pairs:
        raise MisuseError(
            f"{step_name(one)} and {step_name(other)} have spoken no line in common",
            "Run the evaluation again: it continues where it stopped.",
            code="nothing-to-compare",
        )
    random = Random(f"{seed} {sorted((str(one), str(other)))}")
    pairs.sort(key=lambda pair: pair[0].line.id)
    random.shuffle(pairs)
    turned = [number % 2 == 1 for number in range(len(pairs))]
    random.shuffle(turned)
    return [Trial(*reversed(pair)) if turn else Trial(*pair) for pair, turn in zip(pairs, turned, strict=True)]


def no_recordings(one: Step, other: Step) -> MisuseError:
    """Return the error for two versions that cannot be compared, because no line has the recordings of both."""
    return MisuseError(
        f"{step_name(one)} and {step_name(other)}: no line has both recordings",
        "Run the evaluation again: it speaks the lines whose recordings are missing.",
        code="no-recordings",
    )


def undecided(trials: Iterable[Trial], comparisons: Iterable[Comparison]) -> list[Trial]:
    """Return the trials without a decision."""
    decided = {each.heard for each in comparisons}
    return [trial for trial in trials if trial.heard not in decided]


def count(evaluation: Evaluation, comparisons: Iterable[Comparison], one: Step, other: Step) -> Tally:
    """Return the tally of the decisions on what two versions sound like now."""
    pairs = _pairs(evaluation, one, other)
    sounds = {frozenset((first.sound, second.sound)) for first, second in pairs}
    latest = {each.heard: each for each in comparisons if each.heard in sounds}
    winners = [each.winner for each in latest.values()]
    return Tally(one, other, winners.count(one), winners.count(other), winners.count(None), len(pairs))


def store_decision(results: Path, trial: Trial, decision: Decision) -> Comparison:
    """Append a decision to the file of a training's results, and return it. Raises FishtuiError, `cannot-write`."""
    found = Comparison(
        time=time.time(),
        line=trial.first.line.id,
        first=trial.first.step,
        second=trial.second.step,
        sounds=(trial.first.sound, trial.second.sound),
        decision=decision,
    )
    path = results / FILE
    try:
        lines = LineAppender(path)
    except OSError as error:
        raise cannot_write(path, error) from error
    try:
        lines.write(json.dumps(msgspec.to_builtins(found)).encode())
    finally:
        lines.close()
    return found


def read_comparisons(results: Path) -> list[Comparison]:
    """Return the decisions of a training's results, of each pair of sounds the last one; damaged lines are skipped.

    Raises FishtuiError, code `cannot-read`.
    """
    path = results / FILE
    found: dict[frozenset[str], Comparison] = {}
    try:
        for line in read_lines(path, LONGEST):
            try:
                entry = parse_json(line or b"", Comparison)
            except Damaged:
                continue
            found.pop(entry.heard, None)
            found[entry.heard] = entry
    except FileNotFoundError:
        return []
    except OSError as error:
        raise cannot_read(path, error) from error
    return list(found.values())


def _pairs(evaluation: Evaluation, one: Step, other: Step) -> list[tuple[SpokenLine, SpokenLine]]:
    spoken = _spoken(evaluation, one), _spoken(evaluation, other)
    return [(spoken[0][line], spoken[1][line]) for line in spoken[0] if line in spoken[1]]


def _spoken(evaluation: Evaluation, step: Step) -> dict[str, SpokenLine]:
    return {each.line.id: each for each in evaluation.records.values() if each.step == step and is_usual(each)}


def _check(evaluation: Evaluation, one: Step, other: Step) -> None:
    steps: Sequence[Step] = evaluation.steps
    known = ", ".join(map(str, steps)) or "none"
    for step in (one, other):
        if step not in steps:
            raise MisuseError(
                f"{evaluation.results}: {step_name(step)} has not been evaluated",
                f"Evaluated are: {known}.",
                code="no-such-step",
            )
    if one == other:
        raise MisuseError(f"{step_name(one)} twice", f"Give two of {known}.", code="same-step")


def step_name(step: Step) -> str:
    """Return the name of a version for people: `the base`, `step 100`."""
    return "the base" if step == BASE else f"step {step}"
