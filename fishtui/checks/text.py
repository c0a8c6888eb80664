"""Checks of a transcript by itself, and what its letters tell: script and number of spoken characters."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from functools import cache, lru_cache

from fishtui.checks.facts import ClipCheck, ClipFacts
from fishtui.checks.table import shortened
from fishtui.lm.text import ANGLES, BRACES, COMMAS, EMOJI, QUOTES, clean
from fishtui.settings import Settings

# Controls but for tab and line breaks, invisible format characters but for the joiners that scripts need, what
# stands for a character that was lost, private use.
CONTROLS = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u180e\u200b\u2060-\u2064\u206a-\u206f\ufeff\ufff9-\uffff\ue000-\uf8ff"
    "\U000e0000-\U000e0fff\U000f0000-\U0010ffff]"
)
BIDI = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
RESERVED = re.compile(r"<\|[^<>|\s]+\|>")
SIMPLIFIED = re.compile(f"[{''.join(map(chr, QUOTES))}]|{COMMAS.pattern}")
DIGITS = re.compile(r"[\d²³¹⁰-⁹₀-₉¼-¾⅐-↋①-⒛⓪-⓿]+")
MARKS = re.compile(r"_|[^\w\s]")
# Punctuation that is spoken, or stands for a word.
SPOKEN = frozenset("%‰&@#*/\\_§¶†")

LETTERS = frozenset({"Lu", "Ll", "Lt", "Lo"})
SCRIPTS = {"CJK": "Han", "HIRAGANA": "Kana", "KATAKANA": "Kana"}
SHOWN = 3


# What the model sees of a transcript. Several checks ask it of one clip, one after the other.
cleaned = lru_cache(maxsize=32)(clean)


def control_characters(facts: ClipFacts, settings: Settings) -> str | None:
    return _code_points(CONTROLS.findall(facts.text or ""))


def bidi_override(facts: ClipFacts, settings: Settings) -> str | None:
    return _code_points(BIDI.findall(facts.text or ""))


def reserved_token(facts: ClipFacts, settings: Settings) -> str | None:
    return _listed(RESERVED.findall(facts.text or ""))


def altered_text(facts: ClipFacts, settings: Settings) -> str | None:
    text = RESERVED.sub("", facts.text or "")
    # Up to the last bracket of each line, beyond which nothing can match: see `lm.text.spaced_out`.
    enclosed = (
        found
        for pattern, end in ((BRACES, "}"), (ANGLES, ">"))
        for line in text.split("\n")
        for found in pattern.findall(line[: line.rfind(end) + 1])
    )
    return _listed([*enclosed, *EMOJI.findall(text)])


def simplified_text(facts: ClipFacts, settings: Settings) -> str | None:
    return _listed(SIMPLIFIED.findall(facts.text or ""))


def digits(facts: ClipFacts, settings: Settings) -> str | None:
    return _listed(DIGITS.findall(cleaned(facts.text or "")))


def symbols(facts: ClipFacts, settings: Settings) -> str | None:
    marks = MARKS.findall(CONTROLS.sub("", cleaned(facts.text or "")))
    return _listed(mark for mark in marks if mark in SPOKEN or unicodedata.category(mark)[0] == "S")


CHECKS: dict[str, ClipCheck] = {
    "control-characters": control_characters,
    "bidi-override": bidi_override,
    "reserved-token": reserved_token,
    "altered-text": altered_text,
    "simplified-text": simplified_text,
    "digits": digits,
    "symbols": symbols,
}


def characters(text: str) -> int:
    """How many letters and digits of any script the model sees of a transcript; accents and vowel signs don't count."""
    return sum(map(str.isalnum, unicodedata.normalize("NFC", cleaned(text))))


def script_of(text: str) -> str:
    """The script of most letters that the model sees of a transcript, such as Latin, Arabic or Han; "" without letters.

    Japanese is its own, whatever part of it is Han.
    """
    counts: Counter[str] = Counter()
    for letter, count in Counter(cleaned(text)).items():
        counts[letter_script(letter)] += count
    del counts[""]
    if "Kana" in counts:
        counts["Japanese"] = counts.pop("Kana") + counts.pop("Han", 0)
    return max(counts, key=lambda script: (counts[script], script), default="")


@cache
def letter_script(letter: str) -> str:
    """The script of one letter by its Unicode name; "" for all else."""
    plain = unicodedata.normalize("NFKC", letter)[0]
    if unicodedata.category(plain) not in LETTERS:
        return ""
    first = unicodedata.name(plain, "").partition(" ")[0]
    return SCRIPTS.get(first, first.capitalize())


def _code_points(found: Iterable[str]) -> str | None:
    return _listed(f"U+{ord(character):04X}" for character in found)


def _listed(found: Iterable[str]) -> str | None:
    """The first few different ones in a line, or None if there is nothing."""
    different = list(dict.fromkeys(found))
    if not different:
        return None
    return ", ".join([shortened(each, 30) for each in different[:SHOWN]] + ["…"] * (len(different) > SHOWN))
