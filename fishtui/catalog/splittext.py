"""Divide the transcript of a clip that is split, and join those of clips that are merged."""

from __future__ import annotations

import re
import unicodedata

# Distances from the wanted place, as shares of the text, within which the end of a sentence, or a pause in one, is
# preferred to the nearest gap between words.
SENTENCE_REACH, CLAUSE_REACH = 0.25, 0.12
SENTENCE_ENDS = frozenset(".!?…。！？؟۔।")
CLAUSE_ENDS = frozenset(",;:，、；：،؛—")
CLOSING = frozenset("\"'”’»)」』）")
# Instructions such as [in a low voice] and <|speaker:0|> stay whole.
TAG = re.compile(r"\[[^\][]*\]|<\|[^|]*\|>|\([^()]*\)")
# Scripts that write words without spaces.
UNSPACED = ("CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR")


def split_text(text: str, share: float) -> tuple[str, str]:
    """Return the two parts of a text that was spoken for `share` of the time before the split.

    A text of one word stays whole, in the part that has more of the time; the other one is "".
    """
    text = text.strip()
    wanted = share * len(text)
    places = _places(text)
    if not places:
        return (text, "") if share >= 0.5 else ("", text)
    for marks, reach in ((SENTENCE_ENDS, SENTENCE_REACH), (CLAUSE_ENDS, CLAUSE_REACH)):
        near = [each for each in places if _ends(text[:each], marks) and abs(each - wanted) <= reach * len(text)]
        if near:
            places = near
            break
    place = min(places, key=lambda each: abs(each - wanted))
    return text[:place].rstrip(), text[place:].lstrip()


def join_texts(first: str, second: str) -> str:
    """Return the text of two clips that follow each other."""
    first, second = first.strip(), second.strip()
    if not first or not second:
        return first or second
    # Punctuation of these scripts needs no space either.
    tight = all(_is_unspaced(each) or unicodedata.east_asian_width(each) in "WF" for each in (first[-1], second[0]))
    return first + second if tight else f"{first} {second}"


def _places(text: str) -> list[int]:
    """Return where a text may be divided: at spaces, and between the signs of scripts without spaces."""
    inside = {place for tag in TAG.finditer(text) for place in range(tag.start() + 1, tag.end())}
    places = []
    for place in range(1, len(text)):
        before, after = text[place - 1], text[place]
        gap = before.isspace() and not after.isspace()
        tight = _is_unspaced(after) and (_is_unspaced(before) or before in SENTENCE_ENDS | CLAUSE_ENDS)
        if place not in inside and (gap or (tight and not unicodedata.combining(after))):
            places.append(place)
    return places


def _ends(text: str, marks: frozenset[str]) -> bool:
    bare = text.rstrip().rstrip("".join(CLOSING))
    return bool(bare) and bare[-1] in marks


def _is_unspaced(letter: str) -> bool:
    return letter > "\u0dff" and unicodedata.name(letter, "").startswith(UNSPACED)
