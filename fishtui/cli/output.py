"""What goes to stdout: a summary for people, or JSON for programs."""

from __future__ import annotations

import json
import re
import shutil
import sys
import textwrap
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TextIO

from fishtui.sanitize import harmless

if TYPE_CHECKING:
    from fishtui.runs.state import Run

# The least width that a column which is cut to fit keeps.
MOST_NARROW = 10
# The greatest width that any other column gets on a terminal.
MOST_WIDE = 32
# A command in a text, and what stands for its blanks while that is broken into lines.
COMMAND = re.compile("`[^`]*`")
UNBROKEN = "\0"


def line(text: str = "") -> None:
    """One line for people; on a terminal that is narrower, several, broken between words."""
    print(folded(harmless(text), sys.stdout))


def address(url: str) -> None:
    """An address of ours on a line of its own; a terminal may let one click on it."""
    from fishtui.listen.links import link

    # At once, also into a pipe: whoever waits for it has nothing else to wait for.
    print(link(url) if sys.stdout.isatty() else url, flush=True)


def folded(text: str, stream: TextIO) -> str:
    """`text` in lines that fit if `stream` is a terminal."""
    if not stream.isatty():
        return text
    indent = " " * (len(text) - len(text.lstrip()))
    width = shutil.get_terminal_size().columns
    if len(text) <= width:
        return text
    # A command is to be copied whole.
    kept = COMMAND.sub(lambda match: match[0].replace(" ", UNBROKEN), text)
    filled = textwrap.fill(kept, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    return filled.replace(UNBROKEN, " ")


def document(content: Any) -> None:
    """One JSON document, on a line of its own, in ASCII."""
    json.dump(content, sys.stdout)
    sys.stdout.write("\n")
    sys.stdout.flush()


def launched(run: Run, as_json: bool) -> int:
    """Show which run was started; returns the exit status for that. Raises FishtuiError if it could not be started."""
    if (error := run.record.failure) is not None:
        raise error
    if as_json:
        document(run.as_dict())
    else:
        line(f"{run.id} {run.state}; watch it with `fishtui runs attach {run.id}`")
    return run.exit_status if run.ended else 0


def ledger(content: Mapping[str, Any], verb: str = "done") -> None:
    """A stage's ledger: its totals and figures, why items were skipped, and the first of those that failed."""
    from fishtui.runs.ledger import describe_ledger

    for each in describe_ledger(content, verb):
        line(each)


def table(
    rows: Sequence[Sequence[str]],
    headings: Sequence[str] = (),
    right: Collection[int] = (),
    stretch: int | None = None,
) -> None:
    """Columns for people, those in `right` aligned there. On a terminal the last one, `stretch`, is cut to fit."""
    from rich.cells import cell_len, set_cell_size

    cells = [*([list(headings)] if headings else []), *([harmless(cell) for cell in row] for row in rows)]
    if not cells:
        return
    widths = [max(map(cell_len, column)) for column in zip(*cells, strict=True)]
    if stretch is not None and sys.stdout.isatty():
        widths = [min(width, MOST_WIDE) if column != stretch else width for column, width in enumerate(widths)]
        others = sum(width + 2 for column, width in enumerate(widths) if column != stretch)
        widths[stretch] = min(widths[stretch], max(shutil.get_terminal_size().columns - others, MOST_NARROW))
    for row in cells:
        padded = []
        for column, (cell, width) in enumerate(zip(row, widths, strict=True)):
            if cell_len(cell) > width:
                cell = set_cell_size(cell, width - 1) + "…"
            blanks = " " * (width - cell_len(cell))
            padded.append(blanks + cell if column in right else cell + blanks)
        print("  ".join(padded).rstrip())
