"""Captions, and the spoken words in them: without markup, notes about sounds, and marks of speakers."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from fishtui.speakerlabels import split_label

# Tags of SubRip and WebVTT, times within WebVTT's captions, and overrides of SubStation.
TAG = re.compile(r"</?[A-Za-z][^<>\n]{0,200}>|</?>|<\d[\d:.,]{0,20}>|\{\\[^{}\n]{0,200}\}")
# The pronunciation above a word, which would be spoken twice.
RUBY = re.compile(r"<r[tp](?:\.[^<>]{0,80})?>[^<>\n]{0,200}(?:</r[tp]>)?")
# Marks of direction and of line breaks. The joiners of Persian and Indian letters stay.
INVISIBLE = re.compile("[\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
NOTES = re.compile(r"\[[^\[\]]{0,200}\]|【[^【】]{0,200}】|［[^［］]{0,200}］|（[^（）]{0,200}）")
# Parentheses and asterisks enclose spoken words too, unless they are a line of their own, in capitals, or name a sound.
PARENTHESES = re.compile(r"\(([^()]{1,200})\)")
ASTERISKS = re.compile(r"\*+(?=[^\s*])([^*\n]{1,60})(?<=\S)\*+")
_SUFFIX = "(?:e|y|es|s|ed|d|ies|ing|ding|ling|ming|bing|ping|ter|ters|se|ds)?"
SOUNDS = re.compile(
    r"\b(?:(?:laugh|chuckl|giggl|sigh|cough|gasp|groan|scream|shout|sob|cr|whisper|sniff|yawn|hum|grunt|inhal|exhal"
    rf"|breath|pant|applau|cheer|clap|bark|beep|sing|song|noise|pause){_SUFFIX}"
    r"|clear(?:s|ed|ing) [\w ]*throat|(?:doors?|phones?|bells?) (?!was\b|is\b|has\b)\w+(?:s|ing)"
    r"|speak(?:s|ing) (?:in )?\w+|music|silence|inaudible|unintelligible|crosstalk|indistinct(?:ly)?|static"
    r"|lacht|lachen|musik|applaus|rires?|musique|risas?|música|musica)\b",
    re.IGNORECASE,
)
# Words in a note about a sound, at most; a longer text that mentions a sound is spoken.
MOST_WORDS = 5
SEVERAL = "several people speak in it"
MUSIC = "♪♫♬♩🎵🎶"
# A turn of another person within a caption; a dash before a digit is a sign.
TURN = re.compile(r"^\s*(?:[-–—‐]\s*(?=\S)(?<!-(?=\d))|>>+\s*)")
# One within a line.
INNER_TURN = re.compile(r"\S\s*>>+")


@dataclass(frozen=True, slots=True)
class Caption:
    """A text with start and end in seconds; `speaker` is empty if it is not named.

    A caption with an `omitted` reason is not speech. One that `lacks_speaker`, which is the reason, is left out unless
    the user names the speaker. `confidence` is that of a recognizer, from 0 to 1.
    """

    start: float
    end: float
    text: str
    speaker: str = ""
    omitted: str = ""
    confidence: float | None = None
    lacks_speaker: str = ""


@dataclass(frozen=True)
class Captions:
    """The captions of a recording, in order, and sentences on guesses that are not certain.

    `audio` is the recording's path as the transcript names it, empty if it does not. Times that are `loose` are near
    the speech; the others are exact. With `keeps_labels`, names before a colon are spoken.
    """

    captions: Sequence[Caption]
    audio: str = ""
    loose: bool = True
    doubts: tuple[str, ...] = ()
    keeps_labels: bool = False


def spoken_text(text: str, keeps_labels: bool = False) -> tuple[str, str]:
    """Return the spoken words of a caption, and an empty text; without words, an empty text and the reason.

    Lines are joined by blanks. A name in capitals before a colon is removed, unless the text `keeps_labels`; others may
    be spoken.
    """
    plain = without_markup(text)
    if any(mark in plain for mark in MUSIC):
        return "", "music"
    lines = without_notes(plain)
    turns = [TURN.match(line) is not None for line in lines]
    bare = [TURN.sub("", line) for line in lines]
    labels = {label for line in bare if (label := _label(line))}
    # Often only the second person has a mark.
    if any(turns[1:]) or len(labels) > 1 or any(map(INNER_TURN.search, bare)):
        return "", SEVERAL
    words = " ".join(split_label(line)[1] if _label(line) and not keeps_labels else line for line in bare)
    words = re.sub(r"\s+([,.!?;:])(?=\s|$)", r"\1", " ".join(words.split()))
    if any(character.isalnum() for character in words):
        return words, ""
    return "", "a note, not speech" if any(character.isalnum() for character in plain) else "no words"


def has_unknown_speech(caption: Caption) -> bool:
    """Return True if a caption that makes no clip may have speech in it: it is not only music or a note."""
    return spoken_text(caption.text)[1] in ("", SEVERAL)


def without_markup(text: str) -> str:
    """Return the text of a caption without tags and invisible marks."""
    # Some programs write the tags themselves as entities.
    plain = TAG.sub("", html.unescape(TAG.sub("", RUBY.sub("", text)))).replace("\u00a0", " ").replace("\\h", " ")
    return INVISIBLE.sub("", plain)


def without_notes(plain: str) -> list[str]:
    """Return the lines of a caption without notes about sounds, and without what such a note leaves."""
    lines = (_without_sounds(line.strip()).strip(" \t") for line in NOTES.sub(" ", plain).splitlines())
    return [line for line in (re.sub(r"^[:：]\s*", "", line) for line in lines) if line]


def joined(texts: list[str]) -> str:
    """Return the texts of neighbours as one; scripts without spaces between words get none."""
    whole = ""
    for text in texts:
        wide = whole and text and _is_unspaced(whole[-1]) and _is_unspaced(text[0])
        whole += text if wide or not whole else f" {text}"
    return whole


def _without_sounds(line: str) -> str:
    """Return a line without notes about sounds in parentheses or asterisks; other asterisks stress words."""
    line = PARENTHESES.sub(lambda found: " " if _is_note(found) else found[0], line)
    return ASTERISKS.sub(lambda found: " " if _is_note(found) else found[1], line)


def _is_note(found: re.Match[str]) -> bool:
    inner = found[1]
    names_sound = SOUNDS.search(inner) is not None and len(inner.split()) <= MOST_WORDS
    return found.string.strip() == found[0] or inner.isupper() or names_sound


def _label(line: str) -> str:
    """Return the name of a person in capitals at the beginning of a line, empty without one."""
    label, rest = split_label(line)
    return label if label.isupper() and rest else ""


def _is_unspaced(character: str) -> bool:
    return unicodedata.east_asian_width(character) in "WF" and not "가" <= character <= "힣"
