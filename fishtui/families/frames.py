"""Check the codes of an utterance, and turn them into positions of a sequence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fishtui.errors import DataError

if TYPE_CHECKING:
    from fishtui.families.family import Tokens, Utterance

EXTRACT = "Run `fishtui extract` again."


def check_codes(utterance: Utterance, semantic: int, codebooks: int | None = None) -> None:
    """Raise DataError unless the codes are integers from 0 to `semantic` - 1, of shape (codebooks, frames)."""
    text, codes = utterance
    where = f"the codes of {text[:40]!r}"
    if codes.ndim != 2 or codebooks not in (None, len(codes)) or not np.issubdtype(codes.dtype, np.integer):
        rows = "" if codebooks is None else f" of {codebooks} rows"
        raise DataError(f"{where}: not a table of integers{rows}", EXTRACT, code="codes-not-integers")
    if codes.size and (codes.min() < 0 or codes.max() >= semantic):
        raise DataError(f"{where}: not in 0 … {semantic - 1:,}", EXTRACT, code="codes-out-of-range")


def frames(codes: NDArray[np.integer], semantic_begin: int) -> Tokens:
    """Return the positions (1 + codebooks, frames) of codes (codebooks, frames) that were checked."""
    # Widened before: codes may have a type that holds no token id.
    codes = codes.astype(np.int64)
    return np.concatenate([codes[:1] + semantic_begin, codes])
