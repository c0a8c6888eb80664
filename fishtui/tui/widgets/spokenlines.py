"""The lines that a checkpoint spoke, worst first, and the versions of one line to switch between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from rich.cells import cell_len
from textual.binding import Binding, BindingType
from textual.content import Content

from fishtui.evaluation.record import SpokenLine, Step
from fishtui.glyphs import CURSOR, SIGN
from fishtui.results.samples import BASE
from fishtui.tui.evaluations import Evaluated
from fishtui.tui.widgets.line import fitted
from fishtui.tui.widgets.lines import KeyedText, Lines

REAL: Literal["real"] = "real"
VersionOf = Step | Literal["real"]
"""A checkpoint by its step, the base, or the real recording of a held-out line."""


@dataclass(frozen=True)
class Version:
    """A recording of a line, and what counts against it."""

    of: VersionOf
    path: Path
    reason: str = ""

    @property
    def name(self) -> str:
        return name_version(self.of)


def name_version(of: VersionOf) -> str:
    """Return the name of a version for people."""
    return "real recording" if of == REAL else "base" if of == BASE else f"step {of:,}"


def versions_of(evaluated: Evaluated, line: str) -> list[Version]:
    """Return the versions of a line: the real recording, the base, then the checkpoints by step."""
    found: list[Version] = []
    if line in evaluated.real:
        found.append(Version(REAL, evaluated.real[line]))
    for step, spoken in evaluated.lines.items():
        for record, reason in spoken:
            if record.line.id == line:
                found.append(Version(step, evaluated.evaluation.path(record), reason))
    return found


class SpokenLines(Lines):
    """A line for each text, by the id of the evaluation's line."""

    POINTER = CURSOR
    DEFAULT_CSS = "SpokenLines { height: 1fr; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        # Bound to the screen's action, so that a click only moves the cursor.
        Binding("enter", "screen.listen", "listen", show=False, tooltip="play the line"),
    ]

    def show_spoken(self, spoken: Sequence[tuple[SpokenLine, str]], width: int) -> None:
        """Show the lines of a checkpoint in their order, within `width` columns."""
        self.show([_shown(record, reason, width) for record, reason in spoken])


def _shown(record: SpokenLine, reason: str, width: int) -> KeyedText:
    state = "error" if record.failures else "warning" if reason else "ok"
    style = {"error": "$text-error", "warning": "$text-warning", "ok": "$text-success"}[state]
    text = fitted(record.line.text, max(width * 2 // 5, 12))
    return record.line.id, Content.assemble((SIGN[state], style), " ", text, "  ", reason)


def versions_text(versions: Sequence[Version], chosen: VersionOf | None, width: int) -> Content:
    """Return the names of versions in a row with the chosen one in brackets; those around it if not all fit."""
    names = ["real" if each.of == REAL else "base" if each.of == BASE else f"{each.of:,}" for each in versions]
    at = next((at for at, each in enumerate(versions) if each.of == chosen), None)
    if at is None:
        return Content("  ".join(names))
    names[at] = f"[{names[at]}]"
    first, end = at, at + 1
    length = cell_len(names[at])
    # The row grows from the chosen version to both sides.
    while True:
        before = first > 0 and length + 2 + len(names[first - 1]) + 8 <= width
        if before:
            first -= 1
            length += 2 + len(names[first])
        after = end < len(names) and length + 2 + len(names[end]) + 8 <= width
        if after:
            length += 2 + len(names[end])
            end += 1
        if not (before or after):
            break
    left = "… " if first > 0 else "← "
    right = " …" if end < len(names) else " →"
    return Content.assemble(
        (left, "dim"),
        "".join(f"{name}  " for name in names[first:at]),
        (names[at], "bold"),
        "".join(f"  {name}" for name in names[at + 1 : end]),
        (right, "dim"),
    )
