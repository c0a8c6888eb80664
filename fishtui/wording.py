"""Figures and recurring phrases, worded the same in every front end."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path

from fishtui.errors import FishtuiError


def counted(number: int, thing: str) -> str:
    """`1 clip`, `2 clips`."""
    return f"{number:,} {thing}{'s' * (number != 1)}"


def seconds(value: float | None) -> str:
    """`4.2s`, `12m`, `3.1h`; a dot for what isn't known."""
    if value is None:
        return "·"
    if value < 60:
        return f"{value:.1f}s"
    return f"{value / 60:.0f}m" if value < 3600 else f"{value / 3600:,.1f}h"


def number(value: float | None) -> str:
    """With one decimal; a dot for what isn't known."""
    return "·" if value is None else f"{value:.1f}"


def gigabytes(value: float) -> str:
    """Bytes as `4.2 GB`, `412 GB`."""
    return f"{value / 1e9:.1f} GB" if value < 1e10 else f"{value / 1e9:,.0f} GB"


def shortened(text: str, limit: int = 60) -> str:
    """`text`, cut to `limit` characters with an ellipsis if it is longer."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`Did you mean rate?` if a known word is close to `word`, otherwise an empty string."""
    nearest = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f"Did you mean {nearest[0]}?" if nearest else ""


def reason_of(error: BaseException) -> str:
    """The system's message for an OSError, otherwise the first line of the error, or its type."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__


def cannot_read(
    path: Path | str,
    error: Exception,
    kind: type[FishtuiError] = FishtuiError,
    remedy: str = "Check that it exists and that you have permission to read it.",
) -> FishtuiError:
    """An error of `kind` for a file or folder that cannot be read; code `cannot-read`."""
    return kind(f"{path}: cannot read: {reason_of(error)}", remedy, code="cannot-read")


def cannot_write(
    path: Path | str,
    error: Exception,
    kind: type[FishtuiError] = FishtuiError,
    remedy: str = "Check the free space and that you have permission to write there.",
) -> FishtuiError:
    """An error of `kind` for a file or folder that cannot be written or created; code `cannot-write`."""
    return kind(f"{path}: cannot write: {reason_of(error)}", remedy, code="cannot-write")


def cannot_remove(path: Path | str, error: Exception) -> FishtuiError:
    """An error for a file or folder that cannot be removed; code `cannot-remove`."""
    remedy = "Check that you have permission to write to its folder."
    return FishtuiError(f"{path}: cannot remove: {reason_of(error)}", remedy, code="cannot-remove")
