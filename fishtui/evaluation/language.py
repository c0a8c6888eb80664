"""The language of texts, guessed from their script and most frequent words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from functools import cache
from pathlib import Path

LANGUAGES = ("en", "zh", "ja", "ko", "ar", "de", "fr", "es", "ru", "pt")
"""The languages with hard lines."""

UNKNOWN = ""
# So many letters suffice; a book would take seconds.
MOST_LETTERS = 20_000
# Share of letters that one script must have, and share of words that must be frequent ones.
CLEAR = 0.6
FREQUENT = 0.12
# The most frequent language must have so many times the words of the next one.
LEAD = 1.25
SCRIPTS = {
    "kana": "\u3041-\u3096\u30a1-\u30fa",
    "han": "\u3400-\u4dbf\u4e00-\u9fff",
    "hangul": "\u1100-\u11ff\u3131-\u318e\uac00-\ud7a3",
    "arabic": "\u0620-\u064a\u066e-\u06d3",
    "cyrillic": "\u0400-\u04ff",
    "latin": "a-zà-öø-ÿāăąćčďđęěğıłńňőœřśşšťůűźžß\u1ea0-\u1ef9",
}
OF_SCRIPT = {name: re.compile(f"[{letters}]") for name, letters in SCRIPTS.items()}
# Letters of Persian, Urdu and Kurdish, but not of Arabic; of Ukrainian, Serbian and others, but not of Russian.
FOREIGN = {"arabic": re.compile("[پچژگکیٹڈڑںھہےۆەێ]"), "cyrillic": re.compile("[іїєґўјљњђћџѓќәғқңөұүһ]")}
# A text of these languages has at least this share of foreign letters.
LEAST_FOREIGN = 0.01
WORD = re.compile(r"[^\W\d_]+(?:['’](?=[^\W\d_]))?")


def guess_language(texts: Iterable[str]) -> str:
    """Return the code of the language of texts, one of `LANGUAGES`; empty if it is another one or unclear."""
    text = _beginning(texts)
    counts = {name: len(letters.findall(text)) for name, letters in OF_SCRIPT.items()}
    total = sum(counts.values())
    if not total:
        return UNKNOWN
    if counts["kana"] + counts["han"] >= CLEAR * total:
        # Japanese is written with kana between its characters, Chinese never.
        return "ja" if counts["kana"] >= 0.05 * total else "zh"
    script = max(counts, key=lambda name: counts[name])
    if counts[script] < CLEAR * total:
        return UNKNOWN
    if script in FOREIGN and len(FOREIGN[script].findall(text)) >= LEAST_FOREIGN * total:
        return UNKNOWN
    if script in ("cyrillic", "latin"):
        return _by_words(text, script)
    return {"hangul": "ko", "arabic": "ar"}.get(script, UNKNOWN)


def _beginning(texts: Iterable[str]) -> str:
    parts, length = [], 0
    for text in texts:
        parts.append(text[:MOST_LETTERS].lower())
        length += len(text)
        if length >= MOST_LETTERS:
            break
    return "\n".join(parts)


def _by_words(text: str, script: str) -> str:
    """Return the language whose frequent words are most of a text's words, if it is one of `LANGUAGES` and clear."""
    words = Counter(WORD.findall(text.replace("’", "'")))
    total = sum(words.values())
    scores = sorted(
        (
            (sum(words[word] for word in frequent), language)
            for language, (of_script, frequent) in _frequent_words().items()
            if of_script == script
        ),
        reverse=True,
    )
    (best, language), (second, _) = scores[0], scores[1]
    is_clear = best >= FREQUENT * total and best >= LEAD * second
    return language if is_clear and language in LANGUAGES else UNKNOWN


@cache
def _frequent_words() -> dict[str, tuple[str, frozenset[str]]]:
    """Return the script and the frequent words of each language, including languages without hard lines."""
    lines = (Path(__file__).parent / "words.txt").read_text(encoding="utf-8").splitlines()
    entries = [line.split() for line in lines if line and not line.startswith("#")]
    return {language: (script, frozenset(words)) for language, script, *words in entries}
