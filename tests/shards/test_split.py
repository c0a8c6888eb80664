from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fishtui.shards.split import ENOUGH_CLIPS, choose_validation, content_of

CLIPS = st.sets(st.tuples(st.sampled_from(["anna", "bert", "carl"]), st.integers(0, 10_000))).map(
    lambda pairs: sorted((speaker, f"{speaker}/{number}") for speaker, number in pairs)
)


@given(CLIPS, CLIPS)
def test_a_split_stays_when_clips_are_added(before, added) -> None:
    first = choose_validation(before, 0.05)
    second = choose_validation(sorted({*before, *added}), 0.05, frozenset(first))
    assert first <= second


@given(CLIPS)
def test_the_order_of_clips_does_not_matter(clips) -> None:
    assert choose_validation(clips, 0.05) == choose_validation(reversed(clips), 0.05)


@given(CLIPS, st.floats(0.001, 0.3))
def test_each_speaker_with_enough_clips_has_some_in_each_split(clips, share: float) -> None:
    chosen = choose_validation(clips, share)
    for speaker in {speaker for speaker, _ in clips}:
        names = {name for each, name in clips if each == speaker}
        if len(names) >= ENOUGH_CLIPS:
            assert names & chosen
            assert names - chosen


@given(CLIPS, st.floats(0, 1))
def test_each_speaker_has_a_clip_to_train_on(clips, share: float) -> None:
    chosen = choose_validation(clips, share, frozenset(name for _, name in clips))
    assert {speaker for speaker, name in clips if name not in chosen} == {speaker for speaker, _ in clips}


def test_the_only_clip_is_not_held_out() -> None:
    """The hash of this name (case one-clip-held-out) is below the default share."""
    assert choose_validation([("SA", "SA/1"), ("SB", "SB/1")], 0.05) == set()


def test_the_share_holds_overall() -> None:
    clips = [("anna", f"anna/{number}") for number in range(10_000)]
    assert 0.04 < len(choose_validation(clips, 0.05)) / len(clips) < 0.06
    assert choose_validation(clips, 0.0) == set()


@given(CLIPS, st.floats(0, 1), st.integers(1, 30))
def test_copies_of_a_recording_are_never_in_both_splits(clips, share: float, recordings: int) -> None:
    contents = {name: bytes([number % recordings]) for number, (_, name) in enumerate(clips)}
    chosen = choose_validation(clips, share, contents=contents)
    trained = {contents[name] for _, name in clips if name not in chosen}
    assert trained.isdisjoint(contents[name] for name in chosen)
    assert {speaker for speaker, name in clips if name not in chosen} == {speaker for speaker, _ in clips}


@given(CLIPS, st.floats(0, 1))
def test_without_copies_the_contents_do_not_matter(clips, share: float) -> None:
    contents = {name: name.encode() for _, name in clips}
    assert choose_validation(clips, share, contents=contents) == choose_validation(clips, share)


def test_the_content_of_codes_is_that_of_their_values_and_shape() -> None:
    codes = np.arange(20).reshape(10, 2)
    assert content_of(codes) == content_of(codes.astype(np.int16)) == content_of(np.asfortranarray(codes))
    assert len({content_of(each) for each in (codes, codes.reshape(5, 4), codes + 1)}) == 3
