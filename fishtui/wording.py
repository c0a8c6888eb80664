"""Figures and recurring phrases, worded the same in every front end."""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from fishtui.errors import CheckpointError, FishtuiError, MisuseError

NEW_TOKEN = "create a token at huggingface.co/settings/tokens and set HF_TOKEN, or run `hf auth login`"
"""How to get access to gated and private models of the Hugging Face hub."""
NO_RECORDINGS = (
    "Put recordings there as SPEAKER/clip.wav with clip.lab, cut long ones with `fishtui slice`, or convert a dataset "
    "with `fishtui import`."
)
"""What to do about a dataset without recordings."""


def counted(number: int, thing: str) -> str:
    """`1 clip`, `2 clips`."""
    return f"{number:,} {thing}{'s' * (number != 1)}"


def seconds(value: float | None) -> str:
    """The length of audio as `4.2s`, `1:15`, `3:04:05`; a dot if it is unknown."""
    if value is None:
        return "·"
    return f"{value:.1f}s" if value < 59.95 else clock(value)


def number(value: float | None) -> str:
    """A number with one decimal; a dot if it is unknown."""
    return "·" if value is None else f"{value:.1f}"


def size(value: float) -> str:
    """Bytes as `1.1 MB`, `412 MB`, `3.6 GB`, `412 GB`."""
    scaled, unit = (value / 1e9, "GB") if value >= 1e9 else (value / 1e6, "MB")
    return f"{scaled:.1f} {unit}" if scaled < 10 else f"{scaled:,.0f} {unit}"


def clock(seconds: float) -> str:
    """`4:05`, `1:04:05`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def roughly(seconds: float) -> str:
    """An estimate, or the age of a file, in a few characters: `42s`, `12m`, `3.1h`, `2.5d`."""
    if seconds < 59.5:
        return f"{seconds:.0f}s"
    if seconds < 3570:
        return f"{seconds / 60:.0f}m"
    return f"{seconds / 3600:.1f}h" if seconds < 48 * 3600 else f"{seconds / 86400:,.1f}d"


def pace(rate: float, unit: str) -> str:
    """A rate per second as `12.3 clips/s`; a rate below 1 as `3.0 steps/min`."""
    if rate >= 1:
        return f"{rate:,.1f} {unit}/s" if rate < 100 else f"{rate:,.0f} {unit}/s"
    return f"{rate * 60:.1f} {unit}/min"


def shortened(text: str, limit: int = 60) -> str:
    """`text`, cut to `limit` characters with an ellipsis if it is longer."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def cut(text: str, columns: int) -> str:
    """`text`, cut to `columns` columns of a terminal with an ellipsis if it is wider."""
    # Imported here, because most of what loads this module has no columns.
    from rich.cells import cell_len, set_cell_size

    if cell_len(text) <= columns:
        return text
    return set_cell_size(text, columns - 1) + "…" if columns > 0 else ""


def cut_middle(text: str, columns: int) -> str:
    """`text`, cut to `columns` columns with an ellipsis in its middle: names of clips differ at their ends."""
    from rich.cells import cell_len, set_cell_size

    if cell_len(text) <= columns:
        return text
    end = text[len(text) - columns // 2 :]
    while cell_len(end) > columns // 2:
        end = end[1:]
    room = columns - 1 - cell_len(end)
    return set_cell_size(text, room) + "…" + end if room >= 0 else ""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`Did you mean rate?` if a known word is close to `word`, otherwise an empty string."""
    nearest = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f"Did you mean {nearest[0]}?" if nearest else ""


def suggest(word: str, known: Iterable[str]) -> str:
    """`Did you mean rate?` if a known word is close to `word`, otherwise `Use one of rate, id.`"""
    known = list(known)
    return did_you_mean(word, known) or f"Use one of {', '.join(known)}."


def reason_of(error: BaseException) -> str:
    """The system's message for an OSError, the place in a text that is not UTF-8, otherwise an error's first line."""
    if isinstance(error, UnicodeDecodeError):
        return f"not UTF-8 at byte {error.start + 1}"
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
    if isinstance(error, OSError) and error.errno == errno.EFBIG:
        remedy = "Raise the limit on the size of files: `ulimit -f unlimited`."
    return kind(f"{path}: cannot write: {reason_of(error)}", remedy, code="cannot-write")


def exists(path: Path | str, option: str = "--output") -> MisuseError:
    """The error for an output that the user named and that exists; code `exists`."""
    return MisuseError(f"{path}: exists", f"Give another {option}, or replace it with --force.", code="exists")


def not_a_folder(path: Path) -> FishtuiError:
    """The error for a dataset that is not a folder; code `not-a-folder`."""
    remedy = "Put recordings there as SPEAKER/clip.wav with clip.lab, or name another folder."
    return FishtuiError(f"{path}: not a folder", remedy, code="not-a-folder")


def cannot_remove(path: Path | str, error: Exception) -> FishtuiError:
    """An error for a file or folder that cannot be removed; code `cannot-remove`."""
    remedy = "Check that you have permission to write to its folder."
    return FishtuiError(f"{path}: cannot remove: {reason_of(error)}", remedy, code="cannot-remove")


def format_value(value: Any) -> str:
    """Return a setting's value as a person types it; the items of a list are separated by spaces.

    None, of a setting that is not set, is an empty text.
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return " ".join(map(str, value)) if isinstance(value, tuple | list) else str(value)


def missing_device(setting: str, there: int) -> MisuseError:
    """Return the error for a device that is not among the GPUs of this machine."""
    return MisuseError(
        f"device {setting!r}: {counted(there, 'GPU')} on this machine",
        "Use device auto, or run `fishtui doctor` to see what is missing.",
        code="no-such-device",
    )


def missing_checkpoint_file(path: Path) -> CheckpointError:
    """Return the error for a file of a checkpoint that does not exist, or whose folder does not."""
    remedy = "Give the folder of a complete checkpoint, or get the published one with `fishtui download`."
    if not path.parent.is_dir():
        return CheckpointError(f"{path.parent}: no such folder", remedy, code="no-checkpoint-folder")
    return CheckpointError(f"{path}: no such file", remedy, code="no-checkpoint-file")
