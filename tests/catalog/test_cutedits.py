"""Moving the ends of clips, splitting and merging: exact samples, and undo to the byte."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from fishtui.catalog import filechanges
from fishtui.catalog.actions import review, tag, undo
from fishtui.catalog.cutedits import merge, move_ends, split
from fishtui.catalog.cuts import carry_cuts, cut_of
from fishtui.catalog.filechanges import settle
from fishtui.catalog.findings import mark_drafts
from fishtui.catalog.fixing import fix
from fishtui.catalog.lookup import find_rows
from fishtui.catalog.recognitions import Draft, recognized_clip, store_drafts
from fishtui.catalog.splittext import join_texts, split_text
from fishtui.errors import DataError, MisuseError
from fishtui.runs.reporter import Reporter
from tests.builders import snapshot, write_codes
from tests.catalog.conftest import Dataset
from tests.cutclips import FIRST, PLACES, RATE, SECOND, cut_talk
from tests.expecting import failing

NEW = "ANNA/talk_00002000_00003000"


@pytest.fixture
def talk(dataset: Dataset) -> Dataset:
    """Two clips of a recording of 6 s, with transcripts."""
    cut_talk(dataset.catalog, dataset.settings)
    return dataset


def samples_of(dataset: Dataset, name: str) -> np.ndarray:
    return soundfile.read(dataset.data / f"{name}.flac", dtype="int16")[0]


def original(dataset: Dataset, start: float, end: float) -> np.ndarray:
    samples = soundfile.read(dataset.catalog.project.root / "recordings" / "talk.wav", dtype="int16")[0]
    return samples[round(start * RATE) : round(end * RATE)]


def names(dataset: Dataset) -> list[str]:
    return [row["name"] for row in dataset.catalog.query("SELECT name FROM clips WHERE gone IS NULL ORDER BY name")]


def check_unchanged_by_scan(dataset: Dataset) -> None:
    before = names(dataset)
    result = dataset.scan()
    assert (result.new, result.changed, result.gone, names(dataset)) == (0, 0, 0, before)


def test_moved_ends_have_the_samples_of_the_recording(talk: Dataset) -> None:
    before = snapshot(talk.data)
    clip = talk.id(FIRST)
    change = move_ends(talk.catalog, talk.settings, clip, start=-0.1, end=0.01)
    np.testing.assert_array_equal(samples_of(talk, FIRST), original(talk, 0.9, 3.01))
    assert cut_of(talk.catalog, talk.row(FIRST)["audio_hash"]) == change.cuts[0]
    assert (change.cuts[0].start, change.cuts[0].end) == (0.9, 3.01)
    assert talk.row(FIRST)["duration"] == pytest.approx(2.11)
    assert (talk.data / f"{FIRST}.lab").read_bytes() == before[f"{FIRST}.lab"]
    check_unchanged_by_scan(talk)
    assert undo(talk.catalog, talk.settings) == 1
    assert snapshot(talk.data) == before
    assert cut_of(talk.catalog, talk.row(FIRST)["audio_hash"]) is not None


def test_a_move_and_its_reverse_give_the_same_bytes(talk: Dataset) -> None:
    before = snapshot(talk.data)
    clip = talk.id(FIRST)
    for step in (0.01, 0.1, -0.1, -0.01):
        move_ends(talk.catalog, talk.settings, clip, start=step, end=-step)
    assert snapshot(talk.data) == before


def test_ends_stay_within_the_recording_and_apart(talk: Dataset) -> None:
    clip = talk.id(SECOND)
    assert move_ends(talk.catalog, talk.settings, clip, end=5.0).cuts[0].end == 6.0
    with failing("recording-ends", MisuseError):
        move_ends(talk.catalog, talk.settings, clip, end=0.1)
    with failing("clip-too-short", MisuseError):
        move_ends(talk.catalog, talk.settings, clip, start=2.75)
    assert move_ends(talk.catalog, talk.settings, clip, start=-1.0, dry_run=True).overlaps == (FIRST,)


def test_a_split_makes_two_clips_and_undo_one(talk: Dataset) -> None:
    before = snapshot(talk.data)
    clip = talk.id(FIRST)
    review(talk.catalog, [clip], "accepted", "good")
    change = split(talk.catalog, talk.settings, clip, 1.0)
    assert change.others == (NEW,)
    np.testing.assert_array_equal(samples_of(talk, FIRST), original(talk, 1.0, 2.0))
    np.testing.assert_array_equal(samples_of(talk, NEW), original(talk, 2.0, 3.0))
    assert (talk.data / f"{FIRST}.lab").read_text() == "One two three.\n"
    assert (talk.data / f"{NEW}.lab").read_text() == "Four five six.\n"
    assert (talk.row(FIRST)["status"], talk.row(NEW)["status"]) == ("open", "open")
    assert talk.row(NEW)["speaker"] == "ANNA"
    check_unchanged_by_scan(talk)
    # Undone by either of its clips.
    assert undo(talk.catalog, talk.settings, [talk.id(NEW)]) == 2
    assert snapshot(talk.data) == before
    assert (talk.row(FIRST)["status"], talk.row(FIRST)["note"]) == ("accepted", "good")
    assert names(talk) == sorted(PLACES)
    check_unchanged_by_scan(talk)
    # The name is free again.
    assert split(talk.catalog, talk.settings, clip, 1.0).others == (NEW,)
    assert NEW in names(talk)


def test_a_split_is_undone_only_after_later_changes_of_its_clips(talk: Dataset) -> None:
    clip = talk.id(FIRST)
    before = snapshot(talk.data)
    split(talk.catalog, talk.settings, clip, 1.0)
    move_ends(talk.catalog, talk.settings, talk.id(NEW), start=0.01)
    with failing("not-undone", DataError):
        undo(talk.catalog, talk.settings, [clip])
    assert undo(talk.catalog, talk.settings) == 1
    assert undo(talk.catalog, talk.settings) == 2
    assert snapshot(talk.data) == before


def test_a_merge_joins_sound_texts_and_tags_and_undo_restores_both(talk: Dataset) -> None:
    clip, other = talk.id(FIRST), talk.id(SECOND)
    write_codes(talk.data / f"{SECOND}.npy")
    review(talk.catalog, [other], "accepted")
    tag(talk.catalog, [other], ["loud"])
    talk.scan()
    before = snapshot(talk.data)
    change = merge(talk.catalog, talk.settings, clip)
    assert change.others == (SECOND,)
    np.testing.assert_array_equal(samples_of(talk, FIRST), original(talk, 1.0, 5.0))
    assert (talk.data / f"{FIRST}.lab").read_text() == "One two three. Four five six. Seven.\n"
    assert sorted(path.name for path in (talk.data / "ANNA").iterdir()) == [
        f"{FIRST[5:]}.flac",
        f"{FIRST[5:]}.lab",
    ]
    assert (talk.row(FIRST)["tags"], talk.row(FIRST)["status"]) == ("|loud|", "open")
    assert names(talk) == [FIRST]
    check_unchanged_by_scan(talk)
    assert undo(talk.catalog, talk.settings) == 2
    assert snapshot(talk.data) == before
    assert (talk.row(FIRST)["tags"], talk.row(SECOND)["tags"], talk.row(SECOND)["status"]) == ("", "|loud|", "accepted")
    check_unchanged_by_scan(talk)


def test_the_last_clip_and_one_of_another_speaker_are_not_merged(talk: Dataset) -> None:
    with failing("no-next-clip", MisuseError):
        merge(talk.catalog, talk.settings, talk.id(SECOND))
    (talk.data / "BERT").mkdir()
    (talk.data / f"{SECOND}.flac").rename(talk.data / "BERT" / "b.flac")
    talk.scan()
    with failing("other-speaker", MisuseError):
        merge(talk.catalog, talk.settings, talk.id(FIRST))


def test_codes_of_extract_become_stale_and_others_are_removed(talk: Dataset) -> None:
    path = write_codes(talk.data / f"{FIRST}.npy")
    content = path.read_bytes()
    talk.scan()
    clip = talk.id(FIRST)
    move_ends(talk.catalog, talk.settings, clip, end=0.1)
    assert not path.exists()
    undo(talk.catalog, talk.settings)
    assert path.read_bytes() == content
    talk.catalog.connection.execute("UPDATE clips SET codes_source = audio_hash, codes = 'current'")
    move_ends(talk.catalog, talk.settings, clip, end=0.1)
    assert talk.row(FIRST)["codes"] == "stale"
    undo(talk.catalog, talk.settings)
    assert talk.row(FIRST)["codes"] == "current"


@pytest.mark.parametrize("given", [True, False])
def test_undo_restores_all_after_extract(talk: Dataset, given: bool) -> None:
    if given:
        write_codes(talk.data / f"{FIRST}.npy")
    else:
        talk.extract(FIRST)
    talk.scan()
    before = snapshot(talk.data)
    split(talk.catalog, talk.settings, talk.id(FIRST), 1.0)
    talk.extract(NEW, 5)
    if given:
        # Codes of extract are left, and it replaces them.
        talk.extract(FIRST, 6)
    assert undo(talk.catalog, talk.settings) == 2
    assert snapshot(talk.data) == before
    assert talk.row(FIRST)["codes"] == ("given" if given else "current")
    check_unchanged_by_scan(talk)


def test_undo_of_a_split_removes_the_draft_of_the_new_clip(talk: Dataset) -> None:
    (talk.data / f"{FIRST}.lab").unlink()
    talk.scan()
    before = snapshot(talk.data)
    split(talk.catalog, talk.settings, talk.id(FIRST), 1.0)
    # As `transcribe` does.
    store_drafts(talk.catalog, [Draft(talk.row(NEW)["audio_hash"], "Four five six.\n", "pocketsphinx", "", 0.5)])
    (talk.data / f"{NEW}.lab").write_text("Four five six.\n")
    talk.scan()
    assert talk.row(NEW)["draft"]
    undo(talk.catalog, talk.settings)
    assert snapshot(talk.data) == before
    assert NEW not in names(talk)


def test_a_clip_keeps_its_loudness(talk: Dataset) -> None:
    clip = talk.id(FIRST)
    quiet = replace(talk.settings, normalize=replace(talk.settings.normalize, loudness=-30.0))
    talk.catalog.connection.execute("INSERT INTO findings VALUES (?, 'loudness', 1, '')", (clip,))
    assert fix(talk.catalog, quiet, Reporter(), "loudness", [clip]).done == 1
    before = snapshot(talk.data)
    gain = np.abs(samples_of(talk, FIRST)).max() / np.abs(original(talk, 1.0, 3.0)).max()
    assert gain < 0.7
    for _ in range(2):
        move_ends(talk.catalog, quiet, clip, end=0.5)
        assert np.abs(samples_of(talk, FIRST) - gain * original(talk, 1.0, cut_end(talk))).max() < 2
    undo(talk.catalog, quiet)
    undo(talk.catalog, quiet)
    assert snapshot(talk.data) == before
    # Another change than one of the loudness.
    path = talk.data / f"{FIRST}.flac"
    soundfile.write(path, samples_of(talk, FIRST)[::-1], RATE)
    earlier = talk.row(FIRST)["audio_hash"]
    talk.scan()
    with talk.catalog.transaction() as connection:
        carry_cuts(connection, earlier, talk.row(FIRST)["audio_hash"])
    with failing("not-cut", DataError):
        move_ends(talk.catalog, quiet, clip, end=0.5)


def drafts(dataset: Dataset) -> list[str]:
    return [row["name"] for row in find_rows(dataset.catalog, "draft:yes")]


def draft(dataset: Dataset, name: str, confidence: float) -> None:
    """Mark the transcript of a clip as a draft."""
    row = dataset.row(name)
    store_drafts(dataset.catalog, [Draft(row["audio_hash"], row["text"], "pocketsphinx", "", confidence)])
    with dataset.catalog.transaction() as connection:
        mark_drafts(connection, [row["id"]])


def test_drafts_stay_drafts_when_their_clips_change(talk: Dataset) -> None:
    draft(talk, FIRST, 0.8)
    clip = talk.id(FIRST)
    move_ends(talk.catalog, talk.settings, clip, end=0.1)
    assert drafts(talk) == [FIRST]
    undo(talk.catalog, talk.settings)
    split(talk.catalog, talk.settings, clip, 1.0)
    assert drafts(talk) == [FIRST, NEW]
    undo(talk.catalog, talk.settings)
    assert drafts(talk) == [FIRST]
    merge(talk.catalog, talk.settings, clip)
    assert drafts(talk) == [FIRST]
    undo(talk.catalog, talk.settings)
    draft(talk, SECOND, 0.4)
    merge(talk.catalog, talk.settings, clip)
    found = recognized_clip(talk.catalog, talk.row(FIRST)).draft
    assert found is not None
    assert found.confidence == 0.4
    undo(talk.catalog, talk.settings)
    assert drafts(talk) == [FIRST, SECOND]


def test_parts_of_an_accepted_draft_are_not_drafts(talk: Dataset) -> None:
    draft(talk, FIRST, 0.8)
    review(talk.catalog, [talk.id(FIRST)], "accepted")
    split(talk.catalog, talk.settings, talk.id(FIRST), 1.0)
    assert drafts(talk) == []


def cut_end(dataset: Dataset) -> float:
    found = cut_of(dataset.catalog, dataset.row(FIRST)["audio_hash"])
    assert found is not None
    return found.end


@pytest.mark.parametrize("change", [move_ends, split, merge])
def test_a_missing_or_changed_recording_is_reported_and_nothing_changes(talk: Dataset, change) -> None:
    recording = talk.catalog.project.root / "recordings" / "talk.wav"
    arguments = [0.5] if change is not merge else []
    before = snapshot(talk.data)
    content = recording.read_bytes()
    recording.write_bytes(content[:-2])
    with failing("source-changed", DataError):
        change(talk.catalog, talk.settings, talk.id(FIRST), *arguments)
    recording.unlink()
    with failing("source-missing", DataError):
        change(talk.catalog, talk.settings, talk.id(FIRST), *arguments)
    assert snapshot(talk.data) == before
    # The same content in the same place is enough.
    recording.write_bytes(content)
    os.utime(recording, (1, 1))
    change(talk.catalog, talk.settings, talk.id(FIRST), *arguments)


def test_other_clips_are_refused(talk: Dataset) -> None:
    talk.clip("ANNA/own")
    talk.scan()
    with failing("not-cut", DataError):
        split(talk.catalog, talk.settings, talk.id("ANNA/own"), 0.1)
    with failing("clip-too-short", MisuseError):
        split(talk.catalog, talk.settings, talk.id(FIRST), 1.99)
    with failing("clip-too-short", MisuseError):
        split(talk.catalog, talk.settings, talk.id(FIRST), float("nan"))


def write_all(write, files) -> None:
    for path, content in files.items():
        if content is not None:
            write(path, content)
    raise KeyboardInterrupt


@pytest.mark.parametrize("change", [split, merge])
@pytest.mark.parametrize("writes", range(3))
def test_a_killed_change_is_settled(talk: Dataset, monkeypatch, change, writes: int) -> None:
    """Killed after some files were written, all come back with the next scan."""
    before = snapshot(talk.data)
    real, left = filechanges.write_bytes, [writes]

    def write(path: Path, content: bytes) -> None:
        if path.is_relative_to(talk.data):
            if not left[0]:
                raise KeyboardInterrupt
            left[0] -= 1
        real(path, content)

    with monkeypatch.context() as patched:
        patched.setattr(filechanges, "write_bytes", write)
        if change is merge and writes == 2:
            # All is written, and the next clip's files stay.
            patched.setattr(filechanges, "_put", lambda files: write_all(write, files))
        with pytest.raises(KeyboardInterrupt):
            change(talk.catalog, talk.settings, talk.id(FIRST), *([1.0] if change is split else []))
    settle(talk.catalog)
    talk.scan()
    assert snapshot(talk.data) == before
    assert names(talk) == sorted(PLACES)


@given(
    text=st.lists(st.sampled_from(["word", "end.", "then,", "[low voice]", "今天。", "下午去", "?"]), max_size=12),
    share=st.floats(0, 1),
)
def test_a_divided_text_keeps_its_words_and_tags(text: list[str], share: float) -> None:
    whole = " ".join(text)
    first, second = split_text(whole, share)
    assert "".join((first + second).split()) == "".join(whole.split())
    assert all(part.count("[") == part.count("]") for part in (first, second))
    assert "".join(join_texts(first, second).split()) == "".join(whole.split())


@pytest.mark.parametrize(
    ("text", "share", "parts"),
    [
        ("One two three. Four five six.", 0.35, ("One two three.", "Four five six.")),
        ("one two three four", 0.5, ("one two", "three four")),
        ("今天下午我们去公园。他说这本书", 0.5, ("今天下午我们去公园。", "他说这本书")),
        ("Word", 0.7, ("Word", "")),
        ("Word", 0.2, ("", "Word")),
        ('She said "no." He left at once then.', 0.4, ('She said "no."', "He left at once then.")),
    ],
)
def test_texts_are_divided_at_sentences_then_clauses_then_words(
    text: str, share: float, parts: tuple[str, str]
) -> None:
    assert split_text(text, share) == parts
    assert join_texts(*parts) == text
