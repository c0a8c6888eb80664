from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from fishtui.training.batches import Plan, PlannedSequence, deal_rows, plan_validation

MAX_LENGTH = 100


@dataclass(frozen=True)
class Clip:
    speaker: str
    length: int


CLIPS = st.lists(st.builds(Clip, st.sampled_from("abc"), st.integers(1, MAX_LENGTH)), max_size=80)
PLANS = st.builds(
    Plan,
    max_length=st.just(MAX_LENGTH),
    clips_per_sequence=st.integers(1, 5),
    batch_size=st.integers(1, 4),
    seed=st.integers(0, 5),
    reference_share=st.sampled_from([0, 0.5, 1]),
)


@given(CLIPS, PLANS, st.integers(0, 3))
def test_an_epoch_has_every_clip_once_whole_and_with_its_speaker(clips, plan: Plan, epoch: int) -> None:
    batches = plan.epoch(clips, epoch)
    seen = Counter(index for batch in batches for row in batch for sequence in row for index in sequence.clips)
    assert seen == Counter(range(len(clips)))
    for batch in batches:
        assert 1 <= len(batch) <= plan.batch_size
        for row in batch:
            assert sum(sequence.length(clips) for sequence in row) <= MAX_LENGTH
            for sequence in row:
                assert 1 <= len(sequence.clips) <= plan.clips_per_sequence
                assert sequence.reference not in sequence.clips
                given = [] if sequence.reference is None else [sequence.reference]
                assert len({clips[index].speaker for index in [*sequence.clips, *given]}) == 1


@given(CLIPS.filter(bool), PLANS, st.integers(0, 40))
def test_batches_from_any_position_are_those_of_an_uninterrupted_training(clips, plan: Plan, done: int) -> None:
    whole = list(islice(plan.batches_from(clips, 0, 0), done + 10))
    epoch, index, _ = whole[done]
    assert list(islice(plan.batches_from(clips, epoch, index), 10)) == whole[done:]
    # The position after a batch may be the end of its epoch.
    if done:
        epoch, index, _ = whole[done - 1]
        assert list(islice(plan.batches_from(clips, epoch, index + 1), 10)) == whole[done:]


def test_epochs_and_seeds_differ_in_order() -> None:
    clips = [Clip("a", 30) for _ in range(30)]
    plans = [Plan(MAX_LENGTH, 4, 2, seed) for seed in (0, 1)]
    orders = [str(plan.epoch(clips, epoch)) for plan in plans for epoch in (0, 1)]
    assert len(set(orders)) == 4


def test_the_share_of_sequences_with_a_reference_is_the_wanted_one() -> None:
    clips = [Clip("a", 5) for _ in range(1000)]

    def sequences(share: float) -> list[PlannedSequence]:
        return [each for batch in Plan(1000, 4, 4, 0, share).epoch(clips, 0) for row in batch for each in row]

    for share in (0, 0.5, 1):
        with_one = [each for each in sequences(share) if each.reference is not None]
        assert abs(len(with_one) / len(sequences(share)) - share) < 0.1
    # A share of 0 leaves the order as it is without references.
    assert [each.clips for each in sequences(0)] == [
        each.clips for batch in Plan(1000, 4, 4, 0).epoch(clips, 0) for row in batch for each in row
    ]


def test_rows_are_well_filled() -> None:
    clips = [Clip("a", 5 + 7 * number % 41) for number in range(1000)]
    rows = [row for batch in Plan(1000, 4, 4, 0).epoch(clips, 0) for row in batch]
    assert sum(clip.length for clip in clips) > 0.95 * 1000 * len(rows)


@given(CLIPS)
def test_validation_has_every_clip_in_its_own_sequence_and_always_the_same_batches(clips) -> None:
    places = list(plan_validation(clips, MAX_LENGTH, 2))
    assert places == list(plan_validation(clips, MAX_LENGTH, 2))
    sequences = [sequence for _, _, rows in places for row in rows for sequence in row]
    assert sorted(index for sequence in sequences for index in sequence.clips) == list(range(len(clips)))
    assert all(len(sequence.clips) == 1 and sequence.reference is None for sequence in sequences)


@given(st.lists(st.just([[0]]), min_size=1, max_size=9), st.integers(1, 5))
def test_each_row_counts_in_one_process_and_every_process_has_a_row(rows, world: int) -> None:
    numbered = [[PlannedSequence([number])] for number in range(len(rows))]
    shares = [deal_rows(numbered, rank, world) for rank in range(world)]
    assert all(share for share, _ in shares)
    assert sorted(row for share, counts in shares if counts for row in share) == numbered
    sizes = [len(share) if counts else 0 for share, counts in shares]
    assert max(sizes) - min(sizes) <= 1
