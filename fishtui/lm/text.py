"""The cleaning of transcripts that the published model was trained with."""

from __future__ import annotations

import re

BRACES = re.compile(r"\{.*?\}")
ANGLES = re.compile(r"<.*?>")
SPACE = re.compile(r"\s+")
EMOJI = re.compile("[\U0001f600-\U0001f64f\U0001f300-\U0001f5ff\U0001f680-\U0001f6ff\U0001f1e0-\U0001f1ff]")
COMMAS = re.compile(",{2,}")
QUOTES = str.maketrans("‘’", "''")


def clean_for_packing(text: str) -> str:
    """`text` with `{…}` and `<…>` replaced by a space and white space collapsed, as it goes into a shard."""
    return SPACE.sub(" ", spaced_out(ANGLES, ">", spaced_out(BRACES, "}", text)))


def spaced_out(pattern: re.Pattern[str], end: str, text: str) -> str:
    """`text` with whatever `pattern` matches replaced by a space, where a match lies in one line and ends with `end`.

    Nothing after the last `end` of a line is looked at: for each of many openings the pattern would look that far.
    """
    lines = []
    for line in text.split("\n"):
        cut = line.rfind(end) + 1
        lines.append(pattern.sub(" ", line[:cut]) + line[cut:])
    return "\n".join(lines)


def clean(text: str) -> str:
    """`text` as the model sees it: cleaned for packing, then for training. Synthesis has no shards in between."""
    return clean_for_training(clean_for_packing(text))


def clean_for_training(text: str) -> str:
    """`text` stripped, curly single quotes made straight, emoji dropped and runs of commas made one."""
    return COMMAS.sub(",", EMOJI.sub("", text.strip().translate(QUOTES)))
