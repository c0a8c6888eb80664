"""The differences between a transcript and recognized words, for people."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher
from typing import NamedTuple

from fishtui.checks.group import UNSPACED
from fishtui.checks.text import letter_script

# The signs around words of the transcript that were not heard, and around heard words that are not in it.
MISSING = ("[-", "-]")
ADDED = ("{+", "+}")
WORD = re.compile(r"\S+\s*")
# Texts with more pairs of words are not compared: that takes seconds.
MOST_PAIRS = 1_000_000


class Piece(NamedTuple):
    """A part of a text, and if the other text has other words there."""

    text: str
    differs: bool


def compare(text: str, heard: str) -> tuple[list[Piece], list[Piece]]:
    """Return both texts in pieces.

    Case and punctuation do not count. In scripts without spaces, each character is a word.
    """
    own, other = _words(text), _words(heard)
    if len(own) * len(other) > MOST_PAIRS:
        return [Piece(text, differs=False)], [Piece(heard, differs=False)]
    matcher = SequenceMatcher(None, _plain(own), _plain(other), autojunk=False)
    left: list[Piece] = []
    right: list[Piece] = []
    for tag, start, end, first, last in matcher.get_opcodes():
        if start < end:
            left.append(Piece("".join(own[start:end]), tag != "equal"))
        if first < last:
            right.append(Piece("".join(other[first:last]), tag != "equal"))
    return left, right


def signed(pieces: Iterable[Piece], signs: tuple[str, str]) -> str:
    """Return a text with `signs` before and after the pieces that differ."""
    return "".join(marked(piece, signs) for piece in pieces).strip()


def marked(piece: Piece, signs: tuple[str, str]) -> str:
    """Return a piece, between `signs` if it differs."""
    if not piece.differs:
        return piece.text
    words = piece.text.rstrip()
    return f"{signs[0]}{words}{signs[1]}{piece.text[len(words) :]}"


def _words(text: str) -> list[str]:
    """Return the words of a text, each with the space that follows it."""
    words: list[str] = []
    for word in WORD.findall(text):
        if any(letter_script(sign) in UNSPACED for sign in word):
            words += word
        else:
            words.append(word)
    return words


def _plain(words: Sequence[str]) -> list[str]:
    return ["".join(filter(str.isalnum, unicodedata.normalize("NFKC", word).casefold())) for word in words]
