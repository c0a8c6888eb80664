"""Means with 95 % intervals, and paired differences, by bootstrap over lines.

It is the expanded percentile interval of T. Hesterberg, "What Teachers Should Know About the Bootstrap"
(2015): its percentiles are those of the plain bootstrap, moved outwards so that intervals cover also with few lines.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import sqrt
from statistics import NormalDist
from typing import TypeVar

import numpy as np

T = TypeVar("T")

# With fewer lines, even a difference in every line is not significant at 5 %: 2 * 0.5**5 is 0.06.
FEWEST = 6
RESAMPLES = 5_000
# Thousands of lines have fewer resamples, so that a set of them takes at most some megabytes.
LEAST_RESAMPLES = 1_000
LARGEST_DRAW = 5_000_000
SEED = 20_151
NORMAL = NormalDist()
Z = NORMAL.inv_cdf(0.975)


@dataclass(frozen=True)
class Estimate:
    """A mean over `lines` lines, None without any; `low` and `high` are its 95 % interval, None if they are unknown."""

    mean: float | None = None
    low: float | None = None
    high: float | None = None
    lines: int = 0

    @property
    def is_above_zero(self) -> bool:
        """True if the interval is above zero: a difference that was measured."""
        return self.low is not None and self.low > 0

    @property
    def is_below_zero(self) -> bool:
        """True if the interval is below zero."""
        return self.high is not None and self.high < 0

    @property
    def is_tie(self) -> bool:
        """True if the interval contains zero, or is unknown: no difference was measured."""
        return not (self.is_above_zero or self.is_below_zero)


def estimate_mean(values: Iterable[float | None]) -> Estimate:
    """Return the mean of the finite values with its interval; with fewer than `FEWEST` values without an interval.

    The result does not depend on the order of the values.
    """
    # Sorted, because the same resamples of the same values are then drawn in any order.
    found = np.sort(np.array([value for value in values if value is not None], np.float64))
    found = found[np.isfinite(found)]
    count = len(found)
    if not count:
        return Estimate()
    mean = float(found.mean())
    if count < FEWEST:
        return Estimate(mean, lines=count)
    if found[0] == found[-1]:
        mean = float(found[0])
        return Estimate(mean, mean, mean, count)
    tail = NORMAL.cdf(-sqrt(count / (count - 1)) * student_quantile(count - 1))
    low, high = np.quantile(_means_of_resamples(found), [tail, 1 - tail])
    return Estimate(mean, min(float(low), mean), max(float(high), mean), count)


def estimate_share(hits: Iterable[bool | None]) -> Estimate:
    """Return the share of lines that are true, with Wilson's interval.

    A bootstrap would give a share of 0 or 1 an interval of width 0. Source: E. B. Wilson, "Probable Inference" (1927).
    """
    found = [bool(hit) for hit in hits if hit is not None]
    count = len(found)
    if not count:
        return Estimate()
    share = sum(found) / count
    center = (share + Z**2 / (2 * count)) / (1 + Z**2 / count)
    half = Z * sqrt(share * (1 - share) / count + Z**2 / (4 * count**2)) / (1 + Z**2 / count)
    return Estimate(share, max(0.0, min(share, center - half)), min(1.0, max(share, center + half)), count)


def estimate_difference(values: Mapping[T, float | None], others: Mapping[T, float | None]) -> Estimate:
    """Return the mean difference of values minus others over the lines that have both, with its interval."""
    pairs = ((values[line], others[line]) for line in values.keys() & others.keys())
    return estimate_mean(value - other for value, other in pairs if value is not None and other is not None)


def student_quantile(freedom: int) -> float:
    """Return the 97.5 % quantile of Student's t for at least 5 degrees of freedom, to 0.001.

    Source: M. Abramowitz and I. A. Stegun, "Handbook of Mathematical Functions" (1964), 26.7.5.
    """
    terms = (
        (Z**3 + Z) / 4,
        (5 * Z**5 + 16 * Z**3 + 3 * Z) / 96,
        (3 * Z**7 + 19 * Z**5 + 17 * Z**3 - 15 * Z) / 384,
        (79 * Z**9 + 776 * Z**7 + 1482 * Z**5 - 1920 * Z**3 - 945 * Z) / 92_160,
    )
    return Z + sum(term / freedom**power for power, term in enumerate(terms, start=1))


def _means_of_resamples(values: np.ndarray) -> np.ndarray:
    """Return the means of samples of `values` with replacement, float64 of shape (resamples,)."""
    return _draw(len(values)).astype(np.float64) @ values / len(values)


@lru_cache(maxsize=8)
def _draw(count: int) -> np.ndarray:
    """Return how often each of `count` values is in each resample: uint16 of shape (resamples, count).

    All figures of as many lines share them: drawing takes most of the time.
    """
    resamples = max(LEAST_RESAMPLES, min(RESAMPLES, LARGEST_DRAW // count))
    return np.random.default_rng(SEED).multinomial(count, np.full(count, 1 / count), resamples).astype(np.uint16)
