"""Checks of a transcript by itself; its script and its number of spoken characters."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from functools import cache, lru_cache

from fishtui.checks.facts import ClipFacts
from fishtui.checks.misread import decode_wide
from fishtui.checks.registry import INFO, WARNING, check
from fishtui.families.family import Family
from fishtui.families.registry import DEFAULT
from fishtui.settings import Settings
from fishtui.wording import shortened

# Controls except tab and line breaks, invisible format characters except the joiners that scripts need, replacements of
# lost characters, and private use.
CONTROLS = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u180e\u200b\u2060-\u2064\u206a-\u206f\ufeff\ufff9-\uffff\ue000-\uf8ff"
    "\U000e0000-\U000e0fff\U000f0000-\U0010ffff]"
)
BIDI = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
RESERVED = re.compile(r"<\|[^<>|\s]+\|>")
DIGITS = re.compile(r"[\d²³¹⁰-⁹₀-₉¼-¾⅐-↋①-⒛⓪-⓿]+")
MARKS = re.compile(r"_|[^\w\s]")
# Punctuation that is spoken, or that abbreviates a word.
SPOKEN = frozenset("%‰&@#*/\\_§¶†")

LETTERS = frozenset({"Lu", "Ll", "Lt", "Lo"})
SCRIPTS = {"CJK": "Han", "HIRAGANA": "Kana", "KATAKANA": "Kana"}
SHOWN = 3


# Marks of styles, which some models read and none speaks.
STYLES = re.compile(r"\[[^\[\]]*\]")


@lru_cache(maxsize=32)
def _clean(family: Family, text: str) -> str:
    """Clean a text; cached, because several checks of one clip need it in turn."""
    return family.clean(text)


def cleaned(facts: ClipFacts) -> str:
    """Return the text that the project's model sees of a transcript."""
    return _clean(facts.family, facts.text or "")


def spoken(facts: ClipFacts) -> str:
    """Return the text that the project's model speaks of a transcript."""
    return facts.family.words(cleaned(facts))


@check(
    "control-characters",
    WARNING,
    "The transcript has invisible characters, which are not spoken but which the model reads as text.",
    "Remove them: type the text again with `fishtui clips edit`.",
)
def control_characters(facts: ClipFacts, settings: Settings) -> str | None:
    text = facts.text or ""
    # The check of UTF-16 reports these.
    return None if decode_wide(text.encode("utf-8", "surrogatepass")) else _code_points(CONTROLS.findall(text))


@check(
    "bidi-override",
    WARNING,
    "Invisible characters change the reading order, so the model reads the letters in another order than you see.",
    "Remove them: type the text again with `fishtui clips edit`.",
)
def bidi_override(facts: ClipFacts, settings: Settings) -> str | None:
    return _code_points(BIDI.findall(facts.text or ""))


@check(
    "reserved-token",
    WARNING,
    "The transcript contains a special token of the model, which is dropped before training.",
    "Remove it, or write the spoken words in its place.",
)
def reserved_token(facts: ClipFacts, settings: Settings) -> str | None:
    text = facts.text or ""
    dropped = facts.family.removed(text)
    return listed(token for token in RESERVED.findall(text) if any(token in part for part in dropped))


@check(
    "altered-text",
    WARNING,
    "The transcript contains {…}, <…> or emoji, which are dropped before training.",
    "Write it out in words if it is spoken, otherwise remove it.",
)
def altered_text(facts: ClipFacts, settings: Settings) -> str | None:
    return listed(facts.family.removed(RESERVED.sub("", facts.text or "")))


@check(
    "simplified-text",
    INFO,
    "Curly single quotes and repeated commas are simplified before training, which does not change the voice.",
    "Leave it as it is.",
)
def simplified_text(facts: ClipFacts, settings: Settings) -> str | None:
    return listed(facts.family.simplified(facts.text or ""))


@check(
    "digits",
    INFO,
    "The transcript has digits, which can be spoken in several ways, so the voice may learn the wrong one.",
    "Write them out as spoken.",
)
def digits(facts: ClipFacts, settings: Settings) -> str | None:
    return listed(DIGITS.findall(spoken(facts)))


@check(
    "symbols",
    INFO,
    "The transcript has symbols, which can be spoken in several ways, so the voice may learn the wrong one.",
    "Write them out as spoken.",
)
def symbols(facts: ClipFacts, settings: Settings) -> str | None:
    marks = MARKS.findall(CONTROLS.sub("", spoken(facts)))
    return listed(mark for mark in marks if mark in SPOKEN or unicodedata.category(mark)[0] == "S")


@check(
    "disagreement",
    WARNING,
    "A recognizer hears other words than the transcript, so the voice may learn wrong words.",
    "Listen to it, and correct the transcript where it is wrong.",
)
def disagreement(facts: ClipFacts, settings: Settings) -> str | None:
    share = facts.disagreement
    if share is None or share <= settings.checks.max_disagreement:
        return None
    return f"{share:.0%} of the characters differ from what was recognized"


def characters(text: str) -> int:
    """Return the number of letters and digits of any script that are spoken, without accents and vowel signs."""
    return sum(map(str.isalnum, unicodedata.normalize("NFC", _without_marks(text))))


def script_of(text: str) -> str:
    """Return the script of most letters that are spoken, such as Latin, Arabic or Han; "" without letters.

    Text with any Kana counts as Japanese, including its Han letters.
    """
    counts: Counter[str] = Counter()
    for letter, count in Counter(_without_marks(text)).items():
        counts[letter_script(letter)] += count
    del counts[""]
    if "Kana" in counts:
        counts["Japanese"] = counts.pop("Kana") + counts.pop("Han", 0)
    return max(counts, key=lambda script: (counts[script], script), default="")


@cache
def letter_script(letter: str) -> str:
    """Return the script of a letter by its Unicode name; "" for any other character."""
    plain = unicodedata.normalize("NFKC", letter)[0]
    if unicodedata.category(plain) not in LETTERS:
        return ""
    first = unicodedata.name(plain, "").partition(" ")[0]
    return SCRIPTS.get(first, first.capitalize())


def _without_marks(text: str) -> str:
    """Return a transcript without what no model speaks: the catalog stores these facts for models of every family."""
    return STYLES.sub(" ", _clean(DEFAULT, text))


def _code_points(found: Iterable[str]) -> str | None:
    return listed(f"U+{ord(character):04X}" for character in found)


def listed(found: Iterable[str]) -> str | None:
    """Join the first few distinct texts in a line; return None if `found` is empty."""
    different = list(dict.fromkeys(found))
    if not different:
        return None
    return ", ".join([shortened(each, 30) for each in different[:SHOWN]] + ["…"] * (len(different) > SHOWN))
