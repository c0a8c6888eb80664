"""Cleaning of transcripts: speaker tags and `[tags]` stay as they are, and each change of the speaker begins a turn."""

from __future__ import annotations

import re
from collections import Counter

from fishtui.families.s1_mini import text as plain

TAG = re.compile(r"<\|speaker:\d+\|>")
OLD_TAG = re.compile(r"<speaker:(\d+)>")
# What no cleaning touches. A bracket ends the search at the next one, so that many open ones do not scan the rest.
KEPT = re.compile(rf"({TAG.pattern}|\[[^\[\]]*\])")
BEFORE_TAG = re.compile(rf"(?={TAG.pattern})")
FIRST = "<|speaker:0|>"


def clean_for_packing(text: str) -> str:
    """Return `text` as turns, with `{…}` and other `<…>` replaced by a space, and white space collapsed."""
    parts = KEPT.split(OLD_TAG.sub(r"<|speaker:\1|>", text))
    parts[::2] = [plain.replace_enclosed(plain.ANGLES, ">", _without_braces(part)) for part in parts[::2]]
    return plain.compose("\n".join(turns(plain.SPACE.sub(" ", "".join(parts)))))


def clean_for_training(text: str) -> str:
    """Return `text` stripped and, outside tags, with straight single quotes, no emoji, and runs of commas made one."""
    parts = KEPT.split(text.strip())
    parts[::2] = [plain.COMMAS.sub(",", plain.EMOJI.sub("", part.translate(plain.QUOTES))) for part in parts[::2]]
    return plain.compose("".join(parts).strip())


def turns(text: str) -> list[str]:
    """Cut `text` before each speaker tag; return the turns, stripped.

    Words before the first tag are the first speaker's. A text without a tag is one turn, as it is.
    """
    first, *others = BEFORE_TAG.split(text)
    if not others:
        return [first]
    opening = first.strip()
    if opening and not TAG.match(opening):
        opening = FIRST + opening
    return [turn for turn in (opening, *(each.strip() for each in others)) if turn]


def words(text: str) -> str:
    """Return the words of `text`, without tags and breaks between turns."""
    return " ".join(KEPT.sub(" ", text).split())


def lost(transcript: str, packed: str) -> list[str]:
    """Return the tags of a transcript that its packed text has not, or not as often."""
    missing = Counter(KEPT.findall(clean_for_packing(transcript))) - Counter(KEPT.findall(packed))
    # Packing may have put the first speaker's tag before words without one.
    return list(missing)


def removed(text: str) -> list[str]:
    """Return every `{…}`, `<…>` and emoji of `text` that cleaning drops."""
    return [found for part in _cleaned_parts(text) for found in plain.removed(part)]


def simplified(text: str) -> list[str]:
    """Return every curly single quote and run of commas of `text` that cleaning replaces."""
    return [found for part in _cleaned_parts(text) for found in plain.simplified(part)]


def _cleaned_parts(text: str) -> list[str]:
    return KEPT.split(OLD_TAG.sub(r"<|speaker:\1|>", text))[::2]


def _without_braces(text: str) -> str:
    return plain.replace_enclosed(plain.BRACES, "}", text)
