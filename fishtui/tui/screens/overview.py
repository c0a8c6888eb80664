"""Overview: the state of the pipeline, the data, the runs and the machine, and the next step."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content

from fishtui import wording
from fishtui.errors import FishtuiError
from fishtui.stage import pipeline_names
from fishtui.tui.commands import document_of, run_fishtui
from fishtui.tui.nextstep import DUE, due_steps, is_running, next_step
from fishtui.tui.screen import MainScreen
from fishtui.tui.widgets.line import Line, fitted
from fishtui.tui.widgets.lines import Lines
from fishtui.tui.widgets.panetitle import PaneTitle
from fishtui.tui.widgets.signs import sign
from fishtui.tui.widgets.steps import PipelineStep, Steps
from fishtui.tui.widgets.totals import describe_speakers, describe_totals

# Imported later, to keep the first paint fast.
if TYPE_CHECKING:
    from fishtui.catalog.summary import Summary, Way
    from fishtui.runs.gpus import Gpu
    from fishtui.runs.table import RunSummary, RunTable

# Seconds between two plans if nothing seems to have changed, and the pause between two plans as a multiple of the time
# that one takes.
PLAN_EVERY = 60.0
PAUSE = 5
MOST_RUNS = 8
# The state of each stage in the pipeline's plan, the reason, and the effect beyond its outputs.
Plans = dict[str, tuple[str, str, str]]
KEPT = "-status:rejected"
# Columns for the code of a finding.
CODE = 24
# The key of a line that scans; no speaker has this name, because a folder's name has no slash.
SCAN = "/scan"


@dataclass(frozen=True)
class OverviewSnapshot:
    """The state of the project; `data` is None without a catalog."""

    steps: list[PipelineStep]
    data: Summary | None
    runs: list[RunSummary]
    gpus: list[Gpu]
    free: int
    host: str
    advice: str


class Links(Lines):
    """A list whose lines lead to other screens."""

    DEFAULT_CSS = "Links { height: auto; max-height: 100%; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "select", "open", tooltip="open what the line is about on its screen"),
    ]


class Overview(MainScreen[OverviewSnapshot]):
    """The state of the project."""

    NAME = "Overview"
    DEFAULT_CSS = """
    Overview #panes { height: 1fr; }
    Overview #left { width: 1fr; padding-right: 1; }
    Overview #right { width: 1fr; padding-left: 1; }
    Overview #steps { margin: 0 1; }
    Overview Static { padding: 0 1; }
    Overview #machine { padding: 0; text-wrap: nowrap; text-overflow: ellipsis; }
    Overview #way { display: none; padding: 0; color: $text-muted; }
    Overview #advice { height: 1; text-style: bold; text-wrap: nowrap; text-overflow: ellipsis; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "run_pipeline", "run", tooltip="run every stage that is not up to date, in the background"),
        Binding("s", "scan", "scan", tooltip="update the catalog from the files in data/"),
        Binding("c", "check", "check", tooltip="scan, decode new recordings, and run all checks"),
        Binding("i", "import", "import", show=False, tooltip="import recordings in another layout"),
        Binding("x", "cut", "cut", show=False, tooltip="cut long recordings into clips"),
        Binding("n", "launch", "launch", show=False, tooltip="open the form that launches a stage"),
    ]

    def __init__(self) -> None:
        super().__init__()
        # When to plan next, the state of the project at the last plan, and that plan.
        self._planned: tuple[float, object, Plans] = (float("-inf"), None, {})
        self._planning = False
        # The version of the catalog, and its summary.
        self._data: tuple[object, Summary | None] = (None, None)
        self._table: RunTable | None = None

    def compose_body(self) -> ComposeResult:
        yield Steps()
        with Horizontal(id="panes"):
            with Vertical(id="left"):
                yield PaneTitle("Data", id="data-title")
                yield Line(id="way")
                yield Links(id="speakers")
                yield PaneTitle("Findings", id="findings-title")
                yield Links(id="findings")
            with Vertical(id="right"):
                yield PaneTitle("Runs", id="runs-title")
                yield Links(id="runs")
                yield PaneTitle("Machine", id="machine-title")
                yield Line(id="machine")
        yield Line(id="advice")

    def read(self) -> OverviewSnapshot:
        from fishtui.runs.gpus import list_gpus
        from fishtui.runs.identity import this_machine
        from fishtui.runs.table import RunTable

        project = self.fishtui.project
        self._table = self._table or RunTable(project)
        known = self._table.read()
        # Active runs first, then the newest.
        runs = sorted(known, key=lambda each: (not each.ended, each.id), reverse=True)
        data = self._catalog()
        steps = self._steps(known)
        folder = next(folder for folder in (project.root, *project.root.parents) if folder.is_dir())
        free = shutil.disk_usage(folder).free
        has_model = project.path(self.fishtui.loaded.values.paths.checkpoint).is_dir()
        return OverviewSnapshot(
            steps,
            data,
            runs[:MOST_RUNS],
            list_gpus(),
            free,
            this_machine()[0],
            next_step(steps, data, has_model, any(not each.ended for each in known)),
        )

    def _catalog(self) -> Summary | None:
        """The summary of the catalog, read again only after a change."""
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

    def _steps(self, runs: Sequence[RunSummary]) -> list[PipelineStep]:
        """The steps of the pipeline, with the newest run of each."""
        now = (tuple(run.id for run in runs if run.ended), *self._state())
        ready, seen, plans = self._planned
        due = time.monotonic() > ready and (seen != now or time.monotonic() > ready + PLAN_EVERY)
        if due and not self._planning:
            self._planning = True
            self.app.call_from_thread(self._plan, now)
        newest = {run.stage: run for run in runs}
        return [_step(name, newest.get(name), *plans.get(name, ("unknown", "", ""))) for name in pipeline_names()]

    def _is_outdated(self) -> bool:
        """Return true if the clips or the settings have changed since the shown plan was begun."""
        seen = self._planned[1]
        return isinstance(seen, tuple) and seen[1:] != self._state()

    def _state(self) -> tuple[object, ...]:
        """Return what a plan depends on, besides the runs."""
        from fishtui.catalog.store import catalog_version

        return catalog_version(self.fishtui.project), repr(self.fishtui.loaded.values)

    @work(thread=True, group="plan", exit_on_error=False)
    def _plan(self, now: object) -> None:
        """Plan the pipeline in another process, because the plan reads the state of every clip."""
        began = time.monotonic()
        plans: Plans = {}
        try:
            with suppress(FishtuiError):
                steps = document_of(run_fishtui(["run", "--dry-run", "--json"], self.fishtui.project))
                plans = {each["stage"]: (each["state"], each["reason"], each["effect"]) for each in steps}
        finally:
            # The longer a plan takes, the longer the pause.
            self._planned = (time.monotonic() + PAUSE * (time.monotonic() - began), now, plans)
            self._planning = False
        self.app.call_from_thread(self.reload)

    def show(self, snapshot: OverviewSnapshot) -> None:
        self.query_one("#title", PaneTitle).show(f"{self.fishtui.project.root.name} · {snapshot.host}")
        self.query_one(Steps).show(snapshot.steps)
        self._show_data(snapshot.data)
        runs = [
            (run.id, Content.assemble(sign(run.state), f" {run.stage:<10} {_percent(run) or run.text or run.state}"))
            for run in snapshot.runs
        ]
        self.query_one("#runs", Links).show(runs or [(None, "No runs yet; r runs the pipeline.")])
        self.query_one("#machine", Line).show(Content("\n".join(_machine(snapshot))))
        self.query_one("#advice", Line).show(snapshot.advice)

    def on_resize(self) -> None:
        if self.has_read:
            self.call_after_refresh(lambda: self._show_data(self._data[1]))

    def _show_data(self, data: Summary | None) -> None:
        title = self.query_one("#data-title", PaneTitle)
        if data is None:
            title.show("no catalog yet")
            self.query_one("#speakers", Links).show([(SCAN, "Press s to scan data/ for clips.")])
            self.query_one("#findings", Links).show([])
            return
        title.show(describe_totals(data.totals, flagged=False))
        way = self.query_one("#way", Line)
        way.display = data.way is not None
        way.show(_describe_way(data.way) if data.way else "")
        speakers = self.query_one("#speakers", Links)
        speakers.show(describe_speakers(data.speakers, speakers.size.width))
        self.query_one("#findings-title", PaneTitle).show(
            f"{data.totals.flagged:,} flagged · {data.totals.open:,} open"
        )
        findings = self.query_one("#findings", Links)
        # The sign, a space at each side of the code, and the number.
        room = min(max(findings.size.width - 1 - 2 - 6, 1), CODE)
        findings.show(
            (code, Content.assemble(sign(severity), f" {fitted(code, room)} {number:>6,}"))
            for code, severity, number in data.codes
        )

    @on(Links.Opened, "#speakers")
    def _open_speaker(self, event: Links.Opened) -> None:
        if event.key == SCAN:
            self.action_scan()
            return
        from fishtui.catalog.filter import Query, Term

        self.fishtui.go("clips", str(Query((Term("speaker", (str(event.key),)),))) + self._kept)

    @on(Links.Opened, "#findings")
    def _open_finding(self, event: Links.Opened) -> None:
        self.fishtui.go("clips", f"finding:{event.key}{self._kept}")

    @property
    def _kept(self) -> str:
        """The term of a filter that leaves out rejected clips, as the numbers here do; empty without any."""
        data = self._data[1]
        return f" {KEPT}" if data is not None and data.totals.rejected else ""

    @on(Links.Opened, "#runs")
    def _open_run(self, event: Links.Opened) -> None:
        self.fishtui.go("runs", str(event.key))

    @on(Steps.Opened)
    def _open_step(self, event: Steps.Opened) -> None:
        self.fishtui.go("launch", event.step.name)

    def action_launch(self) -> None:
        self.fishtui.go("launch", "")

    def action_run_pipeline(self) -> None:
        """Run the stages that are due, after a question: a training may take days."""
        from fishtui.tui.dialogs import Confirm

        steps = self.query_one(Steps).steps
        due = due_steps(steps)
        if is_running(steps):
            self.fishtui.report("A run has not ended; press 3 to see it.")
            return
        if self._is_outdated():
            if not self._planning:
                self._planned = (float("-inf"), *self._planned[1:])
                self.reload()
            self.fishtui.report("The project has changed; press r again when the steps show what is due.")
            return
        if not due and all(step.state != "unknown" for step in steps):
            self.fishtui.report("Everything is up to date.")
            return
        if (obstacle := self._obstacle(due or pipeline_names())) is not None:
            self.fishtui.report_error(obstacle)
            return
        consequence = ""
        with suppress(FishtuiError):
            name = self.fishtui.loaded.values.run.name
            subjects = {"train": f"The training {name}", "evaluate": "The evaluation"}
            effects = [f"{subjects.get(step.name, step.name)} {step.effect}." for step in steps if step.effect]
            consequence = " ".join(effects)

        def answered(confirmed: bool | None) -> None:
            if confirmed:
                self.fishtui.start_run("run")

        self.app.push_screen(Confirm(f"Run {', '.join(due) or 'all stages that are due'}?", consequence), answered)

    def _obstacle(self, stages: Sequence[str]) -> FishtuiError | None:
        """Return why these stages of the pipeline could do nothing, None if they can."""
        from fishtui.stages import requirements

        try:
            requirements.pipeline(self.fishtui.project, self.fishtui.loaded.values, stages)
        except FishtuiError as error:
            return error
        return None

    def action_scan(self) -> None:
        self.fishtui.run_in_background("scan")

    def action_check(self) -> None:
        self.fishtui.run_in_background("validate")

    def action_import(self) -> None:
        from fishtui.tui.commandline import CommandLine
        from fishtui.tui.guide import IMPORT_HINT

        self.app.push_screen(CommandLine("import ", hint=IMPORT_HINT))

    def action_cut(self) -> None:
        from fishtui.tui.commandline import CommandLine
        from fishtui.tui.guide import SLICE_HINT

        self.app.push_screen(CommandLine("slice ", hint=SLICE_HINT))


def _step(name: str, run: RunSummary | None, state: str, reason: str, effect: str) -> PipelineStep:
    if run is not None and not run.ended:
        return PipelineStep(name, run.state, _percent(run), run.state)
    if run is not None and state in DUE and run.state in ("failed", "lost"):
        return PipelineStep(name, run.state, "", f"{run.state}: {run.text}", effect)
    return PipelineStep(name, state, "", reason, effect)


def _percent(run: RunSummary) -> str:
    """The part of its work that a run has done, as a percentage; empty if unknown."""
    found = run.progress
    return f"{found.done / found.total:.0%}" if found and found.total and not run.is_preparing else ""


def _machine(snapshot: OverviewSnapshot) -> list[str]:
    lines = []
    for number, gpu in enumerate(snapshot.gpus):
        busy = f"{gpu.busy:>4.0%} {'▇' * round(5 * gpu.busy):<5}" if gpu.busy is not None else ""
        used = f"{wording.size(gpu.total - gpu.free)} of {wording.size(gpu.total)}"
        lines.append(f"GPU {number}  {busy} {used}  {gpu.name.removeprefix('NVIDIA ')}")
    if not lines:
        lines.append("no GPU: everything runs on the CPU")
    return [*lines, f"Disk   {wording.size(snapshot.free)} free"]


def _describe_way(way: Way) -> str:
    """The way from long recordings to reviewed clips, in a line."""
    drafts = f"{wording.counted(way.drafts, 'draft')} → " if way.drafts else ""
    recordings = f"{wording.counted(way.recordings, 'recording')} → " if way.recordings else ""
    return f"{recordings}{wording.counted(way.clips, 'clip')} → {drafts}{way.reviewed:,} reviewed"
