"""All about a run in words: beside the list, and over the whole screen."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from fishtui.errors import FishtuiError
from fishtui.project import Project
from fishtui.runs.details import facts
from fishtui.runs.ledger import told
from fishtui.runs.state import look
from fishtui.runs.table import Row
from fishtui.sanitize import harmless
from fishtui.tui.failures import FailureReporter

Words = Sequence[tuple[str, str]]
# Items of an account that are shown: all of them are in run.json.
MOST_ITEMS = 1000
FEW_ITEMS = 5
NOT_BESIDE = ("run", "state", "in", "on", "log", "progress")


def described(project: Project, folder: Path, items: int = FEW_ITEMS) -> tuple[tuple[str, str], ...]:
    """Names and what there is to say of each, and at last the account. In a thread."""
    run = look(folder)
    found = list(facts(project, run))
    if run.record.ledger:
        found += [("", ""), *(("", line) for line in told(run.record.ledger, items=items))]
    if items > FEW_ITEMS and run.record.traceback:
        found += [("", ""), *(("", line) for line in run.record.traceback.splitlines())]
    return tuple(found)


def text_of(words: Words, narrow: bool) -> Content:
    """The same as text; in a narrow place without what the list says already."""
    parts: list[tuple[str, str]] = []
    for name, value in words:
        if narrow and name in NOT_BESIDE:
            continue
        if name:
            parts.append((f"{name:<8} ", "$text-muted"))
        bad = name == "error" or value.lstrip().startswith("✗")
        parts.append((f"{harmless(value)}\n", "$text-error" if bad else ""))
    return Content.assemble(*parts)


class Facts(VerticalScroll, can_focus=True):
    """What there is to say of a run that has no curves, in a narrow pane."""

    DEFAULT_CSS = """
    Facts { height: 1fr; scrollbar-size-vertical: 1; }
    """

    def compose(self) -> ComposeResult:
        yield Static("", markup=False)

    def on_mount(self) -> None:
        self._words: Words = ()

    def show(self, words: Words) -> None:
        """Show these."""
        if words != self._words:
            self._words = words
            self.query_one(Static).update(text_of(words, narrow=True))


class RunDetails(FailureReporter, ModalScreen[None]):
    """All about a run: where and how it ran, its account, each item that failed and why."""

    DEFAULT_CSS = """
    RunDetails .dialog { width: 100%; height: 100%; padding: 0 2; background: $background; }
    RunDetails VerticalScroll { height: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,i,q", "leave", "back"),
        Binding("down,j", "scroll('down')", "line down", show=False),
        Binding("up,k", "scroll('up')", "line up", show=False),
        Binding("c", "copy", "copy command", tooltip="copy the run's exact command"),
    ]

    def __init__(self, project: Project, row: Row) -> None:
        super().__init__()
        self.project, self.row = project, row

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            with VerticalScroll():
                yield Static("reading…", markup=False)
            yield Static("esc back   c copy command", markup=False, classes="keys")

    def on_mount(self) -> None:
        self._read()

    @work(thread=True, exclusive=True, exit_on_error=False)
    def _read(self) -> None:
        try:
            text = text_of(described(self.project, self.row.folder, MOST_ITEMS), narrow=False)
        except FishtuiError as error:
            text = Content(harmless(f"✗ {error.problem}"))
        self.app.call_from_thread(self.query_one("VerticalScroll > Static", Static).update, text)

    def action_scroll(self, where: str) -> None:
        pane = self.query_one(VerticalScroll)
        pane.scroll_down(animate=False) if where == "down" else pane.scroll_up(animate=False)

    def action_copy(self) -> None:
        self.app.copy_to_clipboard(self.row.command)
        self.app.notify(harmless(f"copied: {self.row.command}"), markup=False)

    def action_leave(self) -> None:
        self.dismiss()
