"""Blind comparisons: balanced and seeded trials, decisions that replace each other, and the exact sign test."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from fishtui.errors import MisuseError
from fishtui.evaluation import blind
from fishtui.evaluation.blind import ENOUGH, Tally, count, make_trials, read_comparisons, sign_test, store_decision
from fishtui.evaluation.record import EvaluationWriter, read_evaluation
from tests.evaluation.builders import LINES, evaluated, record
from tests.evaluation.test_record import matches
from tests.expecting import failing


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return evaluated(tmp_path, {"base": 0.3, 100: 0.5, 200: 0.6})


@given(st.integers(0, 12), st.integers(0, 12))
@settings(deadline=None, max_examples=40)
def test_the_p_value_is_that_of_all_splits_counted_one_by_one(wins: int, losses: int) -> None:
    number = min(wins + losses, 14)
    wins = min(wins, number)
    losses = number - wins
    uneven = abs(wins - losses)
    splits = [sum(flips) for flips in itertools.product([0, 1], repeat=number)]
    share = sum(abs(2 * heads - number) >= uneven for heads in splits) / len(splits)
    assert sign_test(wins, losses) == pytest.approx(share)
    assert sign_test(wins, losses) == sign_test(losses, wins)


@pytest.mark.parametrize(("wins", "losses"), [(10, 0), (9, 1), (60, 40), (500, 450)])
def test_the_p_value_is_that_of_the_binomial_test(wins: int, losses: int) -> None:
    assert sign_test(wins, losses) == pytest.approx(stats.binomtest(wins, wins + losses).pvalue)


@pytest.mark.parametrize("seed", range(20))
def test_trials_are_balanced_and_depend_only_on_the_seed(results: Path, seed: int) -> None:
    evaluation = read_evaluation(results)
    trials = make_trials(evaluation, 100, "base", seed)
    assert sorted(trial.first.line.id for trial in trials) == sorted(line.id for line in LINES)
    assert all(trial.first.line == trial.second.line for trial in trials)
    assert sum(trial.first.step == 100 for trial in trials) == len(LINES) // 2
    assert make_trials(evaluation, 100, "base", seed) == trials


def test_the_order_is_random(results: Path) -> None:
    evaluation = read_evaluation(results)
    orders = [tuple(trial.first.step for trial in make_trials(evaluation, 100, 200, seed)) for seed in range(60)]
    lines = [tuple(trial.first.line.id for trial in make_trials(evaluation, 100, 200, seed)) for seed in range(60)]
    assert len(set(orders)) > 30
    assert len(set(lines)) > 55
    # In each place, each of the two comes first about equally often.
    for place in range(len(LINES)):
        assert 15 <= sum(order[place] == 100 for order in orders) <= 45


def test_steps_that_cannot_be_compared_are_refused(results: Path) -> None:
    evaluation = read_evaluation(results)
    with failing("same-step", MisuseError):
        make_trials(evaluation, 100, 100, 1)
    with failing("no-such-step", MisuseError):
        make_trials(evaluation, 100, 700, 1)
    with EvaluationWriter(results) as writer:
        writer.write(record(300, LINES[0], with_reference=False))
    with failing("nothing-to-compare", MisuseError):
        make_trials(read_evaluation(results), 300, "base", 1)


def test_a_tally_is_shown_after_enough_decisions(results: Path) -> None:
    evaluation = read_evaluation(results)
    trials = make_trials(evaluation, 100, "base", 1)
    for number, trial in enumerate(trials, start=1):
        # The checkpoint wins, except for one tie.
        better = 1 if trial.first.step == 100 else 2
        made = store_decision(results, trial, 0 if number == 3 else better)
        matches(json.loads((results / blind.FILE).read_text(encoding="utf-8").splitlines()[-1]), "comparison")
        assert made.winner == (None if number == 3 else 100)
        found = count(evaluation, read_comparisons(results), "base", 100)
        assert found.is_shown is (number >= ENOUGH)
    assert (found.wins_of_one, found.wins_of_other, found.ties, found.decisions) == (0, 9, 1, 10)
    assert found.p_value == pytest.approx(2 / 2**9)
    assert blind.undecided(trials, read_comparisons(results)) == []
    assert len(blind.undecided(make_trials(evaluation, 200, "base", 1), read_comparisons(results))) == len(LINES)


def test_a_small_evaluation_shows_its_tally_when_all_is_decided() -> None:
    assert Tally(100, "base", 2, 1, 0, 3).is_shown
    assert not Tally(100, "base", 1, 1, 0, 3).is_shown
    assert not Tally(100, "base", 0, 0, 0, 0).is_shown
    assert not Tally(100, "base", 9, 0, 0, 50).is_shown


def test_a_repeated_decision_replaces_the_earlier_one_in_any_order_and_seed(results: Path) -> None:
    evaluation = read_evaluation(results)
    for seed in range(5):
        for trial in make_trials(evaluation, 100, "base", seed):
            store_decision(results, trial, 1 if trial.first.step == ("base" if seed == 4 else 100) else 2)
    found = count(evaluation, read_comparisons(results), 100, "base")
    assert (found.wins_of_one, found.wins_of_other) == (0, len(LINES))


def test_decisions_on_sounds_that_changed_do_not_count(results: Path) -> None:
    evaluation = read_evaluation(results)
    trials = make_trials(evaluation, 100, "base", 1)
    for trial in trials:
        store_decision(results, trial, 1)
    with EvaluationWriter(results) as writer:
        writer.write(record(100, LINES[0], adapter="other"))
    found = count(read_evaluation(results), read_comparisons(results), 100, "base")
    assert (found.decisions, found.trials) == (0, 1)


@pytest.mark.parametrize("damage", [b"{}\n", b"\xff\n", b'{"version": 1', b"x" * (1 << 17) + b"\n"])
def test_damaged_decisions_are_skipped(results: Path, damage: bytes) -> None:
    assert read_comparisons(results) == []
    trials = make_trials(read_evaluation(results), 100, "base", 1)
    store_decision(results, trials[0], 1)
    with (results / blind.FILE).open("ab") as file:
        file.write(damage)
    store_decision(results, trials[1], 2)
    assert [each.decision for each in read_comparisons(results)] == [1, 2]


def test_decisions_that_cannot_be_read_or_stored_are_errors(results: Path) -> None:
    trial = make_trials(read_evaluation(results), 100, "base", 1)[0]
    (results / blind.FILE).mkdir()
    with failing("cannot-read"):
        read_comparisons(results)
    with failing("cannot-write"):
        store_decision(results, trial, 1)
