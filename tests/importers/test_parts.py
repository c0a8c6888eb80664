"""Rows that name parts of recordings are cut exactly, or refused."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from fishtui.audio.cutting import LACKING_S, cut_ranges
from fishtui.errors import DataError
from fishtui.importers.columns import find_positions
from fishtui.importers.parts import Lengths, cut_parts
from fishtui.importers.times import seconds_of
from tests.audio.test_source import write_sound
from tests.builders import snapshot, tone, write_clip
from tests.expecting import skipped_by_reason
from tests.importers.builders import failures, run, table


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1.5", 1.5), ("1,5", 1.5), (" 2 s", 2.0), ("0:01.5", 1.5), ("01:02:03,250", 3723.25), ("", None), ("x", None),
     ("nan", None), ("1e400", None)],
)  # fmt: skip
def test_times_are_read_as_tables_write_them(text: str, seconds: float | None) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["audio_filepath", "text", "offset", "duration"], {"start": 1.0, "duration": 1.0}),
        (["path", "text", "startTime", "endTime"], {"start": 1.0, "end": 1.0}),
        (["path", "text", "start_ms", "end_ms"], {"start": 0.001, "end": 0.001}),
        (["path", "text", "t_start", "xmax"], {"start": 1.0, "end": 1.0}),
        (["path", "text", "Begin", "End"], {"start": 1.0, "end": 1.0}),
        (["path", "text", "segment_start", "segment_end"], {"start": 1.0, "end": 1.0}),
        (["path", "text", "start (s)", "length"], {"start": 1.0, "duration": 1.0}),
        (["path", "text", "start_sample"], {"start": 0.0}),
        (["path", "text", "duration"], {"duration": 1.0}),
        (["path", "text", "length", "gender", "ending"], {}),
    ],
)
def test_columns_of_times_are_known_by_their_names(names: list[str], found: dict[str, float]) -> None:
    assert find_positions(names, {}).units == found


def source_of(root: Path, *rows: str, header: str = "path,start,end,text") -> Path:
    root.mkdir(exist_ok=True)
    return table(root / "x.csv", header, *rows)


def test_parts_become_clips_of_their_own(tmp_path: Path) -> None:
    write_clip(tmp_path / "in" / "wavs" / "long.wav", None, tone(2.0, 16_000), 16_000)
    source = source_of(
        tmp_path / "in",
        "long.wav,0.5,0.75,First.",
        "long.wav,00:00:01,2.01,Second.",
        "long.wav,0,2,The whole.",
        "long.wav,,,The whole again.",
        "long.wav,1.5,3,Beyond.",
        "long.wav,1,1,Nothing.",
        "long.wav,-1,1,Before.",
        "long.wav,soon,1,When?",
    )
    ledger = run(tmp_path, source)
    assert (ledger.done, ledger.counts["cut"]) == (4, 2)
    assert set(failures(ledger)) == {"x.csv:6", "x.csv:7", "x.csv:8", "x.csv:9"}
    whole, _ = soundfile.read(tmp_path / "in" / "wavs" / "long.wav", dtype="int16")
    first, _ = soundfile.read(tmp_path / "data" / "in" / "long_00000500_00000750.wav", dtype="int16")
    np.testing.assert_array_equal(first, whole[8_000:12_000])
    assert (tmp_path / "data" / "in" / "long_00000500_00000750.lab").read_text() == "First."
    again = run(tmp_path, source)
    assert (again.done, len(skipped_by_reason(again))) == (0, 1)
    assert not (tmp_path / ".fishtui" / "cuts").exists()
    assert run(tmp_path, source, dry_run=True).done == 2


def test_parts_that_were_imported_under_shorter_names_are_recognized(tmp_path: Path) -> None:
    write_clip(tmp_path / "in" / "wavs" / "long.wav", None, tone(2.0, 16_000), 16_000)
    source = source_of(tmp_path / "in", "long.wav,0.5,0.75,First.", "long.wav,1,2,Second.")
    assert run(tmp_path, source).done == 2
    for path in (tmp_path / "data" / "in").iterdir():
        path.rename(path.with_name(path.name.replace("_0", "_")))
    before = snapshot(tmp_path / "data")
    assert sorted(before) == [
        f"in/long_{times}{end}" for times in ("0000500_0000750", "0001000_0002000") for end in (".lab", ".wav")
    ]
    assert run(tmp_path, source).done == 0
    assert snapshot(tmp_path / "data") == before


@pytest.mark.parametrize(("seconds", "done"), [("2.0", 1), ("2.05", 1), ("2000", 1), ("0.4", 0), ("", 1)])
def test_a_duration_alone_must_be_that_of_the_recording(tmp_path: Path, seconds: str, done: int) -> None:
    write_clip(tmp_path / "in" / "long.wav", None, tone(2.0, 16_000), 16_000)
    ledger = run(tmp_path, source_of(tmp_path / "in", f"long.wav,{seconds},Hello.", header="path,duration,text"))
    assert ledger.done == done
    assert len(ledger.failed) == 1 - done


def test_parts_in_samples_are_refused(tmp_path: Path) -> None:
    write_clip(tmp_path / "in" / "long.wav", None, tone(2.0, 16_000), 16_000)
    header = "path,start_sample,end_sample,text"
    ledger = run(tmp_path, source_of(tmp_path / "in", "long.wav,0,8000,Hello.", header=header))
    assert list(failures(ledger).values()) == ["start is in samples: convert it to seconds"]


ranges = st.tuples(st.integers(0, 3_000), st.integers(1, 3_000)).map(lambda pair: (pair[0], pair[0] + pair[1]))


@given(parts=st.lists(ranges, min_size=1, max_size=6), subtype=st.sampled_from(["PCM_16", "PCM_24", "FLOAT"]))
def test_any_parts_have_exactly_their_samples(
    tmp_path_factory: pytest.TempPathFactory, parts: list[tuple[int, int]], subtype: str
) -> None:
    folder = tmp_path_factory.mktemp("parts")
    random = np.random.default_rng(len(parts))
    soundfile.write(folder / "a.wav", random.uniform(-1, 1, (6_000, 2)), 6_000, subtype)
    whole, _ = soundfile.read(folder / "a.wav", dtype="float32")
    targets = [folder / f"{number}.wav" for number in range(len(parts))]
    cut_parts(folder / "a.wav", [(start / 6_000, end / 6_000) for start, end in parts], targets)
    for (start, end), target in zip(parts, targets, strict=True):
        found, _ = soundfile.read(target, dtype="float32")
        np.testing.assert_array_equal(found, whole[start:end])


def test_recordings_in_foreign_formats_become_flac_and_stay_as_they_are(tmp_path: Path) -> None:
    samples = tone(1.5, 48_000)
    source = tmp_path / "in"
    source.mkdir()
    phone = write_sound(source / "phone.m4a", samples)
    write_sound(source / "film.mkv", samples, film=True)
    content = phone.read_bytes()
    (source / "metadata.csv").write_text("phone.m4a|One.\nfilm.mkv|Two.\n")
    assert run(tmp_path, source).done == 2
    for name in ("phone", "film"):
        [path] = (tmp_path / "data").rglob(f"{name}.flac")
        assert soundfile.info(path).duration == pytest.approx(1.5, abs=0.05)
    assert phone.read_bytes() == content
    assert run(tmp_path, source).done == 0


def test_a_part_that_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    write_clip(tmp_path / "in" / "long.wav", None, np.zeros(1_000 * 2_000, np.float32), 1_000)
    ledger = run(tmp_path, source_of(tmp_path / "in", "long.wav,1,1900,First.", "long.wav,0,2000,Whole."))
    assert failures(ledger).keys() == {"x.csv:2"}
    assert ledger.done == 1


def test_a_part_that_is_cut_off_is_not_a_clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "in").mkdir()
    # As for a container that does not name its length.
    monkeypatch.setattr(Lengths, "_seconds", lambda self, audio: 0.0)
    write_sound(tmp_path / "in" / "long.aac", tone(2.0, 48_000))
    rows = ("long.aac,0.5,1,First.", "long.aac,1.5,3,Second.", "long.aac,5,6,Third.", "long.aac,1,1.000001,Fourth.")
    rows += ("long.aac,1,,Fifth.", "long.aac,1,1900,Sixth.", "long.aac,1,0.5,Seventh.")
    ledger = run(tmp_path, source_of(tmp_path / "in", *rows))
    assert set(failures(ledger)) == {f"x.csv:{number}" for number in range(3, 9)}
    assert [path.name for path in (tmp_path / "data").rglob("*.lab")] == ["long_00000500_00001000.lab"]


@given(
    sizes=st.lists(st.integers(1, 40), max_size=6),
    parts=st.lists(st.tuples(st.integers(0, 150), st.integers(0, 60)), max_size=6),
)
def test_ranges_hold_the_samples_between_their_times(sizes: list[int], parts: list[tuple[int, int]]) -> None:
    whole = np.arange(sum(sizes), dtype=np.float32)[:, None]
    blocks = np.split(whole, np.cumsum(sizes)[:-1]) if sizes else []
    recording: Any = SimpleNamespace(rate=100, blocks=lambda: iter(blocks))
    found: dict[int, np.ndarray] = {}
    code = ""
    try:
        found.update(cut_ranges(recording, [(start / 100, (start + length) / 100) for start, length in parts]))
    except DataError as error:
        code = error.code
    lacking = round(100 * LACKING_S)
    fits = {n for n, (start, length) in enumerate(parts) if length and start < len(whole) >= start + length - lacking}
    assert (found.keys(), code) == (fits, "" if len(fits) == len(parts) else "bad-part")
    for index, samples in found.items():
        start, length = parts[index]
        np.testing.assert_array_equal(samples, whole[start : start + length])
