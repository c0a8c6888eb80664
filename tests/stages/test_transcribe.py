from __future__ import annotations

import os
import shutil
import signal
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fishtui.audio.encode import write_audio
from fishtui.catalog import actions
from fishtui.catalog.details import read_details
from fishtui.catalog.lookup import find_rows
from fishtui.catalog.scan import scan
from fishtui.catalog.store import Catalog
from fishtui.errors import FishtuiError, MisuseError
from fishtui.judges import server
from fishtui.judges.server import KEY
from fishtui.runs.ledger import Ledger
from fishtui.runs.reporter import Reporter
from fishtui.settings import Settings, load
from fishtui.stages import transcribe as stage
from fishtui.stages.recognition import Choice
from fishtui.stages.transcribe import NOTHING_HEARD, UP_TO_DATE, transcribe
from tests.builders import project, snapshot, tone, write_clip
from tests.expecting import failing
from tests.judges.material import SPEECH, needing
from tests.transcriptions import Request, Transcriptions, serving, spoken_answer


class Transcribing:
    """A project whose clips a server transcribes; the words depend on the length of each clip."""

    def __init__(self, root: Path, served: Transcriptions) -> None:
        self.project = project(root)
        self.data = root / "data"
        self.served = served
        self.notes: list[str] = []
        self.words = {1.0: "One fine day.", 2.0: "Two ships came in.", 3.0: "Three cats sat down."}
        self.answer(lambda request: spoken_answer(self.words[round(request.seconds, 1)], -0.2))
        for number, text in enumerate([None, "Two ships came in!", "Four dogs ran away."], start=1):
            write_clip(self.data / f"anna/{number}.wav", text, tone(float(number), rate=8_000), rate=8_000)

    def answer(self, answers: Any) -> None:
        self.served.answers = answers

    def settings(self, *overrides: str) -> Settings:
        base = ("transcribe.recognizer=server", f"transcribe.url={self.served.url}", "scan.workers=1")
        return load(self.project.settings_file, {}, [*base, *overrides]).values

    def run(self, *terms: str, overrides: Sequence[str] = (), **arguments: Any) -> Ledger:
        reporter = Reporter()
        reporter.listen(lambda event: self.notes.append(event["message"]) if event["kind"] == "note" else None)
        return transcribe(self.project, self.settings(*overrides), reporter, terms=terms, **arguments)

    def catalog(self) -> Catalog:
        return Catalog(self.project, self.data)

    def found(self, filter: str) -> list[str]:
        with self.catalog() as catalog:
            scan(catalog, self.settings(), Reporter())
            return [row["name"] for row in find_rows(catalog, filter)]


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Transcribing]:
    monkeypatch.setattr(server, "DELAYS_S", ())
    monkeypatch.delenv(KEY, raising=False)
    with serving(lambda request: spoken_answer("")) as served:
        yield Transcribing(tmp_path, served)


def reasons(ledger: Ledger) -> dict[str, str]:
    return {entry.item: entry.reason for entry in [*ledger.failed, *ledger.skipped]}


def test_missing_transcripts_become_drafts_and_others_are_compared(made: Transcribing) -> None:
    before = {name: content for name, content in snapshot(made.data).items() if name.endswith(".lab")}
    ledger = made.run()
    assert (ledger.done, ledger.total) == (3, 3)
    assert ledger.counts == {"drafts": 1, "compared": 2, "disagreements": 1}
    after = {name: content for name, content in snapshot(made.data).items() if name.endswith(".lab")}
    assert after == {**before, "anna/1.lab": b"One fine day.\n"}
    assert any("draft:yes" in note for note in made.notes)
    assert any("finding:disagreement" in note for note in made.notes)
    assert made.found("draft:yes") == ["anna/1"]
    assert made.found("draft:no") == ["anna/2", "anna/3"]
    assert made.found("finding:disagreement") == made.found("disagreement:>0.3") == ["anna/3"]
    assert made.found("sort:-disagreement") == ["anna/3", "anna/2", "anna/1"]
    with made.catalog() as catalog:
        drafted, differing = (read_details(catalog, clip).recognized for clip in (1, 3))
    assert drafted.draft is not None
    assert drafted.draft.recognizer == "server"
    assert drafted.draft.confidence == pytest.approx(np.exp(-0.2))
    assert drafted.heard is None
    assert differing.heard == "Three cats sat down."


def test_what_is_up_to_date_is_not_sent_again(made: Transcribing) -> None:
    made.run()
    count = len(made.served.requests)
    assert set(reasons(made.run()).values()) == {UP_TO_DATE}
    assert set(reasons(made.run(dry_run=True)).values()) == {UP_TO_DATE}
    assert len(made.served.requests) == count
    assert made.run(overrides=["transcribe.model=other"]).done == 3


def test_a_preview_writes_nothing(made: Transcribing) -> None:
    made.found("")
    before = snapshot(made.data)
    assert made.run(dry_run=True).done == 3
    assert snapshot(made.data) == before
    assert made.served.requests == []


def test_an_edit_and_an_acceptance_end_a_draft_and_undoing_them_restores_it(made: Transcribing) -> None:
    made.run("name:anna/1")
    settings = made.settings()
    with made.catalog() as catalog:
        for act in (
            lambda: actions.edit(catalog, settings, 1, "One fine night."),
            lambda: actions.review(catalog, [1], "accepted"),
        ):
            act()
            assert made.found("draft:yes") == []
            actions.undo(catalog, settings)
            assert made.found("draft:yes") == ["anna/1"]


def test_a_draft_stays_one_when_its_clip_is_renamed_or_its_recording_repaired(made: Transcribing) -> None:
    made.run("name:anna/1")
    for end in (".wav", ".lab"):
        (made.data / f"anna/1{end}").rename(made.data / f"anna/other{end}")
    assert made.found("draft:yes") == ["anna/other"]
    write_audio(made.data / "anna/other.wav", tone(1.2, rate=8_000), 8_000)
    assert made.found("draft:yes") == ["anna/other"]


def test_an_edited_transcript_is_compared_without_hearing_it_again(made: Transcribing) -> None:
    made.run()
    count = len(made.served.requests)
    with made.catalog() as catalog:
        actions.edit(catalog, made.settings(), 3, "Three cats sat down")
    assert made.found("finding:disagreement") == []
    assert made.run().counts["compared"] == 1
    assert len(made.served.requests) == count
    assert made.found("disagreement:0") == ["anna/2", "anna/3"]


def test_words_that_are_only_marked_for_the_model_do_not_count(made: Transcribing) -> None:
    (made.data / "anna/2.lab").write_text("<laugh> Two ships {pause} came in.")
    made.run()
    assert made.found("disagreement:0") == ["anna/2"]


def test_existing_files_are_never_overwritten(made: Transcribing) -> None:
    (made.data / "anna/1.lab").write_bytes(b"  \n")
    (made.data / "anna/2.lab").write_bytes(b"\xff\xfe\xff")
    (made.data / "anna/3.lab").rename(made.data / "anna/3.txt")
    before = snapshot(made.data)
    ledger = made.run()
    assert ledger.done == 0
    assert set(reasons(ledger)) == {"anna/1", "anna/2", "anna/3"}
    assert snapshot(made.data) == before


def test_a_transcript_that_appears_meanwhile_is_kept(made: Transcribing) -> None:
    def answer(request: Request) -> tuple[int, Any]:
        (made.data / "anna/1.lab").write_text("My own words.")
        return spoken_answer("Others.")

    made.answer(answer)
    assert "anna/1" in reasons(made.run("name:anna/1"))
    assert (made.data / "anna/1.lab").read_text() == "My own words."
    assert made.found("draft:yes") == []


def test_a_server_gets_several_clips_at_once(made: Transcribing) -> None:
    together = threading.Barrier(3, timeout=30)

    def answer(request: Request) -> tuple[int, Any]:
        together.wait()
        return spoken_answer(made.words[round(request.seconds, 1)])

    made.answer(answer)
    assert made.run().done == 3
    assert made.found("draft:yes") == ["anna/1"]


def test_a_bad_clip_is_a_line_of_the_ledger(made: Transcribing) -> None:
    (made.data / "anna/0.wav").write_bytes(b"not a recording")
    write_audio(made.data / "anna/4.wav", np.zeros(8_000, np.float32), 8_000)
    (made.data / "anna/5.flac").write_bytes((SPEECH / "lj-0.flac").read_bytes()[:9_000])
    real = made.words

    def answer(request: Request) -> tuple[int, Any]:
        if round(request.seconds) == 2:
            return 413, {"error": "too long"}
        return spoken_answer(real.get(round(request.seconds, 1), ""))

    made.answer(answer)
    ledger = made.run()
    assert ledger.done == 2
    assert {entry.item for entry in ledger.failed} == {"anna/0", "anna/2", "anna/5"}
    assert reasons(ledger)["anna/4"] == NOTHING_HEARD
    assert made.run().total == 6


def test_a_clip_without_words_gets_no_transcript(made: Transcribing) -> None:
    made.answer(lambda request: spoken_answer("  \n "))
    assert reasons(made.run("name:anna/1")) == {"anna/1": NOTHING_HEARD}
    assert not (made.data / "anna/1.lab").exists()
    count = len(made.served.requests)
    assert reasons(made.run("name:anna/1")) == {"anna/1": NOTHING_HEARD}
    assert len(made.served.requests) == count


def test_a_server_that_is_gone_stops_and_the_next_run_continues(made: Transcribing) -> None:
    made.run("name:anna/1")
    good = made.served.answers
    made.answer(lambda request: (503, {}))
    for number in range(4, 7):
        write_clip(made.data / f"anna/{number}.wav", None, tone(1.0, rate=8_000, pitch=90.0 * number), rate=8_000)
    with failing("server-gone"):
        made.run()
    made.answer(good)
    ledger = made.run()
    assert (ledger.done, len(ledger.skipped)) == (5, 1)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("place", ["store_recognition", "store_drafts", "write_text", "refresh"])
def test_a_run_that_is_killed_anywhere_ends_with_the_same_result(made: Transcribing, place: str, when: str) -> None:
    """A child process is killed before or after a step of its first draft."""
    made.found("")
    child = os.fork()
    if child == 0:
        real = getattr(stage, place)

        def dying(*arguments: Any) -> None:
            if when == "after":
                real(*arguments)
            os.kill(os.getpid(), signal.SIGKILL)

        setattr(stage, place, dying)
        made.run()
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    made.run()
    assert (made.data / "anna/1.lab").read_text() == "One fine day.\n"
    assert made.found("draft:yes") == ["anna/1"]
    assert made.found("finding:disagreement") == ["anna/3"]


def test_a_full_disk_stops_the_run_and_nothing_is_lost(made: Transcribing, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, content: str) -> None:
        error = OSError(28, "No space left on device")
        raise FishtuiError("full", "Free some space.", code="cannot-write") from error

    with monkeypatch.context() as patched:
        patched.setattr(stage, "write_text", full)
        with failing("no-space"):
            made.run(overrides=["transcribe.requests=1"])
    count = len(made.served.requests)
    assert made.run("name:anna/1").counts["drafts"] == 1
    assert len(made.served.requests) == count


def test_the_key_is_in_no_file(made: Transcribing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, "sk-very-secret-7")
    made.answer(lambda request: (401, {"error": {"message": "wrong key sk-very-secret-7"}}))
    with pytest.raises(FishtuiError) as raised:
        made.run()
    assert (raised.value.code, "sk-very" in str(raised.value)) == ("server-key", False)
    assert not [name for name, content in snapshot(made.project.root).items() if b"sk-very" in content]


@pytest.mark.parametrize("url", ["http://user:word@host/v1", "ftp://host", "http://host/v1?key=1", "host"])
def test_an_address_with_a_secret_is_refused(made: Transcribing, url: str) -> None:
    with failing("bad-setting", MisuseError):
        made.settings(f"transcribe.url={url}")


def test_pocketsphinx_drafts_real_speech_and_finds_a_wrong_transcript(made: Transcribing) -> None:
    needing("pocketsphinx", "jiwer")
    shutil.rmtree(made.data)
    own = ["transcribe.recognizer=pocketsphinx", "checks.max_disagreement=0.5"]
    (made.data / "lj").mkdir(parents=True)
    # Two short clips, because the recognizer takes as long as they last.
    for name in ("lj-0", "lj-3"):
        shutil.copy(SPEECH / f"{name}.flac", made.data / "lj")
    (made.data / "lj/lj-3.lab").write_text("Seventeen ships left the harbour at dawn.")
    ledger = made.run(overrides=own)
    assert (ledger.done, ledger.counts["drafts"]) == (2, 1)
    assert "comparatively" in (made.data / "lj/lj-0.lab").read_text()
    assert made.found("draft:yes") == ["lj/lj-0"]
    assert made.found("finding:disagreement") == ["lj/lj-3"]
    with made.catalog() as catalog:
        draft = read_details(catalog, 1).recognized.draft
    assert draft is not None
    assert 0 < (draft.confidence or 0) < 1
    with failing("unknown-language", MisuseError):
        made.run(overrides=[*own, "transcribe.language=de"])


def test_missing_weights_name_the_command_that_downloads_them(made: Transcribing) -> None:
    settings = made.settings("transcribe.recognizer=faster-whisper", "transcribe.model=tiny")
    with failing("missing-recognizer") as raised:
        Choice(made.project.root, settings.transcribe).check()
    assert "fishtui download --judge transcribe --set transcribe.model=tiny" in raised.value.remedy
    with failing("no-server", MisuseError):
        made.run(overrides=["transcribe.url="])
