"""Speakers of recordings, from the folders above them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishtui.speakers import branch_of_clip, distinct_speakers, is_content, speaker_of


@pytest.mark.parametrize(
    "folder",
    ["wavs", "wav", "Wav", "WAVS", "audio", "Audio", "CLIPS", "clips", "wav48", "wavs_22050", "audio-files", "mp3",
     "flac_16k", "wav48_silence_trimmed", "slicer_opt", "recordings", "Segments", "audio (1)", "wavs 44.1 kHz",
     "my_wavs_final"],
)  # fmt: skip
def test_folders_named_after_their_content_are_not_speakers(folder: str) -> None:
    assert is_content(folder)
    assert branch_of_clip(f"anna/{folder}/1") == ("anna",)


@pytest.mark.parametrize(
    "folder", ["anna", "p225", "84", "wavemaker", "clip anna", "Opus Dei", "", "音声", "train", "caf\udce9", "café"]
)
def test_other_folders_are(folder: str) -> None:
    assert not is_content(folder)


@pytest.mark.parametrize(
    ("name", "branch"),
    [
        ("1", ()),
        ("wavs/1", ()),
        ("anna/1", ("anna",)),
        ("en/anna/wavs/1", ("en", "anna")),
        ("wavs/anna/1", ("wavs", "anna")),
        ("train-clean/84/121123/84_121123_000007", ("train-clean", "84")),
        ("84/121123/84-121123-0001", ("84",)),
        ("84/121123/0001", ("84", "121123")),
        ("anna/Session 2/wavs/1", ("anna",)),
        ("corpus/anna/train/1", ("corpus", "anna")),
        ("session1/1", ("session1",)),
        ("wavs/chapter_03/1", ("wavs", "chapter_03")),
        ("0011/Angry/0011_000351", ("0011",)),
        ("de/by_book/female/eva/emma/wavs/1", ("de", "by_book", "female", "eva")),
        ("by_book/mix/emma/wavs/1", ("by_book", "mix", "emma")),
    ],
)
def test_the_speaker_is_the_deepest_folder_of_a_person(name: str, branch: tuple[str, ...]) -> None:
    assert branch_of_clip(name) == branch


@pytest.mark.parametrize(
    ("root", "speaker"),
    [
        ("/x/voices", "voices"),
        ("/x/anna/wavs", "anna"),
        ("/wavs", "speaker"),
        ("/", "speaker"),
        ("/x/by_book/female/eva/emma", "eva"),
    ],
)
def test_without_a_folder_the_dataset_names_the_speaker(root: str, speaker: str) -> None:
    assert speaker_of((), root) == speaker


folders = st.lists(st.sampled_from(["anna", "bert", "e\u0301", "\u00e9", "wavs", "1", "2", "data"]), max_size=4)


@given(st.lists(folders, max_size=8))
def test_no_two_branches_share_a_name(found: list[list[str]]) -> None:
    branches = {branch_of_clip("/".join([*each, "x"])) for each in found}
    names = distinct_speakers(branches, "/x/data")
    assert set(names) == branches
    assert len(set(names.values())) == len(names)
    assert not any(is_content(name) for name in names.values() if "/" not in name)
