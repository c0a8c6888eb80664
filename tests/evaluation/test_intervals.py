"""Statistics against known cases: intervals cover, a tie is a tie, and the order of lines does not matter."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from fishtui.evaluation.intervals import (
    FEWEST,
    Estimate,
    estimate_difference,
    estimate_mean,
    estimate_share,
    student_quantile,
)

SAMPLES = 400
FINITE = st.floats(-1e6, 1e6)


def test_without_lines_a_mean_is_missing() -> None:
    assert estimate_mean([]) == estimate_mean([None, None]) == estimate_share([]) == Estimate()
    assert estimate_difference({}, {}) == estimate_difference({"a": 1.0}, {"b": 1.0}) == Estimate()
    assert Estimate().is_tie


@pytest.mark.parametrize("values", [[3.0], [3.0, 5.0], [1.0] * (FEWEST - 1)])
def test_few_lines_have_a_mean_and_no_interval(values: list[float]) -> None:
    found = estimate_mean([*values, None])
    assert found == Estimate(sum(values) / len(values), None, None, len(values))
    assert found.is_tie


def test_missing_and_infinite_figures_are_left_out() -> None:
    values = {str(number): float(number) for number in range(10)}
    missing = values | {"3": None, "4": float("nan"), "11": float("inf")}
    assert estimate_mean(missing.values()).lines == 8
    found = estimate_difference(missing, dict.fromkeys(values, 1.0) | {"5": None})
    assert found.lines == 7
    assert found.mean == pytest.approx((0 + 1 + 2 + 6 + 7 + 8 + 9) / 7 - 1)


def test_equal_values_have_an_interval_of_no_width_and_equal_scores_are_a_tie() -> None:
    assert estimate_mean([0.1] * 9) == Estimate(0.1, 0.1, 0.1, 9)
    scores = {str(number): 0.1 * number for number in range(12)}
    assert estimate_difference(scores, scores) == Estimate(0.0, 0.0, 0.0, 12)
    assert estimate_difference(scores, scores).is_tie


@pytest.mark.parametrize("count", [FEWEST, 12, 40, 200])
@pytest.mark.parametrize("draw", [stats.norm.rvs, stats.uniform.rvs, stats.expon.rvs], ids=["normal", "flat", "skewed"])
def test_intervals_cover_the_true_mean(count: int, draw) -> None:
    true = {stats.norm.rvs: 0.0, stats.uniform.rvs: 0.5, stats.expon.rvs: 1.0}[draw]
    random = np.random.default_rng(count)
    found = [estimate_mean(draw(size=count, random_state=random)) for _ in range(SAMPLES)]
    covered = sum(each.low <= true <= each.high for each in found) / SAMPLES
    # Four standard errors below 95 %; the mean of few skewed values is covered less often by any such interval.
    assert (0.85 if draw == stats.expon.rvs and count < 40 else 0.906) <= covered <= 0.995


def test_paired_lines_that_differ_by_noise_alone_are_rarely_called_different() -> None:
    random = np.random.default_rng(5)
    wrong = 0
    for _ in range(SAMPLES):
        hardness = random.normal(0, 3, 15)
        some, others = (
            {str(line): value for line, value in enumerate(hardness + random.normal(0, 1, 15))} for _ in "ab"
        )
        wrong += not estimate_difference(some, others).is_tie
    assert wrong / SAMPLES < 0.09


def test_pairs_find_a_small_difference_that_varies_less_than_the_lines() -> None:
    random = np.random.default_rng(6)
    hardness = random.normal(0, 10, 20)
    base = {str(line): value for line, value in enumerate(hardness)}
    better = {line: value + 1 + random.normal(0, 0.3) for line, value in base.items()}
    found = estimate_difference(better, base)
    assert found.is_above_zero
    assert found.low < 1 < found.high
    assert estimate_difference(base, better).is_below_zero


@given(st.lists(st.one_of(FINITE, st.none()), max_size=40), st.randoms(use_true_random=False))
@settings(max_examples=50, deadline=None)
def test_the_order_of_lines_does_not_matter(values, random) -> None:
    mixed = list(values)
    random.shuffle(mixed)
    assert estimate_mean(mixed) == estimate_mean(values)


@given(st.lists(FINITE, min_size=1, max_size=40))
@settings(max_examples=50, deadline=None)
def test_an_interval_contains_the_mean_and_is_within_the_values(values) -> None:
    found = estimate_mean(values)
    assert found.lines == len(values)
    if found.low is not None:
        slack = 1e-9 * max(map(abs, values))
        assert min(values) - slack <= found.low <= found.mean <= found.high <= max(values) + slack


@given(st.lists(st.tuples(FINITE, FINITE), min_size=FEWEST, max_size=20))
@settings(max_examples=50, deadline=None)
def test_a_difference_turned_around_has_the_same_mean(pairs) -> None:
    some = {str(line): pair[0] for line, pair in enumerate(pairs)}
    others = {str(line): pair[1] for line, pair in enumerate(pairs)}
    there, back = estimate_difference(some, others), estimate_difference(others, some)
    assert there.mean == pytest.approx(-back.mean, rel=1e-9, abs=1e-6)


@pytest.mark.parametrize("freedom", [5, 6, 9, 20, 100])
def test_the_quantile_of_student_is_exact(freedom: int) -> None:
    assert student_quantile(freedom) == pytest.approx(stats.t.ppf(0.975, freedom), abs=1e-3)


@pytest.mark.parametrize(("hits", "count"), [(0, 1), (0, 12), (3, 12), (12, 12), (7, 200)])
def test_the_interval_of_a_share_is_wilsons(hits: int, count: int) -> None:
    found = estimate_share([True] * hits + [False] * (count - hits) + [None])
    known = stats.binomtest(hits, count).proportion_ci(method="wilson")
    assert (found.low, found.high) == pytest.approx((known.low, known.high), abs=1e-9)
    assert found.low <= found.mean <= found.high
    assert found.lines == count
