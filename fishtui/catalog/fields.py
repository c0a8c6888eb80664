"""The fields of a clip that a query may name, and what each asks of the table `clips`, in SQL."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from fishtui.catalog.store import stored
from fishtui.checks.registry import CHECKS, Check, Severity
from fishtui.errors import MisuseError
from fishtui.sanitize import harmless
from fishtui.wording import shortened, suggest

# A part of SQL that holds or doesn't for a clip, and the values of its question marks.
Condition = tuple[str, tuple[Any, ...]]

# What SQLite or its tokenizer would take for something else: the end of the text, half a pair, no character.
UNINDEXED = re.compile("[\0\ud800-\udfff\ufffe\uffff]")
# The shortest text that the trigram index can find.
INDEXED_LENGTH = 3
EDITED = "clips.id IN (SELECT clip FROM history WHERE kind = 'file' AND state = 'done')"


class Kind(Enum):
    """How a field's values are written and compared."""

    TEXT = auto()  # part of the transcript, case and form of characters folded
    PART = auto()  # part of a name, as it is
    PATTERN = auto()  # the whole, `*` for any characters
    WORD = auto()  # the whole, in capitals or not
    TAG = auto()  # one of a list
    CHOICE = auto()  # one of a few words
    NUMBER = auto()  # equal, above, below, between


@dataclass(frozen=True)
class Comparison:
    """`relation` is one of = < <= > >=."""

    relation: str
    number: float

    def __str__(self) -> str:
        return self.relation.removeprefix("=") + _digits(self.number)


@dataclass(frozen=True)
class Between:
    """From `low` to `high`, both included."""

    low: float
    high: float

    def __str__(self) -> str:
        return f"{_digits(self.low)}..{_digits(self.high)}"


Value = str | Comparison | Between


@dataclass(frozen=True)
class Field:
    """One thing to ask of a clip.

    `column` is compared, `order` sorted by (nothing: it can't be sorted by), `choices` are the conditions that words
    stand for.
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
    """A field that is a column, and sorted by it."""
    column = f"clips.{column or name}"
    return Field(name, kind, help, column, column)


def _found(check: Check) -> str:
    """What a check's code asks; what is found on a speaker holds for each of the speaker's clips."""
    if check.scope == "speaker":
        return f"clips.speaker IN (SELECT name FROM speakers WHERE code = '{check.code}')"
    return f"instr(clips.found, '{mark(check)}') > 0"


def mark(check: Check) -> str:
    """How a finding stands among a clip's in the column `found`."""
    return f"|{check.severity.name.lower()}:{check.code}|"


FIELDS: dict[str, Field] = {
    each.name: each
    for each in (
        Field("text", Kind.TEXT, "part of the transcript; words without a field mean this", order="clips.folded"),
        _column("name", Kind.PART, "part of the clip's name"),
        _column("speaker", Kind.PATTERN, "the speaker; * stands for any characters"),
        Field(
            "status",
            Kind.CHOICE,
            "open, accepted or rejected",
            order="clips.status",
            choices=_words("clips.status", "open", "accepted", "rejected"),
        ),
        Field(
            "finding",
            Kind.CHOICE,
            "a check's code; any (a warning or error), none, error, warning, info",
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
        _column("duration", Kind.NUMBER, "seconds"),
        _column("rate", Kind.NUMBER, "characters a second"),
        _column("loudness", Kind.NUMBER, "LUFS"),
        _column("snr", Kind.NUMBER, "signal-to-noise ratio, dB"),
        _column("sample-rate", Kind.NUMBER, "Hz", "sample_rate"),
        _column("channels", Kind.NUMBER, "of the recording"),
        _column("format", Kind.WORD, "of the recording: wav, flac, mp3, ogg"),
        _column("script", Kind.WORD, "of the transcript: Latin, Arabic, Han, …"),
        Field(
            "codes",
            Kind.CHOICE,
            "missing, given, current, stale or invalid",
            order="clips.codes",
            choices=_words("clips.codes", "missing", "given", "current", "stale", "invalid"),
        ),
        _column("characters", Kind.NUMBER, "spoken in the transcript"),
        _column("id", Kind.NUMBER, "the clip's number"),
        Field("edited", Kind.CHOICE, "yes or no", choices={"yes": EDITED, "no": f"NOT {EDITED}"}),
        Field(
            "measured",
            Kind.CHOICE,
            "yes or no",
            choices={"yes": "clips.speech IS NOT NULL", "no": "clips.speech IS NULL"},
        ),
    )
}


def fold(text: str) -> str:
    """`text` as transcripts are stored for searching and as searches come: composed, and without case."""
    return UNINDEXED.sub("\ufffd", unicodedata.normalize("NFC", text).casefold())


def named(name: str) -> Field:
    """The field of that name. Raises MisuseError that says the nearest."""
    if name not in FIELDS:
        raise MisuseError(
            f"there is no field {shown(name)}", f'{suggest(name, FIELDS)} Text with a colon stands in "quotes".'
        )
    return FIELDS[name]


def condition(field: Field, value: Value) -> Condition:
    """What `value` asks of a clip."""
    column = field.column
    match value:
        case Comparison():
            return f"{column} {value.relation} ?", (value.number,)
        case Between():
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
    """Transcripts that hold `every` one of `texts`, or any, all of which the index can find: it is asked but once."""
    phrases = (" AND " if every else " OR ").join(_phrase(fold(text)) for text in texts)
    return "clips.id IN (SELECT rowid FROM transcripts WHERE transcripts MATCH ?)", (phrases,)


def _phrase(folded: str) -> str:
    return '"' + folded.replace('"', '""') + '"'


def shown(text: str) -> str:
    """`text` for an error message: harmless, and not endless."""
    return harmless(shortened(text, 40))


def _digits(number: float) -> str:
    return repr(float(number)).removesuffix(".0")
