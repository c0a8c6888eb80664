"""The rule by which tokens are drawn from their logits."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from fishtui.errors import MisuseError

# On a CPU a full sort takes ten times as long as the search for this many of the most likely classes.
MOST_LIKELY = 256
# Below the smallest noise other than 0, at which a class that is not kept could be drawn.
LEAST_NOISE = 2.0**-26
# A temperature below this one is greedy in effect, and its quotients overflow.
LEAST_TEMPERATURE = 1e-5


@dataclass(frozen=True)
class RepetitionAware:
    """Repetition-aware sampling (Chen et al. 2024, "VALL-E 2"): a second draw replaces a recently drawn token."""

    window: int
    """Number of frames that it looks back over, without the first frame of all."""
    temperature: float
    """Of the second draw."""
    top_p: float
    """Of the second draw."""


@dataclass(frozen=True)
class Sampling:
    """The rule by which a token is drawn from its logits. Raises MisuseError for values out of range."""

    temperature: float
    """0 is greedy."""
    top_p: float
    """The share of the probability that is kept, most likely tokens first; 0 is greedy, 1 keeps all."""
    repetition_penalty: float = 1.0
    """Factor on the logits of recently drawn tokens; 1 disables it."""
    penalty_window: int = 1
    """Number of frames that the penalty looks back over."""
    residual_candidates: int | None = None
    """Number of codes, from 0, that the codebooks after the first are drawn from; None for all."""
    top_k: int | None = None
    """Number of tokens that are kept, most likely first; None for all."""
    repetition_aware: RepetitionAware | None = None
    """The rule of a second draw for the semantic token; None for none."""

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < float("inf"):
            raise MisuseError(
                f"temperature {self.temperature}: not a number from 0",
                "Use 0 (greedy) or more.",
                code="bad-temperature",
            )
        if not 0 <= self.top_p <= 1:
            raise MisuseError(f"top-p {self.top_p}: not in 0 … 1", "Use a number from 0 to 1.", code="bad-top-p")
        if self.top_k is not None and self.top_k < 1:
            raise MisuseError(f"top-k {self.top_k}: not a number from 1", "Use 1 (greedy) or more.", code="bad-top-k")
        if not 0 < self.repetition_penalty < float("inf"):
            raise MisuseError(
                f"repetition penalty {self.repetition_penalty}: not a number above 0",
                "Use 1 (no penalty) or a little more.",
                code="bad-repetition-penalty",
            )

    @property
    def window(self) -> int:
        """Number of frames that a draw depends on."""
        return self.repetition_aware.window if self.repetition_aware else self.penalty_window

    @property
    def is_random(self) -> bool:
        """False if no draw depends on noise."""
        return self.temperature > 0 or self.repetition_aware is not None

    def draw(self, scores: Tensor, recent: Tensor, noise: Tensor) -> Tensor:
        """Draw one class for each row of logits `scores` (B, classes); int64 (B,).

        `recent` (B, any) holds the classes to penalise, and -1 in empty places. `noise`, of the shape of `scores`, is
        uniform in [0, 1): of the kept classes, the draw is the one with the largest ratio of its probability to
        -ln(noise), so that rounding of the logits rarely changes it.
        """
        return self._drawn(self._penalised(scores.float(), recent), self.temperature, self.top_p, noise)

    def draw_semantic(self, scores: Tensor, recent: Tensor, noise: Tensor, second_noise: Tensor) -> Tensor:
        """Draw as `draw` does, and by the second rule, if there is one, if the class drawn is in `recent`."""
        drawn = self.draw(scores, recent, noise)
        rule = self.repetition_aware
        if rule is None:
            return drawn
        second = self._drawn(scores.float(), rule.temperature, rule.top_p, second_noise)
        # The last class ends speech; it is never in `recent`.
        return torch.where((recent == drawn[:, None]).any(1), second, drawn)

    def _drawn(self, scores: Tensor, temperature: float, top_p: float, noise: Tensor) -> Tensor:
        if temperature == 0:
            return scores.argmax(-1)
        kept = self._kept(scores.softmax(-1), top_p)
        scores = scores.where(kept, -torch.inf) / max(temperature, LEAST_TEMPERATURE)
        return (scores.softmax(-1) / -noise.clamp_min(LEAST_NOISE).log()).argmax(-1)

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

    def _kept(self, probabilities: Tensor, top_p: float) -> Tensor:
        """Return True for the `top_k` most likely classes, whose cumulated probability is at most `top_p`.

        The first one is always kept.
        """
        classes = probabilities.shape[1]
        most = min(self.top_k or classes, classes)
        if most == classes and top_p == 1:
            return torch.ones_like(probabilities, dtype=torch.bool)
        few = min(most, MOST_LIKELY) if probabilities.is_cpu else most
        order, beyond = _ranked(probabilities, few, top_p)
        if few < most and not beyond[:, -1].all():
            order, beyond = _ranked(probabilities, most, top_p)
        beyond[:, 0] = False
        return torch.zeros_like(probabilities, dtype=torch.bool).scatter_(1, order, ~beyond)


def _ranked(probabilities: Tensor, most: int, top_p: float) -> tuple[Tensor, Tensor]:
    """Return the `most` likely classes in order, and True for those whose cumulated probability exceeds `top_p`."""
    if most == probabilities.shape[1]:
        likely, order = probabilities.sort(dim=-1, descending=True, stable=True)
    else:
        likely, order = probabilities.topk(most)
    return order, likely.cumsum(-1) > top_p
