from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fishtui.catalog.store import Catalog
from fishtui.errors import DataError, FishtuiError, MisuseError
from fishtui.files import hash_file, write_bytes
from fishtui.importers import destination
from fishtui.wording import cannot_write
from tests.builders import project, snapshot
from tests.expecting import failing, skipped_by_reason
from tests.importers.builders import failures, imported, recording, run, table


def source_of(folder: Path, clips: int = 5) -> Path:
    """Write a list of clips of two speakers, whose recordings all have the same name."""
    lines = []
    for number in range(clips):
        recording(folder / str(number) / "x.wav", f"recording {number}")
        lines.append(f"{number}/x.wav|{'anna' if number % 3 else 'bert'}|EN|Sentence {number}.")
    return table(folder / "all.list", *lines)


WHOLE = {
    "anna/x.wav": "Sentence 1. <recording 1>",
    "anna/x-2.wav": "Sentence 2. <recording 2>",
    "anna/x-3.wav": "Sentence 4. <recording 4>",
    "bert/x.wav": "Sentence 0. <recording 0>",
    "bert/x-2.wav": "Sentence 3. <recording 3>",
}


@pytest.mark.parametrize("mode", ["auto", "link", "symlink", "copy"])
def test_clips_are_imported_once_in_every_mode(tmp_path: Path, mode: str) -> None:
    source = source_of(tmp_path / "in")
    before = snapshot(tmp_path / "in")
    assert run(tmp_path, source, mode=mode, dry_run=True).done == 5
    assert not (tmp_path / "data").exists()
    ledger = run(tmp_path, source, mode=mode)
    assert imported(tmp_path) == WHOLE
    how = {"auto": "linked", "link": "linked", "symlink": "symlinked", "copy": "copied"}[mode]
    assert (ledger.total, ledger.done, ledger.counts) == (5, 5, {how: 5})
    clip = tmp_path / "data" / "anna" / "x.wav"
    assert clip.is_symlink() == (mode == "symlink")
    assert clip.samefile(tmp_path / "in" / "1" / "x.wav") == (mode != "copy")
    for again in ("auto", "link", "symlink", "copy"):
        ledger = run(tmp_path, source, mode=again)
        assert (ledger.total, ledger.done) == (5, 0)
        assert skipped_by_reason(ledger) == {"already imported": 5}
    assert imported(tmp_path) == WHOLE
    assert snapshot(tmp_path / "in") == before


def test_auto_copies_if_links_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    source = source_of(tmp_path / "in")
    ledger = run(tmp_path, source, mode="link")
    assert set(failures(ledger).values()) == {"cannot link: Invalid cross-device link"}
    assert imported(tmp_path) == {}
    assert run(tmp_path, source).counts == {"copied": 5}
    assert imported(tmp_path) == WHOLE


class Killed(BaseException):
    """A kill as seen by the process: nothing is cleaned up after it."""


@pytest.mark.parametrize("mode", ["link", "copy"])
@pytest.mark.parametrize("moment", range(11))
def test_a_killed_import_continues_to_the_same_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str, moment: int
) -> None:
    source = source_of(tmp_path / "in")
    steps = 0

    def killing(work: Any) -> Any:
        def step(*arguments: Any) -> Any:
            nonlocal steps
            if steps == moment:
                raise Killed
            steps += 1
            return work(*arguments)

        return step

    with monkeypatch.context() as patch:
        patch.setattr(destination, "write_text", killing(destination.write_text))
        patch.setattr(destination, "_transfer_audio", killing(destination._transfer_audio))
        if moment < 10:
            with pytest.raises(Killed):
                run(tmp_path, source, mode=mode)
        else:
            run(tmp_path, source, mode=mode)
    recordings = list((tmp_path / "data").rglob("*.wav"))
    assert all(path.with_suffix(".lab").exists() for path in recordings)
    assert len(recordings) == moment // 2
    ledger = run(tmp_path, source, mode=mode)
    assert imported(tmp_path) == WHOLE
    assert (ledger.done, len(ledger.skipped)) == (5 - moment // 2, moment // 2)


def test_later_rows_and_another_order_keep_earlier_destinations(tmp_path: Path) -> None:
    source = source_of(tmp_path / "in")
    lines = source.read_text().splitlines()
    missing = tmp_path / "in" / "1" / "x.wav"
    missing.rename(tmp_path / "away")
    assert len(run(tmp_path, source).failed) == 1
    first = imported(tmp_path)
    (tmp_path / "away").rename(missing)
    ledger = run(tmp_path, table(source, *reversed(lines)))
    assert (ledger.done, len(ledger.skipped)) == (1, 4)
    assert imported(tmp_path) == first | {"anna/x-3.wav": "Sentence 1. <recording 1>"}
    run(tmp_path, table(source, *lines))
    assert len(imported(tmp_path)) == 5


def test_existing_files_are_never_overwritten(tmp_path: Path) -> None:
    source = source_of(tmp_path / "in", clips=2)
    mine = {"anna/x.lab": "My own.", "anna/x-2.npy": "codes", "anna/x-3.flac": "mine", "bert": "a file"}
    for name, content in mine.items():
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    ledger = run(tmp_path, source)
    assert failures(ledger) == {"all.list:1": f"{tmp_path / 'data' / 'bert'}: not a folder"}
    held = {name: content.decode() for name, content in snapshot(tmp_path / "data").items()}
    assert held == mine | {"anna/x-4.lab": "Sentence 1.", "anna/x-4.wav": "recording 1"}


def test_a_changed_transcript_stays_and_a_lost_one_is_restored(tmp_path: Path) -> None:
    source = source_of(tmp_path / "in")
    run(tmp_path, source)
    (tmp_path / "data" / "anna" / "x.lab").write_text("Corrected.")
    (tmp_path / "data" / "anna" / "x-2.lab").unlink()
    ledger = run(tmp_path, source)
    assert ledger.counts == {"completed": 1}
    assert skipped_by_reason(ledger) == {"already imported": 3, "already imported, with another transcript": 1}
    assert imported(tmp_path) == WHOLE | {"anna/x.wav": "Corrected. <recording 1>"}


def test_a_clip_with_an_edited_recording_is_not_imported_again(tmp_path: Path) -> None:
    source = source_of(tmp_path / "in", clips=1)
    run(tmp_path, source)
    edited = tmp_path / "data" / "bert" / "x.wav"
    with Catalog(project(tmp_path), tmp_path / "data") as catalog, catalog.transaction() as connection:
        connection.execute("INSERT INTO clips(id, name, speaker, files, born) VALUES (1, 'bert/x', 'bert', '', 1)")
        connection.execute(
            "INSERT INTO history(action, clip, kind, path, before, after, state, who, time) "
            "VALUES (1, 1, 'file', 'bert/x.wav', ?, '', 'done', '', '')",
            (hash_file(edited),),
        )
    write_bytes(edited, b"edited")
    assert skipped_by_reason(run(tmp_path, source)) == {"already imported": 1}
    recording(tmp_path / "in" / "0" / "x.wav", "a new recording")
    assert run(tmp_path, source).done == 1
    assert list(imported(tmp_path)) == ["bert/x-2.wav", "bert/x.wav"]


def test_a_wav_and_an_mp3_of_one_name_do_not_share_a_transcript(tmp_path: Path) -> None:
    recording(tmp_path / "in" / "a.wav")
    recording(tmp_path / "in" / "a.mp3")
    run(tmp_path, table(tmp_path / "in" / "x.csv", "path,text", "a.wav,One", "a.mp3,Two"))
    assert imported(tmp_path) == {"in/a.wav": "One <a.wav>", "in/a-2.mp3": "Two <a.mp3>"}


def test_speakers_are_never_mixed(tmp_path: Path) -> None:
    recording(tmp_path / "in" / "a.wav")
    speakers = ["a/b", "a_b", "protos", ".", "", "e\u0301", "é "]
    source = table(tmp_path / "in" / "x.list", *(f"a|{speaker}|EN|Text of {speaker}" for speaker in speakers))
    run(tmp_path, source)
    folders = [name.partition("/")[0] for name in imported(tmp_path)]
    assert sorted(folders) == ["a_b", "a_b-2", "in", "protos_", "speaker", "é", "é"]
    ledger = run(tmp_path, source, speaker="all", data=tmp_path / "other")
    assert ledger.done == 7
    assert len(list((tmp_path / "other" / "all").glob("a*.wav"))) == 7


def test_a_linked_speaker_never_leads_outside(tmp_path: Path) -> None:
    source = source_of(tmp_path / "in")
    (tmp_path / "outside").mkdir()
    (tmp_path / "data" / "carl").mkdir(parents=True)
    (tmp_path / "data" / "anna").symlink_to(tmp_path / "outside")
    (tmp_path / "data" / "bert").symlink_to("carl")
    ledger = run(tmp_path, source)
    assert set(failures(ledger).values()) == {f"{tmp_path / 'data' / 'anna'}: a link to a folder outside the dataset"}
    assert snapshot(tmp_path / "outside") == {}
    assert list(imported(tmp_path)) == ["carl/x-2.wav", "carl/x.wav"]


def test_two_names_of_one_folder_share_its_destinations(tmp_path: Path) -> None:
    source = source_of(tmp_path / "in")
    (tmp_path / "data" / "bert").mkdir(parents=True)
    (tmp_path / "data" / "anna").symlink_to("bert")
    assert run(tmp_path, source).done == 5
    assert set(imported(tmp_path).values()) == set(WHOLE.values())
    assert run(tmp_path, source).done == 0


def test_source_and_dataset_may_not_overlap(tmp_path: Path) -> None:
    data = tmp_path / "in" / "data"
    recording(data / "anna" / "a.wav").with_suffix(".lab").write_text("Hi")
    for source in (data, data / "anna", tmp_path / "in"):
        with failing("overlap", MisuseError):
            run(tmp_path, source, data=data)
    source = table(tmp_path / "in" / "x.csv", "path,text", "data/anna/a.wav,Hi")
    assert failures(run(tmp_path, source, data=data)) == {"x.csv:2": "the recording is inside the dataset"}
    with failing("not-a-folder", MisuseError):
        run(tmp_path, source, data=tmp_path / "in" / "data" / "anna" / "a.lab")


def test_a_source_without_clips_is_an_error(tmp_path: Path) -> None:
    with failing("no-clips", DataError):
        run(tmp_path, table(tmp_path / "x.csv", "path,text"))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS])
def test_a_full_disk_stops_the_import_at_the_first_clip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    calls = []

    def full(*_: object) -> None:
        calls.append(1)
        error = OSError(number, os.strerror(number))
        raise cannot_write("x.wav", error) from error

    source = source_of(tmp_path / "in")
    monkeypatch.setattr(destination, "_transfer_audio", full)
    with failing("no-space", FishtuiError):
        run(tmp_path, source)
    assert len(calls) == 1
    assert snapshot(tmp_path / "data") == {}


def test_another_fault_is_reported_for_each_clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise FishtuiError("broken", code="cannot-write")

    source = source_of(tmp_path / "in")
    monkeypatch.setattr(destination, "_transfer_audio", broken)
    ledger = run(tmp_path, source)
    assert set(failures(ledger).values()) == {"broken"}
    assert snapshot(tmp_path / "data") == {}


# --- Hostile tables

NASTY = ["../../x", "/etc/passwd", "..", ".", "", "~", "a\0b", "\u202egnp", "x" * 4_096, "😀", "protos", "anna", "-rf",
         "caf\udce9", "a\\b", "a/b/../..", "\x1b[31m", "data", "a.lab"]  # fmt: skip
cells = st.sampled_from(NASTY) | st.text(st.characters(codec="utf-8", exclude_characters="|\n\r"), max_size=8)
recordings = st.sampled_from(["a.wav", "sub/a.wav", "wavs/ \u202eb.mp3", "..c.flac", "caf\udce9.wav", "n\new.wav"])


@settings(max_examples=60)
@given(
    rows=st.lists(st.tuples(recordings | cells, cells, cells), min_size=1, max_size=6),
    rest=st.lists(
        st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), min_size=1).filter(str.strip), max_size=2
    ),
    mode=st.sampled_from(["auto", "symlink", "copy"]),
)
def test_no_table_writes_outside_the_dataset(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, str]], rest: list[str], mode: str
) -> None:
    around = tmp_path_factory.mktemp("around")
    root = around / "project"
    for name in ("a.wav", "sub/a.wav", "wavs/ \u202eb.mp3", "..c.flac", "caf\udce9.wav", "n\new.wav"):
        recording(around / "in" / name, name)
    lines = ["|".join((audio, speaker, "EN", text)) for audio, speaker, text in rows]
    source = table(around / "in" / "x.list", *lines, *rest)
    (root / "data").mkdir(parents=True)
    (root / "data" / "anna").symlink_to(around / "in")
    (root / "fishtui.toml").touch()
    before = outside(around)
    beyond_ascii = [line for line in [*lines, *rest] if not line.isascii()]
    if beyond_ascii and all(map(is_damaged, beyond_ascii)):
        # Refused whole, if its bytes look like text in another encoding.
        with suppress(DataError):
            run(root, source, layout="list", mode=mode)
        assert outside(around) == before
        return
    run(root, source, layout="list", mode=mode, dry_run=True)
    ledger = run(root, source, layout="list", mode=mode)
    expected = len(source.read_bytes().decode("utf-8", "surrogateescape").rstrip("\n").split("\n"))
    assert ledger.total == expected - sum(not line.strip() for line in lines + rest)
    assert outside(around) == before
    inside = [path for path in (root / "data").rglob("*") if not path.parent.is_symlink()]
    assert all(len(os.fsencode(path.name)) <= 200 and not path.name.startswith(".") for path in inside)
    assert run(root, source, layout="list", mode=mode).done == 0
    assert ledger.done == len([path for path in inside if path.suffix == ".lab" and path.is_file()])


def is_damaged(line: str) -> bool:
    """Return True for a line with bytes that are not UTF-8."""
    return any("\udc80" <= letter <= "\udcff" for letter in line)


def outside(around: Path) -> dict[str, tuple[bytes, ...]]:
    """Kind and content of everything outside the dataset."""
    found = {}
    for root, folders, names in os.walk(around):
        folders[:] = [name for name in folders if Path(root, name) != around / "project" / "data"]
        for name in (*folders, *names):
            path = Path(root, name)
            found[str(path)] = (path.read_bytes() if path.is_file() else b"", b"link" if path.is_symlink() else b"")
    return found


@pytest.mark.parametrize(("name", "text_name"), [("1", "1.LAB"), ("e\u0301", "e\u0301.lab"), ("e\u0301", "\u00e9.lab")])
def test_a_clip_with_other_spellings_of_its_names_is_recognized(tmp_path: Path, name: str, text_name: str) -> None:
    recording(tmp_path / "in" / "anna" / f"{name}.wav", "sound")
    (tmp_path / "in" / "anna" / f"{name}.txt").write_text("As imported.")
    recording(tmp_path / "data" / "anna" / f"{name}.wav", "sound")
    (tmp_path / "data" / "anna" / text_name).write_text("By hand.")
    before = snapshot(tmp_path / "data")
    ledger = run(tmp_path, tmp_path / "in")
    assert snapshot(tmp_path / "data") == before
    assert [entry.reason for entry in ledger.skipped] == ["already imported, with another transcript"]
