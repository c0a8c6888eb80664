"""Evaluation of a training: the table of its checkpoints, the verdict, and the lines of one, worst first."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content

from fishtui.errors import FishtuiError
from fishtui.evaluation.lines import Line as SpokenText
from fishtui.evaluation.record import Step
from fishtui.results.checkpoints import list_checkpoints
from fishtui.sanitize import harmless
from fishtui.tui.evaluating import BLIND, EVALUATE, EvaluationActions
from fishtui.tui.evaluations import Evaluated, Evaluations
from fishtui.tui.widgets.checkpoints import CheckpointId
from fishtui.tui.widgets.evaluationcolumns import (
    LEGEND,
    STEP,
    sort_names,
    sort_title,
    sorted_rows,
    table_text,
)
from fishtui.tui.widgets.evaluationdetails import EvaluationDetails
from fishtui.tui.widgets.evaluationtable import EvaluationTable
from fishtui.tui.widgets.line import Line
from fishtui.tui.widgets.panetitle import PaneTitle
from fishtui.tui.widgets.spokenlines import REAL, SpokenLines, Version, VersionOf, versions_of, versions_text
from fishtui.wording import counted

# On a lower screen, only the pane with the focus is shown.
LEAST_HEIGHT = 18


class EvaluationView(EvaluationActions[Evaluated]):
    """Over Models: one training's evaluation. Each line plays in all its versions."""

    SIGNS = LEGEND
    VERTICAL_BREAKPOINTS = [(0, "-low"), (LEAST_HEIGHT, "-high")]  # noqa: RUF012
    DEFAULT_CSS = """
    EvaluationView #heading { height: 1; color: $text-muted; }
    EvaluationView #table { height: auto; }
    EvaluationView #verdict { height: auto; max-height: 6; padding: 0 1; }
    EvaluationView.-low #table { height: 1fr; }
    EvaluationView.-low EvaluationTable { height: 1fr; max-height: 100%; }
    EvaluationView.-low #verdict { max-height: 3; }
    EvaluationView.-low #line { min-height: 1; }
    EvaluationView #lines { height: 1fr; }
    EvaluationView #versions { height: 1; padding: 0 1; text-wrap: nowrap; }
    EvaluationView #line { height: auto; min-height: 2; max-height: 4; padding: 0 1; color: $text-muted; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "listen", "listen", tooltip="play the line, or stop"),
        Binding("left,h", "switch(-1)", "version", tooltip="play the line in the version before"),
        Binding("right,l", "switch(1)", "next version", show=False, tooltip="play the line in the next version"),
        Binding("i", "details", "details", tooltip="show why, what was not measured, and what the columns mean"),
        Binding("s", "sort", "sort", show=False, tooltip="sort by the next column, the best first"),
        Binding("S", "reverse", "reverse", show=False, tooltip="reverse the order"),
        Binding("x", "mark", "mark", tooltip="mark the checkpoint, to compare two blindly"),
        BLIND,
        replace(EVALUATE, show=False),
        Binding("tab,shift+tab", "other_pane", "other pane", show=False, tooltip="switch between table and lines"),
        Binding("L", "listen(True)", "serve", show=False, tooltip="listen in a browser, also on another computer"),
        Binding("c", "copy", "copy path", show=False, tooltip="copy the path of the recording"),
        Binding("escape", "back", "back", tooltip="back to the table, then to Models"),
    ]

    def __init__(self, training: str, step: int | None) -> None:
        """Begin on the checkpoint of `step`, None for the base."""
        super().__init__()
        self.training = training
        self._start: Step = "base" if step is None else step
        self._reader = Evaluations()
        self._evaluated: Evaluated | None = None
        self._sorted_by, self._is_reversed = STEP, False
        self._marked: list[Step] = []
        # The version to play next, and the row and line that it was chosen for.
        self._version: VersionOf | None = None
        self._of: tuple[object, object] = (None, None)

    def compose_body(self) -> ComposeResult:
        with Vertical(id="table"):
            yield Line(id="heading")
            yield EvaluationTable(id="rows")
            yield Line(id="verdict")
        with Vertical(id="lines"):
            yield PaneTitle("Lines", id="lines-title")
            yield SpokenLines(id="spoken")
            yield Line(id="versions")
            yield Line(id="line")

    def on_mount(self) -> None:
        self.query_one("#title", PaneTitle).show("", f"Evaluation of {self.training}")
        self._arrange(False)
        self.set_focus(self._table)

    def on_resize(self) -> None:
        self._arrange(self._is_reading)
        self._show_all()
        for lines in (self._table, self._spoken):
            lines.call_after_refresh(lines.scroll_to_highlight)

    @property
    def _table(self) -> EvaluationTable:
        return self.query_one(EvaluationTable)

    @property
    def _spoken(self) -> SpokenLines:
        return self.query_one(SpokenLines)

    @property
    def _is_reading(self) -> bool:
        return self._spoken.has_focus

    # Reading.

    def read(self) -> Evaluated:
        project, settings = self.fishtui.project, self.fishtui.loaded.values
        results = project.results / self.training
        saved = list_checkpoints(results / "checkpoints")
        found = self._reader.read(results, saved, project.path(settings.paths.data), settings.pack.text_extension)
        if found is None:
            raise FishtuiError(
                f"{self.training}: its evaluation no longer exists", "Press escape to go back.", code="not-found"
            )
        if isinstance(found, FishtuiError):
            raise found
        return found

    def show(self, snapshot: Evaluated) -> None:
        if snapshot is not self._evaluated:
            self._evaluated = snapshot
            self._show_all()

    def go(self, target: str) -> None:
        """Leave for another training, which another screen leads to."""
        if target and target != self.training:
            self.dismiss()
            self.fishtui.go("models", target)

    def _show_all(self) -> None:
        found = self._evaluated
        if found is None:
            return
        table = found.table
        rows = sorted_rows(table, self._sorted_by, self._is_reversed)
        heading, lines = table_text(
            table,
            rows,
            # The pointer, and the bar for scrolling.
            max(self.size.width - 2, 1),
            sorted_by=self._sorted_by,
            recommended=found.verdict.recommended,
            remarks=found.remarks,
            marked=self._marked,
        )
        self.query_one("#heading", Line).show(f" {heading}")
        self._table.show(lines, self._start)
        order = f"by {sort_title(table, self._sorted_by)}{', reversed' if self._is_reversed else ''}"
        self.query_one("#title", PaneTitle).show(f"{counted(table.lines, 'line')} · {order}")
        self._show_verdict(found)
        self._show_lines()

    def _show_verdict(self, found: Evaluated) -> None:
        parts: list[str | tuple[str, str]] = [harmless(found.sentence)]
        if self.size.height >= LEAST_HEIGHT:
            parts.append((f"\n{LEGEND}", "dim") if found.table.base else "")
        missing = sorted(found.table.missing)
        remarks = [
            *found.evaluation.remarks[:1],
            *([f"not measured: {', '.join(missing)}; i explains"] if missing else []),
        ]
        parts += [(f"\n▲ {harmless(each)}", "$text-warning") for each in remarks]
        self.query_one("#verdict", Line).show(Content.assemble(*parts))

    def action_details(self) -> None:
        """Show the reasons of the verdict, and what each column is."""
        if self._evaluated is not None:
            self.app.push_screen(EvaluationDetails(self._evaluated))

    # Panes.

    def _arrange(self, reading: bool) -> None:
        """Show both panes, or the one in use on a low screen."""
        is_low = self.size.height < LEAST_HEIGHT
        self.query_one("#table").display = not (is_low and reading)
        self.query_one("#lines").display = not (is_low and not reading)

    def _enter(self, reading: bool) -> None:
        # Both panes, because only what is displayed takes the focus.
        self.query_one("#table").display = self.query_one("#lines").display = True
        self.set_focus(self._spoken if reading else self._table)
        self._arrange(reading)

    def action_open_lines(self) -> None:
        if self._spoken.keys:
            self._enter(True)

    def action_other_pane(self) -> None:
        self._enter(not self._is_reading and bool(self._spoken.keys))

    def action_back(self) -> None:
        if self._is_reading:
            self._enter(False)
        else:
            self.dismiss()

    # The table.

    def action_sort(self) -> None:
        if self._evaluated is not None:
            names = sort_names(self._evaluated.table)
            at = names.index(self._sorted_by) if self._sorted_by in names else -1
            self._sorted_by, self._is_reversed = names[(at + 1) % len(names)], False
            self._show_all()

    def action_reverse(self) -> None:
        self._is_reversed = not self._is_reversed
        self._show_all()

    def action_mark(self) -> None:
        """Mark the checkpoint, or unmark it; a third mark takes the place of the first."""
        step = self._table.step
        if step is not None:
            kept = [each for each in self._marked if each != step]
            self._marked = kept if step in self._marked else [*kept, step][-2:]
            self._show_all()

    @property
    def chosen(self) -> list[CheckpointId]:
        steps = self._marked if len(self._marked) == 2 else [self._table.step] if self._table.step is not None else []
        return [CheckpointId(self.training, each if isinstance(each, int) else None) for each in steps]

    @property
    def evaluable(self) -> str:
        return self.training

    # Lines.

    @on(EvaluationTable.Moved, "#rows")
    def _show_lines(self) -> None:
        """Show the lines of the checkpoint under the cursor."""
        step, found = self._table.step, self._evaluated
        if found is None:
            return
        spoken = found.lines.get(step, []) if step is not None else []
        name = "the base" if step == "base" else f"step {step:,}" if step is not None else ""
        failed = sum(bool(record.failures) for record, _ in spoken)
        summary = f"{failed:,} of {counted(len(spoken), 'line')} failed" if spoken else ""
        self.query_one("#lines-title", PaneTitle).show(summary, f"Lines of {name}, worst first" if name else "Lines")
        self._spoken.show_spoken(spoken, max(self.size.width - 2, 1))
        if step != self._of[0] and self._spoken.keys:
            self._spoken.action_first()
        self._show_version()

    @on(SpokenLines.Moved, "#spoken")
    def _show_version(self) -> None:
        """Show the versions of the line under the cursor, its text, and what counts against the chosen version."""
        if self._of != (self._table.step, self._spoken.key):
            self._of = (self._table.step, self._spoken.key)
            self._version = self._table.step
        self.query_one("#versions", Line).show(versions_text(self._versions, self._version, self.size.width - 2))
        text = next((each.text for each in self._lines if each.id == self._spoken.key), "")
        version = next((each for each in self._versions if each.of == self._version), None)
        reason = f"{version.name}: {version.reason or 'nothing found'}" if version and version.of != REAL else ""
        parts: list[str | tuple[str, str]] = [harmless(text), (f"\n{harmless(reason)}" if reason else "", "dim")]
        self.query_one("#line", Line).show(Content.assemble(*parts))

    @property
    def _lines(self) -> list[SpokenText]:
        return self._evaluated.evaluation.lines if self._evaluated else []

    @property
    def _versions(self) -> list[Version]:
        line = self._spoken.key
        return versions_of(self._evaluated, line) if self._evaluated and isinstance(line, str) else []

    def action_switch(self, by: int) -> None:
        """Play the line in the version before or after, at once."""
        versions = self._versions
        at = next((at for at, each in enumerate(versions) if each.of == self._version), None)
        if at is not None and 0 <= at + by < len(versions):
            self._version = versions[at + by].of
            self._show_version()
            self._play(versions[at + by], False)

    def action_listen(self, serve: bool = False) -> None:
        """Play the chosen version of the line."""
        version = next((each for each in self._versions if each.of == self._version), None)
        if version is not None:
            self._play(version, serve)
        else:
            self.fishtui.report("no line yet: the checkpoint has spoken none")

    def _play(self, version: Version, serve: bool) -> None:
        text = next((each.text for each in self._lines if each.id == self._spoken.key), "")
        self.fishtui.listen([version.path], serve, [f"{self.training} {version.name}: {text}"])

    def action_copy(self) -> None:
        version = next((each for each in self._versions if each.of == self._version), None)
        if version is not None:
            self.fishtui.copy(str(version.path))
