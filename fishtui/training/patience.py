"""The stop rule `train.patience`: a training ends when its validations bring no gain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fishtui.wording import counted


class Patience:
    """Counts the validations since the last one in which any measure was better than ever before.

    With `most` of 0 the training is never over.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._best: dict[str, float] = {}
        self._waited = 0

    @property
    def is_over(self) -> bool:
        """True after `most` validations without a gain."""
        return 0 < self.most <= self._waited

    @property
    def reason(self) -> str:
        """The cause of the end in words."""
        validations = counted(self.most, "validation")
        measures = " or ".join(self._best)
        return f"stopped: no gain in {measures} over the last {validations} (train.patience = {self.most})"

    def see(self, measures: Mapping[str, float]) -> None:
        """Count one validation; each of its measures is better the higher it is."""
        gained = [name for name, value in measures.items() if value > self._best.get(name, float("-inf"))]
        self._best |= {name: measures[name] for name in gained}
        self._waited = 0 if gained else self._waited + 1

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint keeps, so that a resumed training counts on."""
        return {"best": dict(self._best), "waited": self._waited}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Count on from the state of a checkpoint."""
        self._best, self._waited = dict(state["best"]), state["waited"]
