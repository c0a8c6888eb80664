"""A scan brings the catalog up to date with the disk."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fishtui.audio.encode import encode_audio
from fishtui.catalog import scan as module
from fishtui.catalog.actions import edit, review
from fishtui.catalog.scan import scan
from fishtui.catalog.store import Catalog
from fishtui.codes import encode_codes
from fishtui.dataset import find_clips
from fishtui.files import exclusive
from fishtui.runs.reporter import Reporter
from tests.builders import command, project, tone, write_clip, write_codes
from tests.expecting import failing
from tests.forking import fishtui


def test_clips_are_found_with_the_content_of_their_files(dataset) -> None:
    dataset.clip("anna/a", "\ufeffGuten Tag")
    dataset.clip("anna/deep/b", None, format="FLAC")
    write_codes(dataset.data / "anna" / "a.npy", frames=7)
    assert dataset.scan().as_dict() == {"clips": 2, "new": 2, "changed": 0, "moved": 0, "gone": 0}
    row = dataset.row("anna/a")
    assert (row["speaker"], row["files"], row["text"], row["sample_rate"]) == ("anna", "a.wav", "Guten Tag", 16_000)
    assert (row["duration"], row["codes"], row["frames"]) == (pytest.approx(0.3), "given", 7)
    assert "byte-order-mark" in dataset.codes_found("anna/a")
    assert {"missing-transcript", "wrong-extension"} <= dataset.codes_found("anna/deep/b")


def test_a_scan_renews_the_speakers_that_an_earlier_version_stored(dataset) -> None:
    dataset.clip("anna/wavs/1", "I am Anna.")
    dataset.clip("bert/wavs/1", "I am Bert.")
    dataset.scan()
    with dataset.catalog.transaction() as connection:
        connection.execute("UPDATE clips SET speaker = 'wavs'")
    dataset.scan()
    assert [dataset.row(f"{name}/wavs/1")["speaker"] for name in ("anna", "bert")] == ["anna", "bert"]


def test_another_text_is_named_and_its_arrival_noticed(dataset) -> None:
    dataset.clip("anna/1", None)
    dataset.scan()
    assert dataset.row("anna/1")["other_text"] == ""
    (dataset.data / "anna" / "1.txt").write_text("Good evening.", encoding="utf-8")
    dataset.scan()
    assert dataset.row("anna/1")["other_text"] == "1.txt"
    (dataset.data / "anna" / "1.LAB").write_text("Good evening.", encoding="utf-8")
    dataset.scan()
    assert (dataset.row("anna/1")["other_text"], dataset.row("anna/1")["text"]) == ("", "Good evening.")


def test_a_second_scan_changes_nothing(dataset) -> None:
    for number in range(5):
        dataset.clip(f"anna/{number}", "Twice, just in case, we say it.")
    dataset.scan()
    before = dataset.everything()
    assert dataset.scan().as_dict() == {"clips": 5, "new": 0, "changed": 0, "moved": 0, "gone": 0}
    assert dataset.everything() == before


def test_only_what_changed_is_read_again(dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    path = dataset.clip("anna/a")
    dataset.clip("anna/b")
    dataset.scan()
    seen = []
    monkeypatch.setattr(module, "read_parts", lambda task: seen.append(task) or original(task))
    original = __import__("fishtui.catalog.files", fromlist=["read_parts"]).read_parts
    path.with_suffix(".lab").write_text("Another text.", encoding="utf-8")
    assert dataset.scan().changed == 1
    assert [(task.clip.name, task.audio, task.text, task.codes) for task in seen] == [("anna/a", False, True, False)]
    assert dataset.row("anna/a")["text"] == "Another text."


def test_a_file_that_was_only_touched_has_not_changed(dataset) -> None:
    path = dataset.clip("anna/a")
    dataset.scan()
    os.utime(path, ns=(1, 1))
    os.utime(path.with_suffix(".lab"), ns=(1, 1))
    assert dataset.scan().changed == 0
    assert dataset.scan().changed == 0


@pytest.mark.parametrize("kind", [".wav", ".lab", ".npy"])
@pytest.mark.parametrize("in_place", [True, False])
def test_a_change_is_seen_even_if_size_and_time_are_as_before(dataset, kind: str, in_place: bool) -> None:
    """The case same-time-same-size."""
    recording = dataset.clip("anna/a", "Hello there.")
    write_codes(recording.with_suffix(".npy"), seed=1)
    dataset.scan()
    path = recording.with_suffix(kind)
    before, content = path.stat(), bytearray(path.read_bytes())
    content[-1] ^= 1
    if not in_place:
        path.unlink()
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = path.stat()
    assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert dataset.scan().changed == 1
    assert dataset.scan().changed == 0


def test_a_catalog_of_an_earlier_version_reads_its_files_once(dataset) -> None:
    dataset.clip("anna/a")
    dataset.scan()
    dataset.catalog.connection.execute("UPDATE clips SET audio_changed = NULL, audio_inode = NULL, text_inode = NULL")
    assert dataset.scan().changed == 0
    assert None not in [dataset.row("anna/a")[name] for name in ("audio_changed", "audio_inode", "text_inode")]


def test_features_of_another_tool_are_not_clips(dataset) -> None:
    """The case foreign-npy: arrays next to recordings that are not their codes."""
    for name in ("anna/1", "anna/2.5"):
        dataset.clip(name)
    for name in ("1.wav.f0", "1.wav", "1.f0", "1_mel", "1-spk", "2.5.f0", "speaker"):
        np.save(dataset.data / "anna" / f"{name}.npy", np.zeros((4, 80), np.float32))
    dataset.scan()
    assert {row[0] for row in dataset.catalog.query("SELECT name FROM clips")} == {"anna/1", "anna/2.5"}
    assert {clip.name for clip in find_clips(dataset.data)} == {"anna/1", "anna/2.5", "anna/speaker"}


def test_moved_clips_keep_their_review(dataset) -> None:
    dataset.clip("anna/a")
    dataset.clip("anna/b")
    dataset.scan()
    review(dataset.catalog, [dataset.id("anna/a")], "rejected", "cough")
    (dataset.data / "bert").mkdir()
    for suffix in (".wav", ".lab"):
        (dataset.data / "anna" / f"a{suffix}").rename(dataset.data / "bert" / f"z{suffix}")
    found = dataset.scan()
    assert (found.moved, found.gone) == (1, 0)
    row = dataset.row("bert/z")
    assert (row["status"], row["note"], row["speaker"]) == ("rejected", "cough", "bert")


def test_a_copy_of_a_removed_rejected_clip_stays_open(dataset) -> None:
    path = dataset.clip("anna/a")
    shutil.copy(path, path.with_name("b.wav"))
    dataset.scan()
    review(dataset.catalog, [dataset.id("anna/b")], "rejected")
    path.with_name("b.wav").unlink()
    assert dataset.scan().gone == 1
    assert dataset.row("anna/a")["status"] == "open"


def test_reviews_follow_recordings_that_were_renumbered(dataset) -> None:
    folder = dataset.data / "anna"
    for number in range(1, 5):
        dataset.clip(f"anna/c{number}", f"Text {number}.", seconds=0.2 + 0.05 * number)
    dataset.scan()
    review(dataset.catalog, [dataset.id("anna/c2")], "rejected", "bad take")
    review(dataset.catalog, [dataset.id("anna/c3")], "accepted")
    for number in range(1, 4):
        for suffix in (".wav", ".lab"):
            (folder / f"c{number + 1}{suffix}").replace(folder / f"c{number}{suffix}")
    found = dataset.scan()
    assert (found.new, found.changed, found.moved, found.gone) == (0, 3, 2, 1)
    statuses = [dataset.row(f"anna/c{number}")["status"] for number in (1, 2, 3)]
    assert statuses == ["rejected", "accepted", "open"]


def test_a_clip_keeps_its_review_if_its_files_are_renamed_one_by_one(dataset) -> None:
    folder = dataset.data / "anna"
    dataset.clip("anna/a")
    dataset.scan()
    review(dataset.catalog, [dataset.id("anna/a")], "rejected", "cough")
    for suffix in (".wav", ".lab"):
        (folder / f"a{suffix}").rename(folder / f"z{suffix}")
        dataset.scan()
    row = dataset.row("anna/z")
    assert (row["status"], row["note"]) == ("rejected", "cough")


def test_two_moved_copies_keep_their_own_reviews(dataset) -> None:
    path = dataset.clip("A/x", "Wrong words.")
    shutil.copy(path, path.with_name("y.wav"))
    path.with_name("y.lab").write_text("Right words.", encoding="utf-8")
    dataset.scan()
    review(dataset.catalog, [dataset.id("A/x")], "rejected")
    review(dataset.catalog, [dataset.id("A/y")], "accepted")
    (dataset.data / "B").mkdir()
    for old, new in (("x", "z"), ("y", "y")):
        for suffix in (".wav", ".lab"):
            (dataset.data / "A" / f"{old}{suffix}").rename(dataset.data / "B" / f"{new}{suffix}")
    dataset.scan()
    assert (dataset.row("B/z")["status"], dataset.row("B/y")["status"]) == ("rejected", "accepted")


def test_the_next_scan_finds_codes_written_during_a_scan(dataset) -> None:
    from fishtui.codes import Journal, Source, store

    path = dataset.clip("anna/a")
    write_codes(path.with_suffix(".npy"))
    dataset.scan()
    assert dataset.row("anna/a")["codes"] == "given"
    codes = np.load(path.with_suffix(".npy"))
    made_from = Source(
        clip="anna/a", size=0, modified=0, audio=dataset.row("anna/a")["audio_hash"], codec="c", recipe="r"
    )
    store(Journal(dataset.catalog.project.codes_journal), made_from, path.with_suffix(".npy"), codes)
    dataset.scan()
    assert dataset.row("anna/a")["codes"] == "current"


def test_a_clip_that_comes_back_has_its_review(dataset) -> None:
    path = dataset.clip("anna/a")
    dataset.clip("anna/b")
    dataset.scan()
    review(dataset.catalog, [dataset.id("anna/a")], "accepted")
    content = path.read_bytes()
    path.unlink()
    path.with_suffix(".lab").unlink()
    dataset.scan()
    assert dataset.catalog.value("SELECT count(*) FROM clips WHERE gone IS NULL") == 1
    path.write_bytes(content)
    dataset.scan()
    assert dataset.row("anna/a")["status"] == "accepted"


def test_two_recordings_of_one_stem_are_an_error(dataset) -> None:
    dataset.clip("anna/hi")
    write_clip(dataset.data / "anna" / "hi.mp3")
    dataset.scan()
    assert "shared-stem" in dataset.codes_found("anna/hi")
    (dataset.data / "anna" / "hi.mp3").unlink()
    assert dataset.scan().changed == 1
    assert "shared-stem" not in dataset.codes_found("anna/hi")


HOSTILE = [
    "new\nline",
    "[red]markup[bold]",
    "\x1b[2J\x1b]0;title\x07",
    "\u202eevil",
    "n" * 250,
    os.fsdecode(b"not\xffutf8"),
    "quote'\"; DROP TABLE clips;--",
    "نافذة",
    "窗户",
]


def test_hostile_names_are_stored_exactly_and_shown_sanitized(dataset) -> None:
    for name in HOSTILE:
        dataset.clip(f"{name}/{name}", f"text {name[:3]} \x1b[31m")
    deep = "/".join(["d" * 200] * 18)
    dataset.clip(f"{deep}/a")
    dataset.scan()
    for name in HOSTILE:
        assert dataset.row(f"{name}/{name}")["speaker"] == name
    assert dataset.row(f"{deep}/a")["speaker"] == "d" * 200
    shows = [["clips", "show", str(number)] for number in range(1, len(HOSTILE) + 2)]
    for arguments in (["clips", "list"], ["validate", "--quick"], ["speakers"], ["stats"], *shows):
        shown = fishtui(*arguments, cwd=dataset.catalog.project.root)
        assert shown.returncode in (0, 3), shown.stderr
        assert not {"\x1b", "\u202e", "\x07"} & set(shown.stdout + shown.stderr)
    for arguments in (["clips", "list"], ["validate", "--quick"], ["speakers"], shows[0]):
        listed = fishtui(*arguments, "--json", cwd=dataset.catalog.project.root)
        assert listed.stdout.isascii()
        assert json.loads(listed.stdout)


def test_thresholds_change_findings_without_reading_clips(dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    import msgspec

    dataset.clip("anna/a", seconds=0.3)
    dataset.scan()
    monkeypatch.setattr(module, "read_parts", None)
    dataset.settings = msgspec.structs.replace(
        dataset.settings, checks=msgspec.structs.replace(dataset.settings.checks, min_seconds=0.5)
    )
    dataset.scan()
    assert "too-short" in dataset.codes_found("anna/a")


# A scan that stores five clips at a time, so that it can be killed in between.
IN_SMALL_BATCHES = """
import sys
from fishtui.__main__ import main
from fishtui.catalog import scan
scan.BATCH = scan.CHUNK = 5
sys.argv = ["fishtui", "scan"]
main()
"""


def test_the_next_scan_completes_one_that_was_killed_anywhere(datasets) -> None:
    made = datasets()
    for number in range(40):
        made.clip(f"anna/{number:02d}")
    root = made.catalog.project.root
    database = root / ".fishtui" / "catalog.db"
    for moment in range(0, 40, 8):
        process = subprocess.Popen(
            [sys.executable, "-c", IN_SMALL_BATCHES], cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        while process.poll() is None and stored_clips(database) <= moment:
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.001)
        process.kill()
        process.wait()
        assert made.catalog.value("PRAGMA integrity_check") == "ok"
    assert fishtui("scan", cwd=root).returncode == 0
    undisturbed = datasets()
    shutil.copytree(made.data, undisturbed.data, dirs_exist_ok=True)
    undisturbed.scan()
    assert comparable(made) == comparable(undisturbed)


def stored_clips(database: Path) -> int:
    try:
        with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
            return connection.execute("SELECT count(*) FROM clips").fetchone()[0]
    except sqlite3.OperationalError:
        # The scan has not created it yet.
        return 0


def comparable(dataset) -> list[tuple]:
    return [
        tuple(row)
        for row in dataset.catalog.query(
            "SELECT name, files, audio_hash, duration, text, codes, severity, rate FROM clips ORDER BY name"
        )
    ]


def test_two_scans_at_once_run_one_after_the_other(datasets) -> None:
    made = datasets()
    for number in range(30):
        made.clip(f"anna/{number:02d}")
    processes = [
        subprocess.Popen(command("scan"), cwd=made.catalog.project.root, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    printed = sorted(process.communicate()[0].strip() for process in processes)
    assert [process.returncode for process in processes] == [0, 0]
    assert printed == ["30 clips: 30 new", "30 clips: nothing new"]


def test_reading_and_reviewing_work_during_a_scan(dataset) -> None:
    dataset.clip("anna/a")
    dataset.scan()
    with exclusive(dataset.catalog.project.lock("scan"), "scanning"):
        assert review(dataset.catalog, [dataset.id("anna/a")], "accepted") == 1
        assert fishtui("clips", "list", "status:accepted", cwd=dataset.catalog.project.root).returncode == 0


def test_a_missing_dataset_is_an_error(tmp_path: Path) -> None:
    with Catalog(project(tmp_path), tmp_path / "nowhere") as catalog, failing("not-a-folder"):
        scan(catalog, module.Settings(), Reporter())


def test_a_dataset_that_can_only_be_read_is_scanned(dataset) -> None:
    dataset.clip("anna/a")
    for path in (dataset.data / "anna", dataset.data):
        path.chmod(0o555)
    try:
        assert dataset.scan().new == 1
    finally:
        for path in (dataset.data, dataset.data / "anna"):
            path.chmod(0o755)


def test_a_linked_folder_is_scanned_once(dataset, tmp_path: Path) -> None:
    dataset.clip("anna/a")
    (dataset.data / "again").symlink_to(dataset.data / "anna")
    assert dataset.scan().clips == 1


def test_a_file_that_is_not_regular_is_reported_without_waiting(dataset) -> None:
    dataset.clip("anna/a")
    os.mkfifo(dataset.data / "anna" / "pipe.wav")
    os.mkfifo(dataset.data / "anna" / "a.npy")
    (dataset.data / "anna" / "folder.wav").mkdir()
    (dataset.data / "anna" / "b.wav").symlink_to("/nonexistent")
    dataset.scan()
    assert {"unreadable"} <= dataset.codes_found("anna/pipe") & dataset.codes_found("anna/b")
    assert "codes-invalid" in dataset.codes_found("anna/a")


def test_edits_during_scans_are_all_kept(dataset) -> None:
    for number in range(20):
        dataset.clip(f"anna/{number:02d}")
    dataset.scan()
    root = dataset.catalog.project.root
    for number in range(20):
        dataset.clip(f"bert/{number:02d}")
    scanning = [
        subprocess.Popen([sys.executable, "-c", IN_SMALL_BATCHES], cwd=root, stdout=subprocess.DEVNULL)
        for _ in range(2)
    ]
    for number in range(20):
        assert edit(dataset.catalog, dataset.settings, dataset.id(f"anna/{number:02d}"), f"Edited {number}.")
        review(dataset.catalog, [dataset.id(f"anna/{number:02d}")], "accepted")
    assert [process.wait() for process in scanning] == [0, 0]
    dataset.scan()
    for number in range(20):
        row = dataset.row(f"anna/{number:02d}")
        assert (row["text"], row["status"]) == (f"Edited {number}.", "accepted")
        assert (dataset.data / "anna" / f"{number:02d}.lab").read_text(encoding="utf-8") == f"Edited {number}."
    assert dataset.catalog.value("SELECT count(*) FROM clips WHERE gone IS NULL") == 40
    indexed = dataset.catalog.query("SELECT rowid FROM transcripts WHERE transcripts MATCH '\"edited\"'")
    assert len(indexed) == 20
    dataset.catalog.query("INSERT INTO transcripts(transcripts) VALUES ('integrity-check')")


def test_an_interrupt_is_reported_without_a_traceback(datasets) -> None:
    made = datasets()
    for number in range(60):
        made.clip(f"anna/{number:02d}")
    root = made.catalog.project.root
    process = subprocess.Popen(
        [sys.executable, "-c", RESTORED + IN_SMALL_BATCHES],
        cwd=root,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    while process.poll() is None and stored_clips(root / ".fishtui" / "catalog.db") == 0:
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.001)
    os.killpg(process.pid, signal.SIGINT)
    printed = process.communicate()[0].split()
    # The scan may have ended just before the signal.
    assert (process.returncode, printed) == (130, ["interrupted"]) or process.returncode == 0
    made.scan()
    assert made.catalog.value("SELECT count(*) FROM clips") == 60


# Tests that are started in the background inherit ignored interrupts.
RESTORED = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
"""


KINDS = [".wav", ".mp3", ".m4a", ".lab", ".npy"]
WAV = encode_audio(tone(0.3, 16_000), 16_000, "WAV", "PCM_16")
CODES = encode_codes(np.zeros((10, 7), np.int64))
FILES = st.dictionaries(
    st.tuples(st.sampled_from(["anna", "bert/deep", ""]), st.sampled_from(["a", "b"]), st.sampled_from(KINDS)),
    st.sampled_from([b"", b"\xff\xfe", b"Hello there.", b"\xef\xbb\xbfTwo\nlines", b"RIFF\x00\x00", WAV, CODES]),
    max_size=6,
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files=FILES)
def test_a_second_scan_of_any_files_changes_nothing(dataset, files: dict[tuple[str, str, str], bytes]) -> None:
    """A second scan changes nothing, and the catalog has exactly the stems of recordings and transcripts on disk."""
    shutil.rmtree(dataset.data)
    dataset.data.mkdir()
    for (folder, stem, kind), content in files.items():
        (dataset.data / folder).mkdir(parents=True, exist_ok=True)
        (dataset.data / folder / (stem + kind)).write_bytes(content)
    dataset.scan()
    before = dataset.everything()
    found = dataset.scan()
    assert (found.new, found.changed, found.moved, found.gone) == (0, 0, 0, 0)
    assert dataset.everything() == before
    # Codes alone are not a clip.
    stems = {f"{folder}/{stem}".lstrip("/") for folder, stem, kind in files if kind != ".npy"}
    assert {row[0] for row in dataset.catalog.query("SELECT name FROM clips")} == stems
