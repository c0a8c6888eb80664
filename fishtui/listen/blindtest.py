"""A blind test in progress: trials whose recordings have random names, and decisions that are stored at once."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from fishtui.audio.faults import AudioError
from fishtui.audio.probe import probe
from fishtui.evaluation.blind import (
    ENOUGH,
    Comparison,
    Decision,
    Tally,
    Trial,
    count,
    make_trials,
    no_recordings,
    read_comparisons,
    step_name,
    store_decision,
    undecided,
)
from fishtui.evaluation.record import Evaluation, Step
from fishtui.files import regular
from fishtui.sanitize import harmless
from fishtui.wording import counted

# Always the same, so that a new start continues in the same order.
SEED = 0
# Below this p-value, a split is called more than chance.
SIGNIFICANT = 0.05


@dataclass(frozen=True)
class File:
    """A recording, and its state when the test began."""

    path: Path
    identity: tuple[int, int, int]

    @property
    def is_unchanged(self) -> bool:
        try:
            return _identity(self.path) == self.identity
        except OSError:
            return False


@dataclass(frozen=True)
class Hidden:
    """A trial under random names, which do not reveal its versions or its place."""

    id: str
    trial: Trial
    files: dict[str, File]

    @property
    def is_playable(self) -> bool:
        """True while both recordings are those that were evaluated."""
        return all(file.is_unchanged for file in self.files.values())


class BlindTest:
    """The blind comparison of two versions in a training's evaluation. Threads may share it."""

    def __init__(self, evaluation: Evaluation, one: Step, other: Step, seed: int = SEED) -> None:
        """Prepare the trials whose recordings can be read.

        Raises MisuseError, code `same-step`, `no-such-step` or `nothing-to-compare` as `make_trials` does, or
        `no-recordings` if no trial is left.
        """
        self.versions = (one, other)
        self._evaluation = evaluation
        self._lock = Lock()
        self._ended = False
        trials = make_trials(evaluation, one, other, seed)
        self._hidden = list(_hide(evaluation, trials))
        self._files = {name: file for each in self._hidden for name, file in each.files.items()}
        self.left_out = len(trials) - len(self._hidden)
        if not self._hidden:
            raise no_recordings(one, other)

    def state(self) -> dict[str, Any]:
        """Return the next trial and the progress as a page may know them. Raises FishtuiError, code `cannot-read`."""
        decided = self._read()
        waiting = self._undecided(decided)
        tally = self._count(decided)
        return {
            "decided": tally.decisions,
            "total": tally.decisions + len(waiting),
            "trial": _describe(waiting[0]) if waiting else None,
            "has_tally": _is_enough(tally, waiting),
        }

    def decide(self, id: str, decision: Decision) -> bool:
        """Store a decision on a trial; False if it is unknown, decided, cannot be played, or the test has ended.

        Raises FishtuiError, code `cannot-read` or `cannot-write`.
        """
        # One at a time, so that a decision that is sent twice is stored once.
        with self._lock:
            found = next((each for each in self._undecided(self._read()) if each.id == id), None)
            if found is None or self._ended:
                return False
            store_decision(self._evaluation.results, found.trial, decision)
            return True

    def recording(self, name: str) -> Path | None:
        """Return the recording with this random name; None without one, or if the file has changed."""
        file = self._files.get(name)
        return file.path if file is not None and file.is_unchanged else None

    @property
    def is_decided(self) -> bool:
        """True if no trial is left."""
        return not self._undecided(self._read())

    def tally(self) -> Tally | None:
        """Return the tally; None while further decisions are needed. Raises FishtuiError, code `cannot-read`."""
        decided = self._read()
        tally = self._count(decided)
        return tally if _is_enough(tally, self._undecided(decided)) else None

    def count(self) -> Tally:
        """Return the tally of any number of decisions. Raises FishtuiError, code `cannot-read`."""
        return self._count(self._read())

    def end(self) -> None:
        """Store no further decision. One that is being stored is complete afterwards."""
        with self._lock:
            self._ended = True

    def _read(self) -> list[Comparison]:
        # Read each time, because the interface may store decisions meanwhile.
        return read_comparisons(self._evaluation.results)

    def _count(self, decided: list[Comparison]) -> Tally:
        return count(self._evaluation, decided, *self.versions)

    def _undecided(self, decided: list[Comparison]) -> list[Hidden]:
        left = {trial.heard for trial in undecided((each.trial for each in self._hidden), decided)}
        return [each for each in self._hidden if each.trial.heard in left and each.is_playable]


def _is_enough(tally: Tally, waiting: list[Hidden]) -> bool:
    """Return True for a tally that can be shown: of enough decisions, or of all that are possible."""
    return tally.is_shown or (tally.decisions > 0 and not waiting)


def describe_tally(tally: Tally) -> list[str]:
    """Return a tally in lines for people."""
    one, other = step_name(tally.one), step_name(tally.other)
    return [
        f"{counted(tally.decisions, 'decision')} on {counted(tally.trials, 'line')}",
        f"{one} is better: {tally.wins_of_one}",
        f"{other} is better: {tally.wins_of_other}",
        f"no difference: {tally.ties}",
        f"p-value: {_p_value(tally.p_value)} (two-sided sign test): {_meaning(tally, one, other)}",
    ]


def describe_progress(tally: Tally) -> str:
    """Return what is left until a tally is shown."""
    needed = min(ENOUGH, tally.trials)
    return f"{tally.decisions} of {counted(tally.trials, 'line')} decided; the tally follows after {needed}."


def _p_value(value: float) -> str:
    return f"{value:.3f}" if value >= 0.001 else "below 0.001"


def _meaning(tally: Tally, one: str, other: str) -> str:
    if tally.p_value >= SIGNIFICANT:
        return "the difference may be chance"
    return f"{one if tally.wins_of_one > tally.wins_of_other else other} is better"


def _hide(evaluation: Evaluation, trials: list[Trial]) -> Iterator[Hidden]:
    for trial in trials:
        try:
            files = {secrets.token_urlsafe(12): _file(evaluation.path(each)) for each in (trial.first, trial.second)}
        except (OSError, AudioError):
            continue
        yield Hidden(secrets.token_urlsafe(12), trial, files)


def _file(path: Path) -> File:
    """Return a recording that can be read. Raises OSError, AudioError."""
    identity = _identity(path)
    probe(path)
    return File(path, identity)


def _identity(path: Path) -> tuple[int, int, int]:
    status = regular(path)
    return status.st_ino, status.st_size, status.st_mtime_ns


def _describe(hidden: Hidden) -> dict[str, Any]:
    line = hidden.trial.first.line
    return {
        "id": hidden.id,
        "text": harmless(line.text),
        "language": line.language,
        "sounds": list(hidden.files),
    }
