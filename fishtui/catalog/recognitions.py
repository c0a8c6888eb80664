"""The words that recognizers heard in recordings: drafts of transcripts, and differences from transcripts that exist.

Everything belongs to the content of a recording and of a transcript, as the place of a cut does: it follows a renamed
clip, and an undone edit makes a transcript a draft again. A draft is one until a person accepts the clip or edits it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from fishtui.catalog.findings import judge_clips
from fishtui.catalog.store import Catalog, stored
from fishtui.settings import Settings


@dataclass(frozen=True, slots=True)
class Recognition:
    """The words that a recognizer heard in a recording with this hash, empty if none.

    `identity` changes with the recognizer, its version, weights and language. `confidence` is from 0 to 1.
    """

    audio_hash: str
    identity: str
    recognizer: str
    model: str
    language: str
    heard: str
    confidence: float | None


@dataclass(frozen=True, slots=True)
class Draft:
    """A transcript that a recognizer wrote: the hash of the recording, and the whole content of the file as text."""

    audio_hash: str
    text: str
    recognizer: str
    model: str = ""
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class RecognizedClip:
    """The `draft` that the transcript of a clip is, the recognition of its recording, and the share that differs."""

    draft: Draft | None = None
    recognition: Recognition | None = None
    disagreement: float | None = None

    @property
    def heard(self) -> str | None:
        """The recognized words if they were compared with the transcript and differ from it."""
        return self.recognition.heard if self.recognition is not None and self.disagreement else None

    def describe_draft(self) -> str:
        """Return a line of text on the draft, empty if it is not one."""
        if self.draft is None:
            return ""
        by = _named(self.draft.recognizer, self.draft.model, self.draft.confidence)
        return f"draft by {by}: accept it, or edit it"

    def describe_difference(self) -> str:
        """Return a line of text on the comparison, empty without one."""
        if self.disagreement is None or self.recognition is None:
            return ""
        by = _named(self.recognition.recognizer, self.recognition.model, self.recognition.confidence)
        return f"{self.disagreement:.0%} of the characters differ from {by}"

    def as_dict(self) -> dict[str, object]:
        """Return the draft and the recognition as JSON-ready data."""
        return {
            "drafted_by": self.draft
            and {
                "recognizer": self.draft.recognizer,
                "model": self.draft.model,
                "confidence": self.draft.confidence,
            },
            "recognition": self.recognition
            and {
                "recognizer": self.recognition.recognizer,
                "model": self.recognition.model,
                "confidence": self.recognition.confidence,
                "language": self.recognition.language,
                "text": self.recognition.heard,
            },
        }


def read_recognitions(catalog: Catalog, identity: str) -> dict[str, Recognition]:
    """Return what the recognizer of this identity heard, by the hash of the recording."""
    rows = catalog.each("SELECT * FROM recognitions WHERE identity = ?", (identity,))
    return {row["audio_hash"]: Recognition(*row) for row in rows}


def read_compared(catalog: Catalog) -> set[tuple[str, str]]:
    """Return the recordings, by hash, and transcripts that were compared."""
    return {(row[0], row[1]) for row in catalog.each("SELECT audio_hash, text FROM disagreements")}


def store_recognition(catalog: Catalog, recognition: Recognition) -> None:
    """Store what was heard in a recording, in place of what another recognizer heard in it."""
    values = (
        recognition.audio_hash,
        recognition.identity,
        recognition.recognizer,
        stored(recognition.model),
        recognition.language,
        recognition.heard,
        recognition.confidence,
    )
    with catalog.transaction() as connection:
        connection.execute("DELETE FROM disagreements WHERE audio_hash = ?", (recognition.audio_hash,))
        connection.execute(
            "INSERT OR REPLACE INTO recognitions VALUES (?, ?, ?, CAST(? AS TEXT), ?, ?, ?)",
            values,
        )


def store_drafts(catalog: Catalog, drafts: Iterable[Draft]) -> None:
    """Record transcripts as drafts, before their files are written: a process that is killed leaves none unmarked."""
    with catalog.transaction() as connection:
        connection.executemany(
            "INSERT OR REPLACE INTO drafts VALUES (?, ?, ?, CAST(? AS TEXT), ?)",
            [(each.audio_hash, each.text, each.recognizer, stored(each.model), each.confidence) for each in drafts],
        )


def store_disagreement(
    catalog: Catalog, settings: Settings, audio_hash: str, text: str, share: float | None, clips: Sequence[int]
) -> None:
    """Store how far a transcript differs from what was heard, None if it has no words; judge the clips with both."""
    with catalog.transaction() as connection:
        connection.execute("INSERT OR REPLACE INTO disagreements VALUES (?, ?, ?)", (audio_hash, text, share))
        judge_clips(connection, clips, settings)


def carry_drafts(connection: sqlite3.Connection, before: str, after: str) -> None:
    """Keep the marks of drafts when a recording gets another content, given by hash: nobody has read the words."""
    connection.execute(
        """
        INSERT OR IGNORE INTO drafts
        SELECT ?, text, recognizer, model, confidence FROM drafts WHERE audio_hash = ?
        """,
        (after, before),
    )


def draft_of(catalog: Catalog, row: sqlite3.Row) -> Draft | None:
    """Return the draft that the transcript of a clip is, given the clip's row; None if it is not one."""
    if not row["draft"] or row["status"] == "accepted":
        return None
    found = catalog.query("SELECT * FROM drafts WHERE audio_hash = ? AND text = ?", (row["audio_hash"], row["text"]))
    return Draft(*found[0]) if found else None


def derive_drafts(catalog: Catalog, rows: Iterable[sqlite3.Row], made: Iterable[tuple[str, str]]) -> None:
    """Mark transcripts that are made from those of clips as drafts if one of those is a draft.

    The clips are given by their rows, each new transcript with the hash of its recording.
    """
    drafts = [draft for row in rows if (draft := draft_of(catalog, row)) is not None]
    if drafts:
        least = min(drafts, key=lambda draft: draft.confidence or 0.0)
        store_drafts(catalog, [replace(least, audio_hash=audio, text=text) for audio, text in made])


def recognized_clip(catalog: Catalog, row: sqlite3.Row) -> RecognizedClip:
    """Return what is known of a clip, given its row."""
    heard = catalog.query("SELECT * FROM recognitions WHERE audio_hash = ?", (row["audio_hash"],))
    return RecognizedClip(
        draft_of(catalog, row),
        Recognition(*heard[0]) if heard else None,
        row["disagreement"] if heard else None,
    )


def _named(recognizer: str, model: str, confidence: float | None) -> str:
    words = f"{recognizer} {model}".strip()
    return words if confidence is None else f"{words}, confidence {confidence:.2f}"
