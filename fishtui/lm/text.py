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
    return SPACE.sub(" ", ANGLES.sub(" ", BRACES.sub(" ", text)))


def clean(text: str) -> str:
    """`text` as the model sees it: cleaned for packing, then for training. Synthesis has no shards in between."""
    return clean_for_training(clean_for_packing(text))


def clean_for_training(text: str) -> str:
    """`text` stripped, curly single quotes made straight, emoji dropped and runs of commas made one."""
    return COMMAS.sub(",", EMOJI.sub("", text.strip().translate(QUOTES)))
