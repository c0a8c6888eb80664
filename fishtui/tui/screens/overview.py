"""Overview: the pipeline, the data, what was found, what runs, and what to do next."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len, set_cell_size
from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from fishtui import glyphs, wording
from fishtui.errors import FishtuiError
from fishtui.sanitize import harmless
from fishtui.tui.commands import document_of, run_fishtui
from fishtui.tui.screen import MainScreen, color_sign
from fishtui.tui.widgets.panetitle import PaneTitle
from fishtui.tui.widgets.steps import STEPS, Step, Steps

# Not needed for the first picture, which is to be there at once.
if TYPE_CHECKING:
    from fishtui.catalog.summary import Summary
    from fishtui.runs.gpus import Gpu
    from fishtui.runs.table import RunSummary, RunTable

# Seconds between two looks at what is up to date if nothing seems to have changed; and how many times as long as one
# takes there is none.
PLAN_EVERY = 60.0
SELDOM = 5
MOST_RUNS = 8
# The state of each stage in the pipeline's plan, and the reason.
Plans = dict[str, tuple[str, str]]
# States of steps that the pipeline would run, and of runs that have not ended.
DUE = frozenset({"due", "never", "failed", "lost"})
UNDER_WAY = frozenset({"queued", "running", "stopping"})
# Stands for no speaker: a folder's name has no slash.
SCAN = "/scan"


@dataclass(frozen=True)
class Snapshot:
    """All that the screen shows; `data` is None without a catalog."""

    steps: list[Step]
    data: Summary | None
    runs: list[RunSummary]
    gpus: list[Gpu]
    free: int
    host: str
    advice: str


class Things(OptionList):
    """A list whose lines lead somewhere."""

    DEFAULT_CSS = """
    Things { height: auto; max-height: 100%; border: none; padding: 0; background: $background; }
    Things { text-wrap: nowrap; text-overflow: ellipsis; }
    Things:focus { border: none; }
    Things > .option-list--option { padding: 0; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "cursor_down", "down", show=False),
        Binding("k", "cursor_up", "up", show=False),
    ]

    def __init__(self, id: str) -> None:
        super().__init__(id=id, markup=False)
        self._shown: list[tuple[str, str]] = []

    def on_focus(self) -> None:
        if self.highlighted is None and self.option_count:
            self.highlighted = 0

    def say(self, lines: Sequence[tuple[str, str]]) -> None:
        """Show other lines, each with the id of what it leads to; the cursor stays on its own."""
        lines = list(lines)
        if lines == self._shown:
            return
        at = self.highlighted
        kept = self._shown[at][0] if at is not None and at < len(self._shown) else None
        self._shown = lines
        self.set_options([Option(self._line(text), id=name) for name, text in lines])
        names = [name for name, _ in lines]
        self.highlighted = names.index(kept) if kept in names else None

    def _line(self, text: str) -> Text:
        """A line whose sign, if it begins with one, has its colour."""
        line = Text(no_wrap=True, overflow="ellipsis")
        return line.append_text(color_sign(self.app, text[:1])).append(harmless(text[1:]))


class Overview(MainScreen[Snapshot]):
    """Where everything stands."""

    NAME = "Overview"
    DEFAULT_CSS = """
    Overview #panes { height: 1fr; }
    Overview #left { width: 1fr; padding-right: 1; }
    Overview #right { width: 1fr; padding-left: 1; }
    Overview #steps { margin: 0 1; }
    Overview Static { padding: 0 1; }
    Overview #machine { padding: 0; text-wrap: nowrap; text-overflow: ellipsis; }
    Overview #advice { height: 1; text-style: bold; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "r", "run_pipeline", "run what is due", tooltip="run every stage that isn't up to date, in the background"
        ),
        Binding("s", "scan", "scan", tooltip="bring the catalog up to date with the disk"),
        Binding("c", "check", "check", tooltip="scan, decode what is new, and run all checks over it"),
        Binding("i", "import", "import", show=False, tooltip="bring in recordings in another layout"),
        Binding("n", "launch", "launch a stage", show=False, tooltip="open the form that launches a stage"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._planned: tuple[float, object, Plans] = (float("-inf"), None, {})
        self._planning = False
        self._data: tuple[object, Summary | None] = (None, None)
        self._board: RunTable | None = None

    def compose_body(self) -> ComposeResult:
        yield Steps()
        with Horizontal(id="panes"):
            with Vertical(id="left"):
                yield PaneTitle("Data", id="data-title")
                yield Things("speakers")
                yield PaneTitle("Findings", id="findings-title")
                yield Things("findings")
            with Vertical(id="right"):
                yield PaneTitle("Runs", id="runs-title")
                yield Things("runs")
                yield PaneTitle("Machine", id="machine-title")
                yield Static("", id="machine", markup=False)
        yield Static("", id="advice", markup=False)

    def read(self) -> Snapshot:
        from fishtui.runs.gpus import list_gpus
        from fishtui.runs.identity import this_machine
        from fishtui.runs.table import RunTable

        project = self.fishtui.project
        self._board = self._board or RunTable(project)
        known = self._board.read()
        # What goes on comes first, then what is new.
        runs = sorted(known, key=lambda each: (not each.ended, each.id), reverse=True)
        data = self._catalog()
        steps = self._steps(known)
        folder = next(folder for folder in (project.root, *project.root.parents) if folder.is_dir())
        free = shutil.disk_usage(folder).free
        has_model = project.path(self.fishtui.loaded.values.paths.checkpoint).is_dir()
        return Snapshot(
            steps, data, runs[:MOST_RUNS], list_gpus(), free, this_machine()[0], _advice(steps, data, has_model)
        )

    def _catalog(self) -> Summary | None:
        """The catalog's sums, read again only when somebody has written to it."""
        from fishtui.catalog.store import Catalog, catalog_version
        from fishtui.catalog.summary import summarize

        project = self.fishtui.project
        now = catalog_version(project)
        if now != self._data[0]:
            data = None
            if project.catalog.exists():
                with Catalog(project, project.path(self.fishtui.loaded.values.paths.data)) as catalog:
                    data = summarize(catalog)
            self._data = (now, data)
        return self._data[1]

    def _steps(self, runs: Sequence[RunSummary]) -> list[Step]:
        """The pipeline's steps, beside the newest run of each."""
        from fishtui.catalog.store import catalog_version

        now = (
            tuple(run.id for run in runs if run.ended),
            catalog_version(self.fishtui.project),
            repr(self.fishtui.loaded.values),
        )
        ready, seen, plans = self._planned
        due = time.monotonic() > ready and (seen != now or time.monotonic() > ready + PLAN_EVERY)
        if due and not self._planning:
            self._planning = True
            self.app.call_from_thread(self._plan, now)
        newest = {run.stage: run for run in runs}
        return [_step(name, newest.get(name), *plans.get(name, ("unknown", ""))) for name in STEPS]

    @work(thread=True, group="plan", exit_on_error=False)
    def _plan(self, now: object) -> None:
        """What is due, by another process: it looks at every clip, for which nothing else waits."""
        began = time.monotonic()
        plans: Plans = {}
        try:
            with suppress(FishtuiError):
                steps = document_of(run_fishtui(["run", "--dry-run", "--json"], self.fishtui.project))
                plans = {each["stage"]: (each["state"], each["reason"]) for each in steps}
        finally:
            # What takes long is done seldom.
            self._planned = (time.monotonic() + SELDOM * (time.monotonic() - began), now, plans)
            self._planning = False
        self.app.call_from_thread(self.reload)

    def show(self, snapshot: Snapshot) -> None:
        self.query_one("#title", PaneTitle).show(f"{self.fishtui.project.root.name} · {snapshot.host}")
        self.query_one(Steps).say(snapshot.steps)
        self._show_data(snapshot.data)
        self.query_one("#runs", Things).say(
            [
                (run.id, f"{glyphs.SIGN[run.state]} {run.stage:<10} {_share(run) or run.text or run.state}")
                for run in snapshot.runs
            ]
            or [("none", "none yet: r runs the pipeline")]
        )
        self.query_one("#machine", Static).update(Text("\n").join(_machine(snapshot)))
        self.query_one("#advice", Static).update(snapshot.advice)

    def _show_data(self, data: Summary | None) -> None:
        title = self.query_one("#data-title", PaneTitle)
        if data is None:
            title.show("no catalog yet")
            self.query_one("#speakers", Things).say([(SCAN, "s scans data/ for clips")])
            self.query_one("#findings", Things).say([])
            return
        title.show(f"{wording.counted(data.clips, 'clip')} · {wording.seconds(data.seconds)}")
        width = min(max([cell_len(each["speaker"]) for each in data.speakers] or [0]), 14)
        digits = max([len(f"{each['clips']:,}") for each in data.speakers] or [0])
        self.query_one("#speakers", Things).say(
            [
                (
                    each["speaker"],
                    f"{set_cell_size(harmless(each['speaker']), width)} {each['clips']:>{digits},} · "
                    f"{wording.seconds(each['seconds']):>5} · {each['flagged']:,} flagged",
                )
                for each in data.speakers
            ]
        )
        self.query_one("#findings-title", PaneTitle).show(f"{data.flagged:,} flagged · {data.open:,} open")
        self.query_one("#findings", Things).say(
            [(code, f"{glyphs.SIGN[severity]} {code:<24} {number:>6,}") for code, severity, number in data.codes]
        )

    @on(OptionList.OptionSelected)
    def lead(self, event: OptionList.OptionSelected) -> None:
        """Go to what was chosen."""
        name = event.option.id or ""
        match event.option_list.id:
            case "speakers" if name == SCAN:
                self.action_scan()
            case "speakers":
                from fishtui.catalog.filter import Query, Term

                self.fishtui.go("clips", str(Query((Term("speaker", (name,)),))))
            case "findings":
                self.fishtui.go("clips", f"finding:{name}")
            case "runs" if name != "none":
                self.fishtui.go("runs", name)

    @on(Steps.Opened)
    def open_step(self, event: Steps.Opened) -> None:
        """Go to the form of a stage."""
        self.fishtui.go("launch", event.name)

    def action_launch(self) -> None:
        self.fishtui.go("launch", "")

    def action_run_pipeline(self) -> None:
        """Run what is due, once that is confirmed: a training may take days."""
        from fishtui.tui.dialogs import Confirm

        due = _due(self.query_one(Steps).steps)
        consequence = ""
        if "train" in due or not due:
            with suppress(FishtuiError):
                values = self.fishtui.loaded.values
                consequence = f"The training {values.run.name} goes on to step {values.train.max_steps:,}."

        def answered(confirmed: bool | None) -> None:
            if confirmed:
                self.fishtui.run_command("run", "--detach")

        self.app.push_screen(Confirm(f"Run {', '.join(due) or 'what is due'}?", consequence), answered)

    def action_scan(self) -> None:
        self.fishtui.run_command("scan")

    def action_check(self) -> None:
        self.fishtui.run_command("validate")

    def action_import(self) -> None:
        from fishtui.tui.dialogs import CommandLine
        from fishtui.tui.guide import IMPORT_HINT

        self.app.push_screen(CommandLine("import ", hint=IMPORT_HINT))


def _step(name: str, run: RunSummary | None, state: str, reason: str) -> Step:
    if run is not None and not run.ended:
        return Step(name, run.state, _share(run), run.state)
    if run is not None and state in DUE and run.state in ("failed", "lost"):
        return Step(name, run.state, "", f"{run.state}: {run.text}")
    return Step(name, state, "", reason)


def _share(run: RunSummary) -> str:
    """How much of its work a run has done, as a percentage; "" if it can't be told."""
    return f"{run.progress.done / run.progress.total:.0%}" if run.progress and run.progress.total else ""


def _machine(snapshot: Snapshot) -> list[Text]:
    lines = []
    for number, gpu in enumerate(snapshot.gpus):
        busy = f"{gpu.busy:>4.0%} {'▇' * round(5 * gpu.busy):<5}" if gpu.busy is not None else ""
        used = f"{(gpu.total - gpu.free) / 1e9:.0f}/{gpu.total / 1e9:.0f} GB"
        name = harmless(gpu.name).removeprefix("NVIDIA ")
        lines.append(Text(f"GPU {number}  {busy} {used}  {name}"))
    if not lines:
        lines.append(Text("no GPU: everything runs on the CPU"))
    return [*lines, Text(f"Disk   {wording.size(snapshot.free)} free")]


def _due(steps: Sequence[Step]) -> list[str]:
    return [step.name for step in steps if step.state in DUE]


def _advice(steps: Sequence[Step], data: Summary | None, has_model: bool) -> str:
    """What a person would do next."""
    if data is None:
        return "Next: s scans the recordings in data/; or i to import others."
    if not data.clips:
        return "Next: put recordings into data/SPEAKER/clip.wav with clip.lab, or i to import them; then s."
    if any(step.state in UNDER_WAY for step in steps):
        return "Runs go on when you leave: 3 shows them."
    due = _due(steps)
    stages = " → ".join(due if len(due) < 4 else [due[0], "…", due[-1]])
    todo = [
        f"c checks {wording.counted(data.unmeasured, 'clip')}" if data.unmeasured else "",
        f"2 and f look at {data.doubtful:,} flagged" if data.doubtful else "",
        "" if has_model else ":download fetches the model",
        f"r runs {stages}" if due else "",
    ]
    told = "; ".join(filter(None, todo))
    return f"Next: {told}." if told else "All is up to date: 5 compares and lets you hear the models."
