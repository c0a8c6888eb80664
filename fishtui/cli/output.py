"""Output on stdout: a summary for people, or JSON for programs."""

from __future__ import annotations

import json
import re
import shutil
import sys
import textwrap
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from fishtui.errors import MisuseError
from fishtui.project import working_folder
from fishtui.sanitize import harmless
from fishtui.wording import cut

if TYPE_CHECKING:
    from fishtui.runs.state import Run

# Smallest width of a column that is cut to fit.
MOST_NARROW = 10
# Largest width of any other column on a terminal.
MOST_WIDE = 32
# A command within a text, and the character that replaces its spaces while the text is wrapped.
COMMAND = re.compile("`[^`]*`")
UNBROKEN = "\0"


def line(text: str = "") -> None:
    """Write one line for people, wrapped on a narrower terminal."""
    print(folded(harmless(text), sys.stdout))


def address(url: str) -> None:
    """Write a URL on its own line, so that a terminal can make it a link."""
    from fishtui.listen.links import link

    # Flush, since a program that reads from a pipe waits for this line.
    print(link(url) if sys.stdout.isatty() else url, flush=True)


def finding(glyph: str, name: str, found: str, remedy: str) -> None:
    """Write what a check found, and below it what to do, at once: the next check may take a while."""
    line(f"{glyph} {name:<12} {found}")
    if remedy:
        line(f"  {'':<12} {remedy}")
    sys.stdout.flush()


def folded(text: str, stream: TextIO) -> str:
    """Return `text` wrapped to the width of `stream`, if that is a terminal."""
    if not stream.isatty():
        return text
    indent = " " * (len(text) - len(text.lstrip()))
    width = shutil.get_terminal_size().columns
    if len(text) <= width:
        return text
    # Keep commands on one line, to be copied.
    kept = COMMAND.sub(lambda match: match[0].replace(" ", UNBROKEN), text)
    filled = textwrap.fill(kept, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    return filled.replace(UNBROKEN, " ")


def document(content: Any) -> None:
    """Write one JSON document on its own line, in ASCII."""
    json.dump(content, sys.stdout)
    sys.stdout.write("\n")
    sys.stdout.flush()


def launched(run: Run, as_json: bool) -> int:
    """Show the started run; return the exit status. Raises FishtuiError if it could not be started."""
    if (error := run.record.failure) is not None:
        raise error
    if as_json:
        document(run.as_dict())
    else:
        line(f"{run.id} {run.state}; watch it with `fishtui runs attach {run.id}`")
    return run.exit_status if run.ended else 0


def ledger(content: Mapping[str, Any], verb: str = "done") -> None:
    """Show a stage's ledger: totals, figures, reasons of skipped items, and the first failed ones."""
    from fishtui.runs.ledger import describe_ledger

    for each in describe_ledger(content, verb):
        line(each)


def products(run: Run) -> None:
    """Show the paths of what a run was started for: all that it has finished, also if it was stopped later."""
    from fishtui.runs.products import read_products

    for path in read_products(run):
        # Not wrapped, so that it can be copied.
        print(harmless(f"wrote {from_here(path)}"))


def from_here(path: Path) -> str:
    """Return a path relative to the working folder if it is inside, otherwise as it is."""
    try:
        return str(path.relative_to(working_folder()))
    except (ValueError, MisuseError):
        return str(path)


def table(
    rows: Sequence[Sequence[str]],
    headings: Sequence[str] = (),
    right: Collection[int] = (),
    stretch: int | None = None,
) -> None:
    """Write a table; columns in `right` are right-aligned. On a terminal the column `stretch` is cut to fit."""
    from rich.cells import cell_len

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
            cell = cut(cell, width)
            blanks = " " * (width - cell_len(cell))
            padded.append(blanks + cell if column in right else cell + blanks)
        print("  ".join(padded).rstrip())
