"""Texts as error rates compare them: without case, punctuation, and different spellings of numbers."""

from __future__ import annotations

import unicodedata
from functools import cache
from typing import Any

from fishtui.checks.group import UNSPACED
from fishtui.checks.text import letter_script

# Languages without spaces between words, where each character counts.
UNSPACED_LANGUAGES = frozenset({"zh", "yue", "ja", "th", "lo", "km", "my", "bo"})
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
APOSTROPHES = frozenset("'’ʼ`´")
TATWEEL = "\u0640"


def language_of(code: str) -> str:
    """Return the language of a code with or without a region: `en` for `en-GB`."""
    return code.replace("_", "-").partition("-")[0].lower()


def is_unspaced(text: str, language: str) -> bool:
    """Return True for a language without spaces between words; if it is unknown, the script decides."""
    if language:
        return language_of(language) in UNSPACED_LANGUAGES
    scripts = [script for sign in text if (script := letter_script(sign))]
    return 2 * sum(script in UNSPACED for script in scripts) > len(scripts)


def normalized(text: str, language: str) -> str:
    """Return the words of a text, separated by single spaces.

    English numbers become words digit by digit, so that `nineteen eighty-four` and `1984` are equal, and contractions
    are written out. Arabic vowel signs are dropped, because few transcripts have them.
    """
    text = unicodedata.normalize("NFKC", text)
    if language_of(language) == "en":
        text = _english()(text)
        text = "".join(f" {DIGITS[unicodedata.decimal(sign)]} " if sign.isdecimal() else sign for sign in text)
    decomposed = unicodedata.normalize("NFD", text.casefold())
    # Signs above letters belong to them, except in Arabic.
    kept = [sign for sign in decomposed if not _is_arabic_sign(sign) and sign not in APOSTROPHES]
    composed = unicodedata.normalize("NFC", "".join(kept))
    return " ".join("".join(sign if _is_word(sign) else " " for sign in composed).split())


def units(text: str, language: str) -> list[str]:
    """Return the words of a normalized text, or its characters if the language has no spaces."""
    return list(text.replace(" ", "")) if is_unspaced(text, language) else text.split()


def _is_word(sign: str) -> bool:
    return unicodedata.category(sign)[0] in "LMN"


def _is_arabic_sign(sign: str) -> bool:
    # From fathatan to sukun, and the superscript alef; the hamza signs and the madda distinguish letters.
    return sign == TATWEEL or "\u064b" <= sign <= "\u0652" or sign == "\u0670"


@cache
def _english() -> Any:
    """Return the normalizer that the authors of Whisper published, which also reads numbers."""
    from transformers.models.whisper.english_normalizer import EnglishTextNormalizer

    # Without its table of British spellings: a text and its recognition seldom differ there.
    return EnglishTextNormalizer({})
