"""The cleaning of transcripts that the published model was trained with, and of their characters.

Letters and their accents become one character each (Unicode NFC), as people type them: the tokens of separate ones
differ.
"""

from __future__ import annotations

import re
import unicodedata

BRACES = re.compile(r"\{.*?\}")
ANGLES = re.compile(r"<.*?>")
SPACE = re.compile(r"\s+")
EMOJI = re.compile("[\U0001f600-\U0001f64f\U0001f300-\U0001f5ff\U0001f680-\U0001f6ff\U0001f1e0-\U0001f1ff]")
COMMAS = re.compile(",{2,}")
QUOTES = str.maketrans("‘’", "''")
SIMPLIFIED = re.compile(f"[{''.join(map(chr, QUOTES))}]|{COMMAS.pattern}")


def clean_for_packing(text: str) -> str:
    """Return `text` with `{…}` and `<…>` replaced by a space, white space collapsed, and letters composed."""
    return compose(SPACE.sub(" ", replace_enclosed(ANGLES, ">", replace_enclosed(BRACES, "}", text))))


def clean_for_training(text: str) -> str:
    """Return `text` stripped, with straight single quotes, no emoji, runs of commas made one, and letters composed."""
    return compose(COMMAS.sub(",", EMOJI.sub("", text.strip().translate(QUOTES))))


def compose(text: str) -> str:
    """Return `text` with each letter and its accents as one character, where there is one."""
    return unicodedata.normalize("NFC", text)


def removed(text: str) -> list[str]:
    """Return every `{…}`, `<…>` and emoji of `text`, in this order."""
    return [
        *(found for line in _enclosed_parts(text, "}") for found in BRACES.findall(line)),
        *(found for line in _enclosed_parts(text, ">") for found in ANGLES.findall(line)),
        *EMOJI.findall(text),
    ]


def simplified(text: str) -> list[str]:
    """Return every curly single quote and run of commas of `text`."""
    return SIMPLIFIED.findall(text)


def replace_enclosed(pattern: re.Pattern[str], end: str, text: str) -> str:
    """Replace the matches of `pattern`, each in one line and ending with `end`, by a space.

    The search stops at the last `end` of a line: without a limit, each of many opening brackets would scan the rest.
    """
    lines = []
    for line in text.split("\n"):
        cut = line.rfind(end) + 1
        lines.append(pattern.sub(" ", line[:cut]) + line[cut:])
    return "\n".join(lines)


def _enclosed_parts(text: str, end: str) -> list[str]:
    """Return each line of `text` up to its last `end`."""
    return [line[: line.rfind(end) + 1] for line in text.split("\n")]
