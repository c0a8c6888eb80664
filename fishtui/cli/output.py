"""What goes to stdout: a summary for people, or JSON for programs."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Mapping
from typing import Any

from fishtui.plain import harmless

MOST_ITEMS = 10
MOST_REASONS = 6


def line(text: str = "") -> None:
    """One line for people."""
    print(harmless(text))


def document(content: Any) -> None:
    """One JSON document, on a line of its own, in ASCII."""
    json.dump(content, sys.stdout)
    sys.stdout.write("\n")
    sys.stdout.flush()


def ledger(content: Mapping[str, Any], verb: str = "done") -> None:
    """A stage's ledger: its totals, why items were skipped, and the first of those that failed."""
    skipped, failed = content["skipped"], content["failed"]
    parts = [f"{content['done']:,} {verb}"]
    parts += [f"{len(skipped):,} skipped"] if skipped else []
    parts += [f"{len(failed):,} failed"] if failed else []
    line(f"{content['total']:,} {content['unit']}: {', '.join(parts)}")
    for reason, count in Counter(entry["reason"] for entry in skipped).most_common(MOST_REASONS):
        line(f"  - {count:,} skipped: {reason}")
    for entry in failed[:MOST_ITEMS]:
        line(f"  ✗ {entry['item']}: {entry['reason']}")
    if len(failed) > MOST_ITEMS:
        line(f"  ✗ … and {len(failed) - MOST_ITEMS:,} more, all in run.json")


def table(headings: list[str], rows: list[list[str]]) -> None:
    """Columns for people: the first to the left, the others to the right."""
    from rich.cells import cell_len

    cells = [headings, *([harmless(cell) for cell in row] for row in rows)]
    widths = [max(map(cell_len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        padded = [
            cell + " " * (width - cell_len(cell)) if column == 0 else " " * (width - cell_len(cell)) + cell
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        print("  ".join(padded).rstrip())
