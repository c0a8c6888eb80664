"""The fields of a filter, and the SQL condition on the table `clips` for a value of each."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from fishtui.catalog.store import stored
from fishtui.checks.registry import CHECKS, Check, Severity
from fishtui.errors import MisuseError
from fishtui.sanitize import harmless
from fishtui.wording import shortened, suggest

# An SQL condition on a row of `clips`, and the values of its question marks.
Condition = tuple[str, tuple[Any, ...]]

# Characters that SQLite or its tokenizer cannot handle: NUL ends a text, surrogates and noncharacters are invalid.
UNINDEXED = re.compile("[\0\ud800-\udfff\ufffe\uffff]")
# The shortest text that the trigram index can find.
INDEXED_LENGTH = 3
CUT = "cuts.audio_hash = clips.audio_hash"
START = f"(SELECT start FROM cuts WHERE {CUT})"
DRAFT = "(clips.draft = 1 AND clips.status != 'accepted')"
EDITED = "clips.id IN (SELECT clip FROM history WHERE kind = 'file' AND state = 'done')"


class Kind(Enum):
    """A kind of field, which determines how its values are written and compared."""

    TEXT = auto()  # part of the transcript, regardless of case and Unicode composition
    PART = auto()  # part of a name, exactly as written
    PATTERN = auto()  # the whole value, with `*` for any characters
    WORD = auto()  # the whole value, regardless of case
    TAG = auto()  # one of the clip's tags
    CHOICE = auto()  # one of a fixed set of words
    NUMBER = auto()  # a comparison or a range


@dataclass(frozen=True)
class Comparison:
    """A comparison with a number; `relation` is one of = < <= > >=."""

    relation: str
    number: float

    def __str__(self) -> str:
        return self.relation.removeprefix("=") + _digits(self.number)


@dataclass(frozen=True)
class Range:
    """A range from `low` to `high`, both included."""

    low: float
    high: float

    def __str__(self) -> str:
        return f"{_digits(self.low)}..{_digits(self.high)}"


Value = str | Comparison | Range


@dataclass(frozen=True)
class Field:
    """A property of a clip that filters and sorts can use.

    `column` is compared with values and `order` is the sort key (empty if the field cannot be sorted by), both in SQL.
    `choices` maps each allowed word to its SQL condition. `help` completes "X is …" in an error message.
    """

    name: str
    kind: Kind
    help: str
    column: str = ""
    order: str = ""
    choices: Mapping[str, str] = field(default_factory=dict)


def _words(column: str, *words: str) -> dict[str, str]:
    return {word: f"{column} = '{word}'" for word in words}


def _column(name: str, kind: Kind, help: str, column: str = "") -> Field:
    """Return a field that compares a column and sorts by it."""
    column = f"clips.{column or name}"
    return Field(name, kind, help, column, column)


def _found(check: Check) -> str:
    """Return the condition for a check's code; a finding of a speaker counts for each of the speaker's clips."""
    if check.scope == "speaker":
        return f"clips.speaker IN (SELECT name FROM speakers WHERE code = '{check.code}')"
    return f"instr(clips.found, '{mark(check)}') > 0"


def mark(check: Check) -> str:
    """Return the entry for a check's finding in the column `found`."""
    return f"|{check.severity.name.lower()}:{check.code}|"


FIELDS: dict[str, Field] = {
    each.name: each
    for each in (
        Field("text", Kind.TEXT, "part of the transcript; the default for words without a field", order="clips.folded"),
        _column("name", Kind.PART, "part of the clip's name"),
        _column("speaker", Kind.PATTERN, "the speaker's name; * matches any characters"),
        Field(
            "status",
            Kind.CHOICE,
            "open (not reviewed), accepted or rejected",
            order="clips.status",
            choices=_words("clips.status", "open", "accepted", "rejected"),
        ),
        Field(
            "finding",
            Kind.CHOICE,
            "a check's name, a severity (error, warning, info), any (error or warning) or none (neither)",
            order="clips.severity",
            choices={
                "any": f"clips.severity >= {Severity.WARNING:d}",
                "none": f"clips.severity < {Severity.WARNING:d}",
                "error": f"clips.severity = {Severity.ERROR:d}",
                "warning": "instr(clips.found, '|warning:') > 0",
                "info": "instr(clips.found, '|info:') > 0",
                **{code: _found(check) for code, check in CHECKS.items()},
            },
        ),
        Field("tag", Kind.TAG, "a tag", "clips.tags"),
        _column("duration", Kind.NUMBER, "the length of the recording in seconds"),
        _column("rate", Kind.NUMBER, "the speaking rate in characters per second of speech"),
        _column("loudness", Kind.NUMBER, "the loudness in LUFS"),
        _column("snr", Kind.NUMBER, "the signal-to-noise ratio in dB"),
        _column(
            "gain", Kind.NUMBER, "the gain by the clip's own transcript, from `fishtui score`; near 0 if unrelated"
        ),
        _column("loss", Kind.NUMBER, "the loss of the tuned model, from `fishtui score --adapter`"),
        _column("disagreement", Kind.NUMBER, "the share of characters that a recognizer heard otherwise, from 0 to 1"),
        Field(
            "draft",
            Kind.CHOICE,
            "yes or no: the transcript was recognized, and nobody has accepted or edited it",
            order=DRAFT,
            choices={"yes": DRAFT, "no": f"NOT {DRAFT}"},
        ),
        _column("sample-rate", Kind.NUMBER, "the sample rate in Hz", "sample_rate"),
        _column("channels", Kind.NUMBER, "the number of channels"),
        _column("format", Kind.WORD, "the format of the recording: wav, flac, mp3, ogg, aiff, …"),
        _column("script", Kind.WORD, "the script of the transcript: Latin, Arabic, Han, …"),
        Field(
            "codes",
            Kind.CHOICE,
            "missing, current, stale (of another recording), invalid, or given (made by another program)",
            order="clips.codes",
            choices=_words("clips.codes", "missing", "given", "current", "stale", "invalid"),
        ),
        Field(
            "source",
            Kind.PART,
            "part of the path of the recording that the clip was cut from",
            f"coalesce((SELECT path FROM cuts JOIN sources ON hash = source WHERE {CUT}), '')",
        ),
        Field("start", Kind.NUMBER, "the start of the clip in its recording in seconds", START, START),
        _column("characters", Kind.NUMBER, "the number of letters and digits in the transcript"),
        _column("id", Kind.NUMBER, "the clip's ID, a number"),
        Field(
            "edited",
            Kind.CHOICE,
            "yes or no: changed by fishtui clips edit or fix",
            choices={"yes": EDITED, "no": f"NOT {EDITED}"},
        ),
        Field(
            "measured",
            Kind.CHOICE,
            "yes or no: loudness, pauses and noise are known",
            choices={"yes": "clips.speech IS NOT NULL", "no": "clips.speech IS NULL"},
        ),
    )
}


def fold(text: str) -> str:
    """Return `text` in the form in which transcripts are indexed and searched: NFC, without case."""
    return UNINDEXED.sub("\ufffd", unicodedata.normalize("NFC", text).casefold())


def split_tags(stored_tags: str) -> list[str]:
    """Return the tags in a value of the column `tags`, such as `|loud|odd|`."""
    return [name for name in stored_tags.split("|") if name]


def join_tags(tags: Collection[str]) -> str:
    """Return tags as the column `tags` stores them, sorted."""
    return "".join(f"|{name}" for name in sorted(tags)) + "|" if tags else ""


def field_named(name: str) -> Field:
    """Return the field of this name. Raises MisuseError, which suggests the nearest one."""
    if name not in FIELDS:
        raise MisuseError(
            f"unknown field {excerpt(name)}",
            f'{suggest(name, FIELDS)} Put "quotes" around text that contains a colon.',
            code="unknown-field",
        )
    return FIELDS[name]


def condition(field: Field, value: Value) -> Condition:
    """Return the SQL condition for a field and one of its values."""
    column = field.column
    match value:
        case Comparison():
            return f"{column} {value.relation} ?", (value.number,)
        case Range():
            return f"{column} BETWEEN ? AND ?", (value.low, value.high)
    match field.kind:
        case Kind.TEXT:
            return "instr(clips.folded, ?) > 0", (fold(value),)
        case Kind.PART:
            return f"instr({column}, CAST(? AS TEXT)) > 0", (stored(value),)
        case Kind.PATTERN if "*" in value:
            return f"{column} GLOB CAST(? AS TEXT)", (stored(re.sub(r"([\[?])", r"[\1]", value)),)
        case Kind.WORD:
            return f"{column} = CAST(? AS TEXT) COLLATE NOCASE", (stored(value),)
        case Kind.TAG:
            return f"instr({column}, CAST(? AS TEXT)) > 0", (stored(f"|{value}|"),)
        case Kind.CHOICE:
            return field.choices[value], ()
    return f"{column} = CAST(? AS TEXT)", (stored(value),)


def containing(texts: Iterable[str], every: bool) -> Condition:
    """Return the condition for transcripts that contain every one of `texts`, or any of them unless `every`.

    It searches the index once; each text must have at least `INDEXED_LENGTH` characters.
    """
    phrases = (" AND " if every else " OR ").join(_phrase(fold(text)) for text in texts)
    return "clips.id IN (SELECT rowid FROM transcripts WHERE transcripts MATCH ?)", (phrases,)


def _phrase(folded: str) -> str:
    return '"' + folded.replace('"', '""') + '"'


def excerpt(text: str) -> str:
    """Return the beginning of `text` for an error message, sanitized."""
    return harmless(shortened(text, 40))


def _digits(number: float) -> str:
    return repr(float(number)).removesuffix(".0")
