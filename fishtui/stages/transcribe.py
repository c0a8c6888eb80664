"""transcribe: let a recognizer draft missing transcripts, and compare it with those that exist."""

from __future__ import annotations

import os
import sqlite3
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path

from fishtui.audio.decode import read_audio
from fishtui.catalog.filechanges import changing
from fishtui.catalog.files import clip_of
from fishtui.catalog.findings import judge_all
from fishtui.catalog.lookup import find_ids
from fishtui.catalog.recognitions import (
    Draft,
    Recognition,
    read_compared,
    read_recognitions,
    store_disagreement,
    store_drafts,
    store_recognition,
)
from fishtui.catalog.scan import refresh, scan
from fishtui.catalog.store import Catalog, path_in
from fishtui.checkpoint import CheckpointFolder
from fishtui.errors import DataError, FishtuiError, MisuseError
from fishtui.families.family import Family
from fishtui.files import refuse_full_disk, write_text
from fishtui.judges.hearing import Heard, Recognizer
from fishtui.judges.intelligibility import compared
from fishtui.judges.spoken import Spoken
from fishtui.project import Project
from fishtui.runs.ledger import Ledger
from fishtui.runs.reporter import Reporter
from fishtui.settings import Settings
from fishtui.stages.recognition import SERVER, Choice
from fishtui.wording import counted, reason_of
from fishtui.workers import in_thread

Hear = Callable[[], Heard]
# Whole recordings are in memory, and recognizers are for clips.
LONGEST_S = 600.0
UP_TO_DATE = "up to date"
NOTHING_HEARD = "no words recognized"
CHANGED = "changed while clips were transcribed; run `fishtui transcribe` again"


def transcribe(
    project: Project, settings: Settings, reporter: Reporter, *, terms: Sequence[str] = (), dry_run: bool = False
) -> Ledger:
    """Write drafts of missing transcripts of the clips that the filter selects, and compare the other transcripts.

    Each clip is stored when it is recognized, so a stopped transcription continues where it was, and an edited
    transcript is compared without recognizing the clip again. Existing transcripts are never changed. Raises
    MisuseError for a wrong filter or settings, FishtuiError if the recognizer is missing or damaged, the server is
    gone, or the disk is full.
    """
    choice = Choice(project.root, settings.transcribe)
    with Catalog(project, project.path(settings.paths.data)) as catalog:
        if not dry_run:
            scan(catalog, settings, reporter)
        job = TranscribingJob(catalog, settings, reporter, choice, choice.identity())
        tasks = job.plan(" ".join(terms))
        if dry_run:
            job.ledger.done = len(tasks)
        else:
            job.run(tasks)
            judge_all(catalog, settings)
            job.note_next()
    return job.ledger


@dataclass(frozen=True)
class TranscribeTask:
    """A clip to draft, or with a `text`, its transcript, to compare."""

    id: int
    name: str
    audio: Path
    audio_hash: str
    text: str | None


@dataclass
class TranscribingJob:
    """One transcription: `identity` is that of the recognizer, `heard` what it has recognized, by hash."""

    catalog: Catalog
    settings: Settings
    reporter: Reporter
    choice: Choice
    identity: str
    ledger: Ledger = field(default_factory=Ledger)
    heard: dict[str, Recognition] = field(default_factory=dict)

    @cached_property
    def family(self) -> Family:
        """The family of the model that the project trains, which decides what of a text is spoken."""
        return CheckpointFolder(self.catalog.project.path(self.settings.paths.checkpoint)).family_or_default

    def plan(self, terms: str) -> list[TranscribeTask]:
        """Return the clips to work on among those that the filter selects; enter the others in the ledger."""
        wanted = set(find_ids(self.catalog, terms))
        self.heard = read_recognitions(self.catalog, self.identity)
        known = read_compared(self.catalog)
        rows = self.catalog.query(
            """
            SELECT id, name, files, status, reviewer, audio_hash, audio_problem, audio_fault, format, duration,
                text, text_fault, text_problem, other_text, draft
            FROM clips WHERE gone IS NULL ORDER BY name
            """
        )
        tasks = []
        for row in rows:
            if row["id"] not in wanted:
                continue
            if row["status"] == "rejected":
                self.ledger.skip(row["name"], f"rejected by {row['reviewer']}")
            elif problem := _problem(row):
                self.ledger.fail(row["name"], problem)
            elif reason := self._omitted(row, known):
                self.ledger.skip(row["name"], reason)
            else:
                audio = path_in(self.catalog, row["name"]).with_name(row["files"])
                tasks.append(TranscribeTask(row["id"], row["name"], audio, row["audio_hash"], row["text"]))
        return tasks

    def _omitted(self, row: sqlite3.Row, known: set[tuple[str, str]]) -> str:
        """Return the reason why nothing is due for a clip, empty if something is."""
        text, heard = row["text"], self.heard.get(row["audio_hash"])
        if text is None:
            if row["other_text"]:
                return f"its text is in {row['other_text']}: rename it, or set pack.text_extension"
            return NOTHING_HEARD if heard is not None and not heard.heard else ""
        if not text.strip():
            return "its transcript is empty: remove the file to get a draft"
        if heard is not None and (row["draft"] and text.strip() == heard.heard):
            return UP_TO_DATE
        return UP_TO_DATE if heard is not None and (row["audio_hash"], text) in known else ""

    def run(self, tasks: Sequence[TranscribeTask]) -> None:
        """Recognize, and write drafts or compare. Raises FishtuiError."""
        counts = {"drafts": 0, "compared": 0, "disagreements": 0}
        for number, (task, hear) in enumerate(self._begun(tasks)):
            self.reporter.progress(number, len(tasks), note=task.name)
            try:
                recognition = self._recognize(task, hear)
                if task.text is None:
                    self._draft(task, recognition)
                    counts["drafts"] += 1
                else:
                    share = self._compare(task, task.text, recognition)
                    counts["compared"] += 1
                    counts["disagreements"] += (share or 0.0) > self.settings.checks.max_disagreement
                self.ledger.done += 1
            except Nothing:
                self.ledger.skip(task.name, NOTHING_HEARD)
            except DataError as error:
                self.ledger.fail(task.name, error.problem)
        self.reporter.progress(len(tasks), len(tasks))
        self.ledger.counts |= counts

    def note_next(self) -> None:
        """Report how to review what was found."""
        if drafts := self.ledger.counts["drafts"]:
            self.reporter.note(f"{counted(int(drafts), 'new draft')} to review: `fishtui clips list draft:yes`")
        if differing := self.ledger.counts["disagreements"]:
            clips = counted(int(differing), "transcript")
            self.reporter.note(f"{clips} to check: `fishtui clips list 'finding:disagreement sort:-disagreement'`")

    def _begun(self, tasks: Iterable[TranscribeTask]) -> Iterator[tuple[TranscribeTask, Hear]]:
        """Yield each task with the function that hears it; a server hears several at once."""
        is_server = self.choice.settings.recognizer == SERVER
        begun: deque[tuple[TranscribeTask, Hear]] = deque()
        for task in tasks:
            hear: Hear = partial(self._hear, task)
            if is_server and task.audio_hash not in self.heard:
                hear = in_thread(partial(hear_clip, self._loaded, task))
            begun.append((task, hear))
            if len(begun) >= (self.choice.settings.requests if is_server else 1):
                yield begun.popleft()
        yield from begun

    def _hear(self, task: TranscribeTask) -> Heard:
        return hear_clip(self._loaded, task)

    @cached_property
    def _loaded(self) -> Recognizer:
        recognizer = self.choice.load()
        if self.choice.settings.recognizer == SERVER:
            self.reporter.note(f"recordings are sent to {self.choice.settings.url}")
        return recognizer

    def _recognize(self, task: TranscribeTask, hear: Hear) -> Recognition:
        """Return what is heard in a clip, recognized at most once. Raises DataError if only this clip fails."""
        known = self.heard.get(task.audio_hash)
        if known is not None:
            return known
        heard = hear()
        found = Recognition(
            task.audio_hash,
            self.identity,
            self._loaded.name,
            self.choice.model,
            heard.language,
            " ".join(heard.text.split()),
            heard.confidence,
        )
        store_recognition(self.catalog, found)
        self.heard[task.audio_hash] = found
        return found

    def _draft(self, task: TranscribeTask, found: Recognition) -> None:
        """Write the words as the transcript of a clip, unless it got one meanwhile. Raises DataError, `Nothing`."""
        if not found.heard:
            raise Nothing
        text = f"{found.heard}\n"
        path = clip_of(self.catalog, self.settings, task.name).transcript
        # First, so that a process that is killed in between leaves no unmarked draft.
        store_drafts(self.catalog, [Draft(task.audio_hash, text, found.recognizer, found.model, found.confidence)])
        with changing(self.catalog, lambda clips: refresh(self.catalog, self.settings, clips)):
            if os.path.lexists(path):
                raise DataError(f"its transcript {CHANGED}", code="exists")
            try:
                write_text(path, text)
            except FishtuiError as error:
                refuse_full_disk(error, self.ledger.done)
                raise DataError(error.problem, error.remedy, code=error.code) from error
        refresh(self.catalog, self.settings, [task.id])

    def _compare(self, task: TranscribeTask, text: str, found: Recognition) -> float | None:
        """Store the share of characters that differ; return it, None for a transcript without words."""
        spoken = self.family.words(self.family.clean(text))
        language = self.settings.transcribe.language or found.language
        errors = compared(spoken, found.heard, language).figures.get("character_errors")
        share = None if errors is None else errors / 100
        store_disagreement(self.catalog, self.settings, task.audio_hash, text, share, [task.id])
        return share


class Nothing(Exception):
    """A recognizer heard no words."""


def hear_clip(recognizer: Recognizer, task: TranscribeTask) -> Heard:
    """Return the words of a recording. Raises DataError if only this one fails, FishtuiError if all would."""
    try:
        audio = read_audio(task.audio, mixed=True)
        if audio.sha256 != task.audio_hash:
            raise DataError(f"its recording {CHANGED}", code="source-changed")
        if not Spoken(audio.samples[:, 0], audio.rate, "").has_speech:
            return Heard("")
        return recognizer.hear(audio.samples[:, 0], audio.rate)
    except MisuseError as error:
        # Of a rate or scale that no speech has.
        raise DataError(error.problem, error.remedy, code=error.code) from error
    except (MemoryError, ValueError, RuntimeError) as error:
        raise DataError(f"cannot recognize: {reason_of(error)}", code="cannot-recognize") from error


def _problem(row: sqlite3.Row) -> str:
    """Return the reason why a clip cannot be recognized, empty if it can."""
    if not row["files"]:
        return "no recording"
    if "/" in row["files"]:
        return "several recordings with this name"
    if row["format"] is None or row["audio_hash"] is None:
        return row["audio_problem"] or row["audio_fault"] or "its recording cannot be read"
    if (row["duration"] or 0.0) > LONGEST_S:
        return f"longer than {LONGEST_S:.0f} s: cut it with `fishtui slice`"
    if row["text"] is None and row["text_fault"] != "missing-transcript":
        return row["text_problem"] or "its transcript cannot be read"
    return ""
