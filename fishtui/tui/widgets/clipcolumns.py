"""The columns of the table of clips, their widths and their order."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from rich.cells import cell_len

from fishtui import glyphs, wording
from fishtui.catalog.fields import split_tags
from fishtui.sanitize import harmless

# The cursor, the mark, the clip's sign, the sign of a draft, and a space.
GUTTER = 5
# The least width of the transcript.
LEAST_TEXT = 12


@dataclass(frozen=True)
class Column:
    """A column, shown on terminals of at least `from_width` columns or in the order of its `field`.

    Its heading sorts by the field.
    A value that is too wide is cut at its end, or in its middle if the column `keeps_end`.
    """

    title: str
    width: int
    show: Callable[[sqlite3.Row], str]
    field: str = ""
    right: bool = False
    from_width: int = 0
    keeps_end: bool = False


def _clip(row: sqlite3.Row) -> str:
    return row["name"].rpartition("/")[2]


def _format(row: sqlite3.Row) -> str:
    return f"{(row['format'] or '').lower()} {(row['sample_rate'] or 0) / 1000:g}k" if row["format"] else "·"


def _draft(row: sqlite3.Row) -> str:
    return "draft" if glyphs.draft_sign(row["status"], row["draft"]) != " " else ""


def _share(value: float | None) -> str:
    return "·" if value is None else f"{value:.0%}"


def _decimals(value: float | None) -> str:
    return "·" if value is None else f"{value:.2f}"


COLUMNS = (
    Column("SPEAKER", 10, lambda row: row["speaker"], "speaker"),
    Column("CLIP", 20, _clip, "name", keeps_end=True),
    Column("DUR", 7, lambda row: wording.seconds(row["duration"]), "duration", True),
    Column("LUFS", 6, lambda row: wording.number(row["loudness"]), "loudness", True),
    Column("RATE", 5, lambda row: wording.number(row["rate"]), "rate", True),
    Column("SNR", 5, lambda row: wording.number(row["snr"]), "snr", True, 96),
    Column("GAIN", 6, lambda row: _decimals(row["gain"]), "gain", True, 140),
    Column("LOSS", 6, lambda row: _decimals(row["loss"]), "loss", True, 150),
    Column("DIFF", 5, lambda row: _share(row["disagreement"]), "disagreement", True, 140),
    Column("DRAFT", 5, _draft, "draft", False, 100),
    Column("FORMAT", 10, _format, "format", False, 120),
    Column("CODES", 7, lambda row: row["codes"], "codes", False, 150),
    Column("STATUS", 8, lambda row: row["status"], "status", False, 132),
    Column("TAGS", 14, lambda row: " ".join(split_tags(row["tags"])), "", False, 120),
    Column("NOTE", 16, lambda row: row["note"], "", False, 170),
    Column("TRANSCRIPT", 0, lambda row: (row["text"] or "").strip(), "text"),
)
# The fields that `s` sorts by in turn.
ORDERS = (
    *("name", "duration", "loudness", "rate", "snr", "gain", "loss", "disagreement", "draft", "finding", "status"),
    *("speaker", "text"),
)


# Columns that fit their content: the least width, the most on a narrow terminal, and the most on a wide one.
ELASTIC = {"SPEAKER": (7, 10, 16), "CLIP": (8, 20, 32)}


def elastic(rows: Iterable[sqlite3.Row], width: int, before: Mapping[str, int]) -> dict[str, int]:
    """Return the widths of elastic columns for `rows`; none is narrower than `before`, so that columns stay."""
    rows = list(rows)
    found = {}
    for column in COLUMNS:
        if column.title in ELASTIC:
            least, most, widest = ELASTIC[column.title]
            most = min(most + max(width - 80, 0) // 8, widest)
            needed = max((cell_len(harmless(column.show(row))) for row in rows), default=0)
            found[column.title] = min(max(needed, least, before.get(column.title, 0)), most)
    return found


def layout(width: int, elastic: Mapping[str, int], order: str) -> list[tuple[Column, int]]:
    """Return the columns of a table `width` wide, with their widths; the transcript takes the rest.

    `order` is the field that the clips are sorted by.
    """
    chosen = [column for column in COLUMNS if column.width and (column.from_width <= width or column.field == order)]
    found = [(column, elastic.get(column.title, column.width)) for column in chosen]
    left = width - GUTTER - sum(each + 1 for _, each in found)
    return [*found, (COLUMNS[-1], max(left, LEAST_TEXT))]
