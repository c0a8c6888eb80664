"""The recommendation on synthetic scores: a worse checkpoint is never recommended, and a bad one changes nothing."""

from __future__ import annotations

import random
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fishtui.evaluation.intervals import FEWEST, estimate_difference
from fishtui.evaluation.table import Table, make_table
from fishtui.evaluation.verdict import NONE_BETTER, Verdict, judge_table, verdict_dict

LINES = 20
Scores = Mapping[str, float]
"""Means of the columns of one step."""


def table(
    steps: Mapping[object, Scores], lines: int = LINES, noise: float = 0.02, losses: Mapping[int, float] | None = None
) -> Table:
    """Return a table whose lines differ much, and whose steps differ by their scores and a little noise."""
    values = {}
    for step, scores in steps.items():
        for column, mean in scores.items():
            hardness = np.random.default_rng(len(column)).normal(0, 1, lines)
            drawn = np.random.default_rng([len(column), 7 if step == "base" else step]).normal(0, noise, lines)
            own = drawn - drawn.mean()
            values[step, column] = {str(line): float(mean + hardness[line] + own[line]) for line in range(lines)}
            if column == "failures":
                values[step, column] = {str(line): float(line < mean * lines) for line in range(lines)}
    return make_table(values, losses or {}, lines)


GOOD = {"failures": 0.0, "errors": 5.0, "similarity": 0.8}
BASE = {"failures": 0.0, "errors": 5.0, "similarity": 0.5}


@pytest.mark.parametrize(
    ("steps", "recommended"),
    [
        ({"base": BASE, 100: GOOD, 200: GOOD}, 100),
        ({"base": BASE, 100: BASE, 200: GOOD, 300: GOOD}, 200),
        ({"base": BASE, 100: GOOD | {"errors": 6.0}, 200: GOOD}, 200),
        ({"base": BASE, 100: GOOD | {"failures": 0.5}, 200: GOOD}, 200),
        ({"base": BASE, 100: GOOD, 200: GOOD | {"similarity": 0.9}}, 100),
        # Better than the base in errors: a checkpoint that is as the base is measurably worse than the best.
        ({"base": BASE, 100: GOOD, 200: GOOD | {"errors": 3.0}}, 200),
    ],
)
def test_the_earliest_that_is_not_worse_and_has_gained_is_recommended(steps, recommended: int) -> None:
    found = judge_table(table(steps))
    assert (found.recommended, found.rule, found.none_better) == (recommended, "similarity", False)
    assert not found.against[recommended]


@pytest.mark.parametrize(
    "steps",
    [
        {"base": BASE, 100: BASE, 200: BASE},
        {"base": BASE, 100: GOOD | {"errors": 9.0}, 200: GOOD | {"failures": 0.6}},
        {"base": BASE, 100: BASE | {"similarity": 0.3}},
    ],
)
def test_if_none_is_better_than_the_base_it_is_stated(steps) -> None:
    found = judge_table(table(steps))
    assert found.recommended is None
    assert found.none_better
    assert found.sentences[0] == NONE_BETTER
    assert all(found.against.values())


def test_a_gain_without_reference_counts_unless_there_is_a_loss_with_it() -> None:
    base = BASE | {"similarity_alone": 0.2}
    gained = BASE | {"similarity_alone": 0.6}
    assert judge_table(table({"base": base, 100: gained})).recommended == 100
    assert judge_table(table({"base": base, 100: gained | {"similarity": 0.3}})).recommended is None


@pytest.mark.parametrize(
    ("columns", "rule", "recommended"),
    [
        (["failures", "errors", "distance"], "voice-distance", 200),
        (["failures", "errors"], "failures", 100),
        (["failures"], "failures", 100),
        (["errors"], "failures", 100),
        ([], "validation-loss", 300),
        (["quality"], "validation-loss", 300),
    ],
)
def test_missing_judges_are_replaced_by_the_next_rule_which_is_named(columns, rule: str, recommended: int) -> None:
    base = {"failures": 0.0, "errors": 5.0, "distance": 8.0, "quality": 3.0}
    steps = {"base": base, 100: base, 200: base | {"distance": 5.0}, 300: base | {"distance": 4.0}}
    kept = {step: {name: scores[name] for name in columns} for step, scores in steps.items()}
    found = make_table(
        {(step, "quality"): {} for step in steps} | dict(table(kept).values),
        {100: 2.0, 200: 1.5, 300: 1.2},
        LINES,
        {"similarity": "resemblyzer not installed"},
    )
    verdict = judge_table(found)
    assert (verdict.rule, verdict.recommended) == (rule, recommended)
    assert len(verdict.sentences) >= 2
    assert "resemblyzer" in " ".join(verdict.sentences)


def test_without_figures_and_losses_nothing_is_recommended() -> None:
    assert judge_table(make_table({}, {}, 0)).rule == "nothing"
    assert judge_table(make_table({("base", "errors"): {"a": 1.0}}, {}, 1)).recommended is None
    assert judge_table(make_table({(100, "errors"): {}}, {100: float("nan")}, 1)).recommended is None


def test_without_a_base_the_earliest_that_is_as_good_as_the_best_is_recommended() -> None:
    found = judge_table(table({100: BASE, 200: GOOD, 300: GOOD}))
    assert (found.recommended, found.none_better) == (200, False)
    assert judge_table(table({100: GOOD})).recommended == 100


def test_a_checkpoint_that_has_not_spoken_all_lines_is_not_recommended() -> None:
    whole = table({"base": BASE, 100: GOOD, 200: GOOD})
    part = make_table(whole.values, {}, LINES, spoken={"base": LINES, 100: LINES - 1, 200: LINES})
    assert judge_table(part).recommended == 200
    assert not part.is_complete(part.rows[1])


def test_a_checkpoint_without_error_rates_is_not_recommended() -> None:
    silent = {"failures": 0.0, "similarity": 0.8}
    assert judge_table(table({"base": BASE, 100: silent, 200: GOOD})).recommended == 200


@pytest.mark.parametrize("lines", [1, 2, FEWEST - 1])
def test_few_lines_measure_no_difference(lines: int) -> None:
    found = judge_table(table({"base": BASE, 100: GOOD}, lines))
    assert found.recommended is None
    assert str(FEWEST) in found.sentences[-1]


def test_equal_scores_are_a_tie() -> None:
    same = table({"base": BASE, 100: BASE}, noise=0.0)
    for column in ("failures", "errors", "similarity"):
        assert same.rows[1].cells[column].change.is_tie
    assert judge_table(same).none_better


MEANS = st.fixed_dictionaries(
    {
        "failures": st.sampled_from([0.0, 0.1, 0.5, 1.0]),
        "errors": st.floats(0, 20),
        "similarity": st.floats(0, 1),
    }
)
STEPS = st.lists(MEANS, min_size=1, max_size=5)


def with_base(means: list[Scores], base: Scores) -> dict[object, Scores]:
    return {"base": base, **{100 * number: each for number, each in enumerate(means, start=1)}}


@given(STEPS, MEANS, st.sampled_from([3, 8, 20]), st.sampled_from([0.01, 0.5, 5.0]))
@settings(max_examples=60, deadline=None)
def test_a_measurably_worse_checkpoint_is_never_recommended(means, base, lines: int, noise: float) -> None:
    found = table(with_base(means, base), lines, noise)
    verdict = judge_table(found)
    if verdict.recommended is None:
        assert verdict.none_better
        return
    own = {column: found.values[verdict.recommended, column] for column in ("failures", "errors", "similarity")}
    for column in ("failures", "errors"):
        average = {row.step: np.mean([*found.values[row.step, column].values()]) for row in found.rows}
        best = min(average, key=lambda step: average[step])
        assert not estimate_difference(own[column], found.values[best, column]).is_above_zero
    assert estimate_difference(own["similarity"], found.values["base", "similarity"]).is_above_zero
    # All earlier ones have a reason against them.
    assert all(verdict.against[step] for step in verdict.against if step < verdict.recommended)


@given(STEPS, MEANS, st.integers(0, 5), st.sampled_from(["errors", "failures", "similarity"]))
@settings(max_examples=60, deadline=None)
def test_a_bad_checkpoint_changes_nothing(means, base, place: int, fault: str) -> None:
    steps = with_base(means, base)
    before = judge_table(table(steps))
    step = 100 * place + 50
    bad = {
        "errors": GOOD | {"errors": 40.0, "failures": 1.0},
        "failures": GOOD | {"errors": 30.0, "failures": 1.0},
        "similarity": {"failures": 1.0, "errors": 30.0, "similarity": -1.0},
    }[fault]
    after = judge_table(table({**steps, step: bad}))
    assert after.recommended == before.recommended
    assert after.against[step]


@given(STEPS, MEANS, st.randoms(use_true_random=False))
@settings(max_examples=30, deadline=None)
def test_the_order_of_lines_does_not_change_the_verdict(means, base, shuffle: random.Random) -> None:
    found = table(with_base(means, base))
    mixed = {}
    for key, values in found.values.items():
        pairs = list(values.items())
        shuffle.shuffle(pairs)
        mixed[key] = dict(pairs)
    assert verdict_dict(judge_table(make_table(mixed, {}, LINES))) == verdict_dict(judge_table(found))


def test_reasons_name_the_difference_and_its_interval() -> None:
    found: Verdict = judge_table(table({"base": BASE, 100: GOOD | {"errors": 9.0}, 200: GOOD}))
    (reason,) = found.against[100]
    assert "the base" in reason or "step 200" in reason
    assert "+4.0%" in reason
    assert found.against[200] == ()
