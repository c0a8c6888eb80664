"""The spoken words of captions: without markup, notes about sounds, and marks of speakers."""

from __future__ import annotations

import html
import re
import unicodedata

# Tags of SubRip and WebVTT, times within WebVTT's captions, and overrides of SubStation.
TAG = re.compile(r"</?[A-Za-z][^<>\n]{0,200}>|</?>|<\d[\d:.,]{0,20}>|\{\\[^{}\n]{0,200}\}")
NOTES = re.compile(r"\[[^\[\]]{0,200}\]|【[^【】]{0,200}】|［[^［］]{0,200}］|（[^（）]{0,200}）|\*[^*\n]{1,60}\*")
# Parentheses enclose spoken words too, unless they are a line of their own, in capitals, or name a sound.
PARENTHESES = re.compile(r"\(([^()]{1,200})\)")
SOUNDS = re.compile(
    r"\b(?:laugh|chuckl|giggl|sigh|cough|gasp|groan|scream|shout|sob|cry|cries|whisper|sniff|yawn|hum|grunt|clear|inhal"
    r"|exhal|breath|pant|applau|cheer|clap|music|sing|song|noise|silence|pause|inaudible|unintelligible|crosstalk"
    r"|indistinct|speak|door|phone|bell|bark|beep|static|lacht|lachen|musik|applaus|rire|musique|risa|música|musica)",
    re.IGNORECASE,
)
MUSIC = "♪♫♬♩🎵🎶"
# A turn of another person within a caption.
TURN = re.compile(r"^\s*(?:[-–—‐]\s*(?=\S)|>>+\s*)")
LABEL = re.compile(r"^\s*(?=[^:]*[^\W\d_])([^\W\d_a-z][^a-z:\n]{0,30}):\s+(?=\S)")


def spoken_text(text: str) -> tuple[str, str]:
    """Return the spoken words of a caption, and an empty text; without words, an empty text and the reason.

    Lines are joined by blanks.
    """
    plain = html.unescape(TAG.sub("", text)).replace("\u00a0", " ").replace("\\h", " ")
    plain = re.sub("[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]", "", plain)
    if any(mark in plain for mark in MUSIC):
        return "", "music"
    lines = [line.strip() for line in NOTES.sub(" ", plain).splitlines()]
    lines = [line for line in (PARENTHESES.sub(_spoken, line).strip() for line in lines) if line]
    turns = [line for line in lines if TURN.match(line)]
    if len(turns) > 1:
        return "", "several people speak in it"
    words = " ".join(LABEL.sub("", TURN.sub("", line)) for line in lines)
    words = re.sub(r"\s+([,.!?;:])(?=\s|$)", r"\1", " ".join(words.split()))
    if any(character.isalnum() for character in words):
        return words, ""
    return "", "a note, not speech" if any(character.isalnum() for character in plain) else "no words"


def joined(texts: list[str]) -> str:
    """Return the texts of neighbours as one; scripts without spaces between words get none."""
    whole = ""
    for text in texts:
        wide = whole and text and _is_unspaced(whole[-1]) and _is_unspaced(text[0])
        whole += text if wide or not whole else f" {text}"
    return whole


def _spoken(found: re.Match[str]) -> str:
    inner, line = found[1], found.string.strip()
    is_note = line == found[0] or inner.isupper() or SOUNDS.search(inner)
    return " " if is_note else found[0]


def _is_unspaced(character: str) -> bool:
    return unicodedata.east_asian_width(character) in "WF" and not "가" <= character <= "힣"
