"""Facts about the columns of a table without names, from their values."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from fishtui.dataset import EXTENSIONS
from fishtui.importers.locate import Locator
from fishtui.importers.times import seconds_of

# Rows that are compared, and paths that are searched for.
MOST_ROWS = 1_000
MOST_SEARCHED = 50
# Languages as lists for speech synthesis write them: two letters, or one of these, and a region.
LANGUAGE = re.compile(r"(?:[a-z]{2}|yue|cmn|zho|eng|deu|ger|fra|fre|spa|jpn|kor|rus|auto)(?:[-_][a-z]{2,4})?", re.I)
SENTENCE_END = (".", "!", "?", "。", "！", "？", "…", "।", "؟", "։", "።")
# Letters of scripts without spaces between words, of which about two make a word.
UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\U00020000-\U0003ffff]")
WORD = re.compile(r"\w+")
# Mean words of a column of sentences; of a column of labels, such as speakers, the share of different values.
LEAST_WORDS = 1.9
MOST_LABELS = 0.5
FEW_ROWS = 10
# Share of equal words in a text and its normalized form.
LEAST_SHARED = 0.4


@dataclass(frozen=True)
class Column:
    """The values of a column, without empty ones, and the number of recordings that they name."""

    values: tuple[str, ...]
    recordings: int

    @property
    def has_letters(self) -> bool:
        """True if at least half of the values have a letter."""
        return 2 * sum(any(map(str.isalpha, value)) for value in self.values) >= len(self.values) > 0

    @property
    def is_void(self) -> bool:
        """True if no value has a letter or digit."""
        return not any(character.isalnum() for value in self.values for character in value)

    @property
    def is_language(self) -> bool:
        return bool(self.values) and all(LANGUAGE.fullmatch(value) for value in self.values)

    @property
    def is_measure(self) -> bool:
        """True for numbers with decimals and for clock times, which are not labels."""
        return bool(self.values) and all(
            seconds_of(value) is not None and not value.lstrip("+-").isdecimal() for value in self.values
        )

    @property
    def is_label(self) -> bool:
        """True if the values can be names or numbers of speakers: in a long table, they repeat."""
        if not self.values or self.is_void or self.is_measure:
            return False
        return len(self.values) < FEW_ROWS or len(set(self.values)) <= MOST_LABELS * len(self.values)

    @property
    def has_sentences(self) -> bool:
        if not self.has_letters:
            return False
        words = sum(map(_words, self.values)) / len(self.values)
        ends = sum(value.rstrip("\"'”’» )").endswith(SENTENCE_END) for value in self.values) / len(self.values)
        repeated = len(self.values) >= FEW_ROWS and len(set(self.values)) <= MOST_LABELS * len(self.values)
        return words + (ends >= 0.5) >= LEAST_WORDS and not repeated


def examine(rows: Sequence[Sequence[str]], locator: Locator) -> list[Column]:
    """Return the columns of rows that have equal numbers of fields."""
    columns = []
    for values in zip(*rows, strict=True):
        written = tuple(value.strip() for value in values if value.strip())
        columns.append(Column(written, sum(locator.finds(value) for value in written[:MOST_SEARCHED])))
    return columns


def names_files(column: Column) -> bool:
    """Return True if the values are names of audio files, whether or not they exist."""
    return bool(column.values) and all(
        os.path.splitext(value.replace("\\", "/"))[1].lower() in EXTENSIONS for value in column.values
    )


def are_alike(first: Sequence[str], second: Sequence[str]) -> bool:
    """Return True if two columns have nearly the same words, as a text and its normalized form."""
    shares = []
    for one, other in zip(first, second, strict=True):
        a, b = _tokens(one), _tokens(other)
        if a and b:
            shares.append(len(a & b) / min(len(a), len(b)))
    return bool(shares) and sum(shares) / len(shares) >= LEAST_SHARED


def _words(value: str) -> float:
    unspaced = len(UNSPACED.findall(value))
    return unspaced / 2 + len(WORD.findall(UNSPACED.sub(" ", value)))


def _tokens(value: str) -> set[str]:
    folded = unicodedata.normalize("NFKC", value).casefold()
    return {*UNSPACED.findall(folded), *WORD.findall(UNSPACED.sub(" ", folded))}
