"""The tokenizer of a checkpoint of the openaudio-s1-mini family."""

from __future__ import annotations

from pathlib import Path

from fishtui.families.s1_mini.family import S1Mini
from fishtui.families.s1_mini.tokenizer import Tokenizer


def read_tokenizer(folder: Path) -> Tokenizer:
    return Tokenizer.read(*(folder / name for name in S1Mini.tokenizer_names))
