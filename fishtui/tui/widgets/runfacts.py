"""All facts about a run: in a narrow pane, and on the whole screen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen

from fishtui.errors import FishtuiError
from fishtui.project import Project
from fishtui.runs.details import describe_run
from fishtui.runs.ledger import describe_ledger
from fishtui.runs.state import read_run
from fishtui.runs.table import RunSummary
from fishtui.tui.ascii import spell_keys
from fishtui.tui.failures import FailureReporter
from fishtui.tui.host import host_of
from fishtui.tui.widgets.line import Line
from fishtui.tui.widgets.scrollpane import ScrollPane

# Seconds between two readings of a run that has not ended.
INTERVAL = 1.0
# Items of a ledger that are shown; run.json has all of them.
MOST_ITEMS = 1000
FEW_ITEMS = 5
KEYS = "↑ ↓ scroll   c copy command   esc back"
# Facts that the list of runs shows already.
IN_LIST = ("run", "state", "in", "on", "log", "progress")


class Fact(NamedTuple):
    """A line about a run: an optional name, and a text, in the color of errors if `is_error`."""

    name: str
    text: str
    is_error: bool = False


def read_facts(project: Project, folder: Path, items: int = FEW_ITEMS) -> tuple[Fact, ...]:
    """Read all facts about a run, its ledger last with `items` of the items that failed. Raises FishtuiError."""
    run = read_run(folder)
    found = [Fact(name, text, name == "error") for name, text in describe_run(project, run)]
    if run.record.ledger:
        found += [Fact("", ""), *_ledger(run.record.ledger, items)]
    if items > FEW_ITEMS and run.record.traceback:
        found += [Fact("", ""), *(Fact("", line) for line in run.record.traceback.splitlines())]
    return tuple(found)


def _ledger(ledger: Mapping[str, Any], items: int) -> Iterator[Fact]:
    lines = list(describe_ledger(ledger, items=items))
    # The items that failed are last, and a line for those without room.
    failures = min(len(ledger["failed"]), items + 1)
    for number, line in enumerate(lines):
        yield Fact("", line, number >= len(lines) - failures)


def text_of(facts: Iterable[Fact]) -> Content:
    """Return the facts as text, a line each."""
    parts: list[tuple[str, str]] = []
    for fact in facts:
        if fact.name:
            parts.append((f"{fact.name:<8} ", "$text-muted"))
        parts.append((f"{fact.text}\n", "$text-error" if fact.is_error else ""))
    return Content.assemble(*parts)


class RunFacts(ScrollPane):
    """The facts about a run without curves that the list does not show, in a narrow pane."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._facts: Sequence[Fact] = ()

    def compose(self) -> ComposeResult:
        yield Line()

    def show(self, facts: Sequence[Fact]) -> None:
        """Show other facts."""
        if facts != self._facts:
            self._facts = facts
            self.query_one(Line).show(text_of(fact for fact in facts if fact.name not in IN_LIST))


class RunReport(FailureReporter, ModalScreen[None]):
    """Everything about a run on the whole screen: where and how it ran, its ledger, and each item that failed."""

    DEFAULT_CSS = """
    RunReport .dialog { width: 100%; height: 100%; padding: 0 2; background: $background; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,i,q", "leave", "back"),
        Binding("c", "copy", "copy command", tooltip="copy the exact command of the run"),
    ]

    def __init__(self, project: Project, row: RunSummary) -> None:
        super().__init__()
        self.project, self.row = project, row

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            with ScrollPane():
                yield Line("reading …", id="report")
            yield Line(spell_keys(KEYS, host_of(self).ascii), classes="keys")

    def on_mount(self) -> None:
        self._read()
        if not self.row.ended:
            self.set_interval(INTERVAL, self._read)

    def _read(self) -> None:
        """Read the run, unless a reading is still in progress."""
        if all(each.is_finished for each in self.workers if each.node is self):
            self._read_facts()

    @work(thread=True, exit_on_error=False)
    def _read_facts(self) -> None:
        try:
            text = text_of(read_facts(self.project, self.row.folder, MOST_ITEMS))
        except FishtuiError as error:
            text = Content(f"✗ {error.problem}")
        if self.is_running:
            self.app.call_from_thread(self._show, text)

    def _show(self, text: Content) -> None:
        line = self.query_one("#report", Line)
        # A new layout each second would cost time.
        if text != line.content:
            line.show(text)

    def action_copy(self) -> None:
        host_of(self).copy(self.row.command)

    def action_leave(self) -> None:
        self.dismiss()
