"""Actions on clips: each is recorded, and undo restores files byte for byte."""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fishtui.catalog import actions, filechanges
from fishtui.catalog.actions import change, clip_row, current_transcript, edit, review, tag, undo
from fishtui.catalog.details import audio_path
from fishtui.catalog.filechanges import changing, settle
from fishtui.catalog.fixing import fix
from fishtui.catalog.history import history_of, new_action
from fishtui.errors import DataError, FishtuiError, MisuseError
from fishtui.listen.recordings import recordings
from fishtui.runs.reporter import Reporter
from tests.builders import file_size_limit, snapshot, write_codes
from tests.expecting import failing
from tests.forking import fishtui

TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1).filter(str.strip)


@pytest.fixture
def clip(dataset) -> int:
    dataset.clip("anna/a", "One.")
    dataset.scan()
    return dataset.id("anna/a")


def test_an_edit_writes_the_file_and_the_catalog(dataset, clip: int) -> None:
    assert edit(dataset.catalog, dataset.settings, clip, "نافذة")
    assert (dataset.data / "anna" / "a.lab").read_text(encoding="utf-8") == "نافذة"
    assert dataset.row("anna/a")["text"] == "نافذة"
    assert dataset.scan().changed == 0
    assert [(entry["before"], entry["after"]) for entry in history_of(dataset.catalog, clip)] == [("One.", "نافذة")]


@pytest.mark.parametrize("content", [b"\xef\xbb\xbfOne.\r\n", b"not \xff utf-8", b"", b"two\nlines\n", None])
def test_undo_restores_the_same_bytes(dataset, content: bytes | None) -> None:
    path = dataset.clip("anna/a").with_suffix(".lab")
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    dataset.scan()
    clip = dataset.id("anna/a")
    edit(dataset.catalog, dataset.settings, clip, "New.")
    assert path.read_bytes().startswith(b"New.")
    assert undo(dataset.catalog, dataset.settings) == 1
    assert (path.read_bytes() if path.exists() else None) == content


def test_an_invalid_transcript_is_refused(dataset, clip: int) -> None:
    for text, code in (
        ("", "empty-transcript"),
        ("  ", "empty-transcript"),
        ("two\nlines", "several-lines"),
        ("\ud800", "not-utf8"),
    ):
        with failing(code, MisuseError):
            edit(dataset.catalog, dataset.settings, clip, text)
    assert (dataset.data / "anna" / "a.lab").read_bytes() == b"One."


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.one_of(TEXTS, st.none()), max_size=12))
def test_edits_and_undos_behave_like_a_stack(dataset, steps: list[str | None]) -> None:
    """Each undo (None) reverts the last edit that is not undone yet, byte for byte."""
    path = dataset.data / "anna" / "a.lab"
    if not path.exists():
        dataset.clip("anna/a", "One.")
        dataset.scan()
    clip = dataset.id("anna/a")
    stack = [path.read_bytes()]
    for step in steps:
        if step is None:
            assert undo(dataset.catalog, dataset.settings, [clip]) == (len(stack) > 1)
            stack = stack[:-1] if len(stack) > 1 else stack
        elif edit(dataset.catalog, dataset.settings, clip, step):
            stack.append(step.encode())
        assert path.read_bytes() == stack[-1]
        assert dataset.row("anna/a")["text"] == stack[-1].decode("utf-8-sig")
    while len(stack) > 1:
        undo(dataset.catalog, dataset.settings, [clip])
        stack.pop()
    assert path.read_bytes() == stack[0]


def test_an_action_on_several_clips_is_undone_at_once(dataset) -> None:
    for name in "abc":
        dataset.clip(f"anna/{name}")
    dataset.scan()
    ids = [dataset.id(f"anna/{name}") for name in "abc"]
    assert review(dataset.catalog, ids[:1], "accepted", "good") == 1
    assert review(dataset.catalog, ids, "rejected") == 3
    for wrong in ("", "two words", "a,b", "a|b", "a\nb"):
        with failing("not-a-tag", MisuseError):
            tag(dataset.catalog, ids, add=["fine", wrong])
    assert tag(dataset.catalog, ids, add=["loud", "cough"]) == 3
    assert dataset.row("anna/a")["tags"] == "|cough|loud|"
    assert undo(dataset.catalog, dataset.settings) == 3
    assert dataset.row("anna/a")["tags"] == ""
    assert undo(dataset.catalog, dataset.settings) == 3
    row = dataset.row("anna/a")
    assert (row["status"], row["note"]) == ("accepted", "good")
    assert dataset.row("anna/b")["status"] == "open"


def test_repeating_a_review_records_no_action(dataset, clip: int) -> None:
    assert review(dataset.catalog, [clip], "accepted") == 1
    assert review(dataset.catalog, [clip], "accepted") == 0
    assert len(history_of(dataset.catalog, clip)) == 1


def test_a_review_without_a_note_keeps_the_existing_note(dataset, clip: int) -> None:
    review(dataset.catalog, [clip], "rejected", "a dog")
    assert review(dataset.catalog, [clip], "rejected") == 0
    assert dataset.row("anna/a")["note"] == "a dog"
    assert review(dataset.catalog, [clip], "rejected", "") == 1
    assert dataset.row("anna/a")["note"] == ""


def test_a_file_that_another_program_changed_since_is_not_undone(dataset, clip: int) -> None:
    edit(dataset.catalog, dataset.settings, clip, "Two.")
    path = dataset.data / "anna" / "a.lab"
    path.write_text("Three, by hand.", encoding="utf-8")
    with failing("not-undone", DataError) as raised:
        undo(dataset.catalog, dataset.settings, [clip])
    assert isinstance(raised.value.__cause__, DataError)
    assert raised.value.__cause__.code == "changed-since"
    assert path.read_text(encoding="utf-8") == "Three, by hand."
    assert undo(dataset.catalog, dataset.settings) == 0


def test_other_clips_are_undone_if_one_cannot_be(dataset) -> None:
    for name in "abc":
        dataset.clip(f"anna/{name}", "\ufeffOne.")
    dataset.scan()
    ids = [dataset.id(f"anna/{name}") for name in "abc"]
    assert fix(dataset.catalog, dataset.settings, Reporter(), "byte-order-mark", ids).done == 3
    (dataset.data / "anna" / "b.lab").write_text("By hand.", encoding="utf-8")
    with failing("not-undone", DataError) as raised:
        undo(dataset.catalog, dataset.settings)
    assert "1 of 3" in raised.value.problem
    texts = [(dataset.data / "anna" / f"{name}.lab").read_bytes() for name in "abc"]
    assert texts == ["\ufeffOne.".encode(), b"By hand.", "\ufeffOne.".encode()]


def test_undo_skips_actions_on_clips_that_are_gone(dataset) -> None:
    for name in "ab":
        dataset.clip(f"anna/{name}")
    dataset.scan()
    review(dataset.catalog, [dataset.id("anna/a")], "rejected")
    edit(dataset.catalog, dataset.settings, dataset.id("anna/b"), "Two.")
    for suffix in (".wav", ".lab"):
        (dataset.data / "anna" / f"b{suffix}").unlink()
    dataset.scan()
    assert undo(dataset.catalog, dataset.settings) == 1
    assert dataset.row("anna/a")["status"] == "open"


def test_an_undo_that_cannot_write_is_reverted(dataset, clip: int, monkeypatch: pytest.MonkeyPatch) -> None:
    edit(dataset.catalog, dataset.settings, clip, "Two.")

    def refuse(path: Path, content: bytes) -> None:
        if path.suffix == ".lab":
            raise FishtuiError(f"{path}: cannot write", "", code="cannot-write")
        changes_write(path, content)

    changes_write = filechanges.write_bytes
    with monkeypatch.context() as patched:
        patched.setattr(filechanges, "write_bytes", refuse)
        with failing("not-undone", DataError) as raised:
            undo(dataset.catalog, dataset.settings, [clip])
        assert isinstance(raised.value.__cause__, FishtuiError)
        assert raised.value.__cause__.code == "cannot-write"
    assert (dataset.data / "anna" / "a.lab").read_bytes() == b"Two."
    assert dataset.scan().changed == 0
    assert undo(dataset.catalog, dataset.settings, [clip]) == 1
    assert (dataset.data / "anna" / "a.lab").read_bytes() == b"One."


def test_a_link_in_place_of_the_partial_file_is_not_followed(dataset, clip: int, tmp_path: Path) -> None:
    victim = tmp_path / "victim.txt"
    victim.write_text("mine", encoding="utf-8")
    (dataset.data / "anna" / ".a.lab.partial").symlink_to(victim)
    edit(dataset.catalog, dataset.settings, clip, "Two.")
    assert victim.read_text(encoding="utf-8") == "mine"
    assert not (dataset.data / "anna" / "a.lab").is_symlink()


def test_an_edit_keeps_permissions_and_works_with_the_longest_names(dataset) -> None:
    path = dataset.clip("anna/" + "n" * 251).with_suffix(".lab")
    path.chmod(0o660)
    dataset.scan()
    assert edit(dataset.catalog, dataset.settings, 1, "Two.")
    assert path.stat().st_mode & 0o777 == 0o660
    assert path.read_bytes() == b"Two."


def test_an_edit_can_be_undone_after_the_clip_has_moved(dataset, clip: int) -> None:
    edit(dataset.catalog, dataset.settings, clip, "Two.")
    (dataset.data / "anna").rename(dataset.data / "berta")
    assert dataset.scan().moved == 1
    assert undo(dataset.catalog, dataset.settings, [dataset.id("berta/a")]) == 1
    assert (dataset.data / "berta" / "a.lab").read_bytes() == b"One."


def test_other_hard_links_to_an_edited_transcript_keep_their_content(dataset, clip: int, tmp_path: Path) -> None:
    original = tmp_path / "original.lab"
    original.hardlink_to(dataset.data / "anna" / "a.lab")
    edit(dataset.catalog, dataset.settings, clip, "Two.")
    assert original.read_bytes() == b"One."


def test_a_full_disk_leaves_file_and_history_unchanged(dataset, clip: int) -> None:
    before = snapshot(dataset.data)
    with file_size_limit(1000), failing("cannot-write"):
        edit(dataset.catalog, dataset.settings, clip, "x" * 5000)
    settle(dataset.catalog)
    assert snapshot(dataset.data) == before
    assert history_of(dataset.catalog, clip) == []
    assert edit(dataset.catalog, dataset.settings, clip, "Two.")


@pytest.mark.parametrize("moment", range(5))
@pytest.mark.parametrize("doing", ["do", "undo"])
def test_a_multi_file_change_killed_at_any_point_is_completed_or_reverted(
    dataset, clip: int, moment: int, doing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = dataset.data / "anna"
    files = {folder / "a.flac": b"new", folder / "a.wav": None, folder / "a.lab": b"Text."}
    before = snapshot(dataset.data)
    with changing(dataset.catalog):
        if doing == "undo":
            change(dataset.catalog, dataset.settings, clip, files, new_action(dataset.catalog), "fix")
    after = snapshot(dataset.data) if doing == "undo" else {"anna/a.flac": b"new", "anna/a.lab": b"Text."}
    steps = iter(range(moment))

    class Death(BaseException):
        """Ends a change as a killed process would."""

    def dying(function):
        def step(*arguments, **options):
            if next(steps, None) is None:
                raise Death
            return function(*arguments, **options)

        return step

    with monkeypatch.context() as patched:
        patched.setattr(filechanges, "write_bytes", dying(filechanges.write_bytes))
        patched.setattr(Path, "unlink", dying(Path.unlink))
        with suppress(Death):
            if doing == "undo":
                undo(dataset.catalog, dataset.settings, [clip])
            else:
                with changing(dataset.catalog):
                    change(dataset.catalog, dataset.settings, clip, files, 99, "fix")
    settle(dataset.catalog)
    assert snapshot(dataset.data) in (before, after)
    assert not dataset.catalog.query("SELECT 1 FROM history WHERE state IN ('pending', 'undoing')")


KILLED = """
import os, signal, sys
from pathlib import Path
from fishtui.catalog import actions, filechanges
from fishtui.catalog.actions import edit
from fishtui.catalog.store import Catalog
from fishtui.project import Project
from fishtui.settings import Settings
root, clip, moment = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
calls = iter(range(moment))
for name in ("os.replace", "os.fsync"):
    original = getattr(os, name[3:])
    def step(*a, original=original, **k):
        if next(calls, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*a, **k)
    setattr(os, name[3:], step)
with Catalog(Project(root), root / "data") as catalog:
    edit(catalog, Settings(), clip, "Two.")
"""


@pytest.mark.parametrize("moment", range(5))
def test_an_edit_killed_at_any_moment_leaves_a_complete_file_and_a_working_catalog(
    dataset, clip: int, moment: int
) -> None:
    root = dataset.catalog.project.root
    killed = subprocess.run([sys.executable, "-c", KILLED, root, str(clip), str(moment)], check=False)
    assert killed.returncode == (-signal.SIGKILL if moment < 4 else 0)
    dataset.scan()
    content = (dataset.data / "anna" / "a.lab").read_bytes()
    assert content in (b"One.", b"Two.")
    assert dataset.catalog.value("PRAGMA integrity_check") == "ok"
    undone = undo(dataset.catalog, dataset.settings, [clip])
    assert undone == (content == b"Two.")
    assert (dataset.data / "anna" / "a.lab").read_bytes() == b"One."


@pytest.mark.parametrize("doing", ["do", "undo"])
@pytest.mark.parametrize("step", ["refresh", "finish_change", "finish_undo"])
def test_the_catalog_shows_an_edit_that_was_killed_between_file_and_catalog_after_its_repetition(
    dataset, clip: int, doing: str, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Death(BaseException):
        """Ends an action as a killed process would."""

    def die(*arguments: object) -> None:
        if arguments[-1]:
            raise Death

    def act() -> bool | int:
        if doing == "undo":
            return undo(dataset.catalog, dataset.settings, [clip])
        return edit(dataset.catalog, dataset.settings, clip, "Two.")

    if doing == "undo":
        edit(dataset.catalog, dataset.settings, clip, "Two.")
    with monkeypatch.context() as patched, suppress(Death):
        # The first refresh, of clips that were left unfinished, is of none.
        original = actions.refresh
        patched.setattr(actions, step, lambda *each: die(*each) or (step == "refresh" and original(*each)))
        act()
    act()
    text = dataset.catalog.value("SELECT text FROM clips WHERE id = ?", (clip,))
    assert (dataset.data / "anna" / "a.lab").read_text() == text == ("Two." if doing == "do" else "One.")
    assert not dataset.catalog.query("SELECT 1 FROM history WHERE state IN ('pending', 'undoing')")


def test_commands_report_their_results(dataset) -> None:
    for name in "abc":
        dataset.clip(f"anna/{name}")
    root = dataset.catalog.project.root

    def run(*arguments: str) -> str:
        result = fishtui(*arguments, cwd=root)
        assert result.returncode == 0, result.stderr
        return result.stdout.strip()

    run("scan")
    assert run("clips", "accept", "anna/a", "2", "--note", "fine") == "2 clips accepted"
    assert run("clips", "reject", "--where", "status:open") == "1 clip rejected"
    assert run("clips", "undo").split("\n") == ["anna/c  open → rejected", "1 clip undone"]
    assert run("clips", "edit", "anna/b", "--text", "Another text.") == "1 clip edited"
    assert "Hello there. → Another text." in run("clips", "show", "anna/b")
    assert run("clips", "undo", "anna/b").endswith("1 clip undone")
    assert run("clips", "tag", "1", "--add", "loud") == "1 clip tagged"
    assert run("clips", "list", "tag:loud").splitlines()[-1] == "1 clip"
    assert "CHARACTERS" not in run("clips", "list")
    assert "CHARACTERS" in run("clips", "list", "sort:-characters").splitlines()[0]
    assert fishtui("clips", "accept", cwd=root).returncode == 2
    assert fishtui("clips", "accept", "anna/none", cwd=root).returncode == 2


def test_a_fix_is_one_action_that_can_be_undone(dataset) -> None:
    import numpy as np

    from tests.builders import tone

    left = tone(1.0, 16_000)
    path = dataset.clip("anna/a", samples=np.stack([left, tone(1.0, 16_000, pitch=500)], axis=1))
    path.with_suffix(".npy").write_bytes(b"codes of the stereo recording")
    dataset.clip("anna/mono")
    dataset.scan()
    from fishtui.catalog.measurements import measure_clips

    measure_clips(dataset.catalog, dataset.settings, Reporter())
    assert "stereo" in dataset.codes_found("anna/a")
    before = snapshot(dataset.data)
    ids = [dataset.id("anna/a"), dataset.id("anna/mono")]
    ledger = fix(dataset.catalog, dataset.settings, Reporter(), "stereo", ids, dry_run=True)
    assert (ledger.done, len(ledger.skipped)) == (1, 1)
    assert snapshot(dataset.data) == before
    fix(dataset.catalog, dataset.settings, Reporter(), "stereo", ids)
    assert dataset.row("anna/a")["channels"] == 1
    assert "stereo" not in dataset.codes_found("anna/a")
    assert not path.with_suffix(".npy").exists()
    assert undo(dataset.catalog, dataset.settings) == 1
    assert snapshot(dataset.data) == before


@pytest.mark.parametrize("given", [True, False])
def test_a_fix_is_undone_after_extract_has_made_codes_again(dataset, given: bool) -> None:
    path = dataset.clip("anna/a")
    if given:
        write_codes(path.with_suffix(".npy"), frames=9)
    else:
        dataset.extract("anna/a", frames=9)
    dataset.scan()
    clip = dataset.id("anna/a")
    before = snapshot(dataset.data)
    state = dataset.row("anna/a")["codes"]
    assert state == ("given" if given else "current")
    dataset.catalog.connection.execute("INSERT INTO findings VALUES (?, 'loudness', 1, '')", (clip,))
    assert fix(dataset.catalog, dataset.settings, Reporter(), "loudness", [clip]).done == 1
    assert dataset.row("anna/a")["codes"] == ("missing" if given else "stale")
    dataset.extract("anna/a", frames=8)
    assert undo(dataset.catalog, dataset.settings) == 1
    after = snapshot(dataset.data)
    assert after["anna/a.wav"] == before["anna/a.wav"]
    if given:
        assert (after, dataset.row("anna/a")["codes"]) == (before, "given")
    else:
        assert dataset.row("anna/a")["codes"] == "stale"


def test_codes_that_another_program_made_since_prevent_an_undo(dataset) -> None:
    path = dataset.clip("anna/a")
    write_codes(path.with_suffix(".npy"), frames=9)
    dataset.scan()
    dataset.catalog.connection.execute("INSERT INTO findings VALUES (?, 'loudness', 1, '')", (dataset.id("anna/a"),))
    fix(dataset.catalog, dataset.settings, Reporter(), "loudness", [dataset.id("anna/a")])
    write_codes(path.with_suffix(".npy"), frames=8)
    before = snapshot(dataset.data)
    with failing("not-undone", DataError):
        undo(dataset.catalog, dataset.settings)
    assert snapshot(dataset.data) == before


def test_the_loudness_of_a_clip_is_set_for_what_the_model_hears(dataset) -> None:
    import numpy as np

    from fishtui.catalog.measurements import measure_clips
    from tests.builders import tone

    left = tone(1.0, 16_000)
    left *= 0.85 / np.abs(left).max()
    dataset.clip("anna/a", samples=np.stack([left, -0.9 * left], axis=1))
    dataset.scan()
    measure_clips(dataset.catalog, dataset.settings, Reporter())
    assert "loudness" in dataset.codes_found("anna/a")
    fix(dataset.catalog, dataset.settings, Reporter(), "loudness", [dataset.id("anna/a")])
    measure_clips(dataset.catalog, dataset.settings, Reporter())
    assert dataset.row("anna/a")["loudness"] == pytest.approx(dataset.settings.normalize.loudness, abs=0.1)


@pytest.mark.parametrize("path", ["/outside.lab", "../outside.lab", "anna/../../outside.lab", ""])
@pytest.mark.parametrize("state", ["done", "pending", "undoing"])
def test_the_history_never_leads_outside_the_dataset(dataset, path: str, state: str) -> None:
    """Another user may have written the catalog."""
    dataset.clip("anna/a", "one")
    dataset.scan()
    clip = dataset.id("anna/a")
    outside = dataset.data.parent / "outside.lab"
    edit(dataset.catalog, dataset.settings, clip, "two")
    # With the content that an undo expects and would replace.
    edited = (dataset.data / "anna" / "a.lab").read_bytes()
    outside.write_bytes(edited)
    there = str(outside) if path.startswith("/") else path
    dataset.catalog.connection.execute("UPDATE history SET path = ?, state = ?", (there, state))
    with failing("not-undone" if state == "done" else "damaged-catalog"):
        undo(dataset.catalog, dataset.settings)
    assert outside.read_bytes() == edited
    assert (dataset.data / "anna" / "a.lab").read_bytes() == edited


@pytest.mark.parametrize("name", ["../outside", "/outside", "anna/../../outside"])
def test_a_clip_whose_name_leads_outside_the_dataset_is_refused(dataset, name: str) -> None:
    """Another user may have written the catalog."""
    dataset.clip("anna/a", "one")
    dataset.scan()
    clip = dataset.id("anna/a")
    outside = dataset.data.parent / "outside.lab"
    outside.write_text("secret")
    dataset.catalog.connection.execute("UPDATE clips SET name = ? WHERE id = ?", (name, clip))
    row = clip_row(dataset.catalog, clip)
    with failing("damaged-catalog"):
        edit(dataset.catalog, dataset.settings, clip, "two")
    with failing("damaged-catalog"):
        current_transcript(dataset.catalog, dataset.settings, clip)
    with failing("damaged-catalog"):
        audio_path(dataset.catalog, row)
    with failing("damaged-catalog"):
        recordings(dataset.catalog, "")
    assert outside.read_text() == "secret"


@pytest.mark.parametrize("value", ["", "[", "[]", "[1, 2, 3, 4]", "[" * 100_000, '{"a": 1}', "null"])
def test_a_review_that_is_damaged_in_the_history_is_an_error(dataset, value: str) -> None:
    dataset.clip("anna/a", "one")
    dataset.scan()
    clip = dataset.id("anna/a")
    review(dataset.catalog, [clip], "rejected")
    dataset.catalog.connection.execute("UPDATE history SET before = ?", (value,))
    with failing("not-undone"):
        undo(dataset.catalog, dataset.settings, [clip])
    with failing("damaged-catalog"):
        history_of(dataset.catalog, clip)
