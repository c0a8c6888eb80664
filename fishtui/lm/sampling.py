"""The rule by which tokens are drawn from their logits."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from fishtui.errors import MisuseError

# On a CPU a full sort takes ten times as long as the search for this many of the most likely classes.
MOST_LIKELY = 256


@dataclass(frozen=True)
class Sampling:
    """The rule by which a token is drawn from its logits. Raises MisuseError for values out of range."""

    temperature: float
    """0 is greedy."""
    top_p: float
    """The share of the probability that is kept, most likely tokens first; 0 is greedy, 1 keeps all."""
    repetition_penalty: float
    """Factor on the logits of recently drawn tokens; 1 disables it."""
    penalty_window: int
    """Number of frames that the penalty looks back over."""
    residual_candidates: int
    """Number of codes, from 0, that the codebooks after the first are drawn from."""

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < float("inf"):
            raise MisuseError(
                f"temperature {self.temperature}: not a number from 0",
                "Use 0 (greedy) or more.",
                code="bad-temperature",
            )
        if not 0 <= self.top_p <= 1:
            raise MisuseError(f"top-p {self.top_p}: not in 0 … 1", "Use a number from 0 to 1.", code="bad-top-p")
        if not 0 < self.repetition_penalty < float("inf"):
            raise MisuseError(
                f"repetition penalty {self.repetition_penalty}: not a number above 0",
                "Use 1 (no penalty) or a little more.",
                code="bad-repetition-penalty",
            )

    def draw(self, scores: Tensor, recent: Tensor, noise: Tensor) -> Tensor:
        """Draw one class for each row of logits `scores` (B, classes); int64 (B,).

        `recent` (B, any) holds the classes to penalise, and -1 in empty places. `noise` (B,) is uniform in [0, 1), in
        float64: the draw is the class at which the cumulated probability exceeds it, in the order of the classes, so
        that rounding of the logits rarely changes it.
        """
        scores = self._penalised(scores.float(), recent)
        if self.temperature == 0:
            return scores.argmax(-1)
        if self.top_p < 1:
            scores = scores.where(self._kept(scores.softmax(-1)), -torch.inf)
        # In float64 the smallest temperature is not 0, and the sum does not grow at a class of probability 0.
        scores = (scores - scores.amax(-1, keepdim=True)).double() / self.temperature
        cumulated = scores.softmax(-1).cumsum(-1)
        drawn = torch.searchsorted(cumulated, noise[:, None] * cumulated[:, -1:], right=True)[:, 0]
        # Logits that are not numbers have no place in the sum.
        return drawn.clamp(max=scores.shape[1] - 1)

    def _penalised(self, scores: Tensor, recent: Tensor) -> Tensor:
        if self.repetition_penalty == 1:
            return scores
        # One more class than there are, for the -1s.
        padded = functional.pad(scores, (0, 1))
        index = recent.remainder(padded.shape[1])
        drawn = padded.gather(1, index)
        penalty = self.repetition_penalty
        padded.scatter_(1, index, torch.where(drawn > 0, drawn / penalty, drawn * penalty))
        return padded[:, :-1]

    def _kept(self, probabilities: Tensor) -> Tensor:
        """Return True for the most likely classes, whose cumulated probability is at most `top_p`, and the first."""
        beyond = None
        if probabilities.is_cpu and probabilities.shape[1] > MOST_LIKELY:
            likely, order = probabilities.topk(MOST_LIKELY)
            beyond = likely.cumsum(-1) > self.top_p
        if beyond is None or not beyond[:, -1].all():
            likely, order = probabilities.sort(dim=-1, descending=True, stable=True)
            beyond = likely.cumsum(-1) > self.top_p
        beyond[:, 0] = False
        return torch.zeros_like(probabilities, dtype=torch.bool).scatter_(1, order, ~beyond)
