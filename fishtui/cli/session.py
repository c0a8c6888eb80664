"""The context of a command, and how a command runs a stage."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from fishtui.project import Project

if TYPE_CHECKING:
    from fishtui.catalog.store import Catalog
    from fishtui.runs.ledger import Ledger
    from fishtui.runs.reporter import Reporter
    from fishtui.settings import Loaded


class Stage(Protocol):
    """A stage that needs only a reporter, and does nothing but preview in a dry run."""

    def __call__(self, reporter: Reporter, *, dry_run: bool) -> Ledger: ...


# Options that change what a launch prints, not what a run does.
WATCHING = ("--detach", "--json")


@dataclass
class Session:
    """The values of a command's shared options; `command` is everything typed after `fishtui`."""

    project: Project
    command: list[str]
    as_json: bool
    dry_run: bool
    debug: bool
    detach: bool = False
    now: bool = False
    slurm: bool = False
    overrides: list[str] = field(default_factory=list)
    # What a dry run adds to its JSON document.
    preview: dict[str, Any] = field(default_factory=dict)

    @property
    def is_adopted(self) -> bool:
        """True in the process of a run: what a person had to answer was asked before its launch."""
        from fishtui.runs.execute import adopted_run

        return adopted_run() is not None

    @functools.cached_property
    def settings(self) -> Loaded:
        """The settings in force. Raises MisuseError."""
        from fishtui.runs.execute import adopted_run
        from fishtui.runs.record import settings_of
        from fishtui.settings import load

        if run := adopted_run():
            # A run keeps the settings of its launch, even if the settings file has changed since.
            return settings_of(run)
        return load(self.project.settings_file, overrides=self.overrides)

    def path(self, given: Path | None, setting: str) -> Path:
        """Return `given` (relative to the working folder), or the setting's path (relative to the project)."""
        return given if given is not None else self.project.path(setting)

    def catalog(self, must_exist: bool = False) -> Catalog:
        """Open the project's catalog. Raises MisuseError without a dataset, or without a catalog if it `must_exist`."""
        from fishtui.catalog.store import Catalog
        from fishtui.errors import MisuseError

        data = self.project.path(self.settings.values.paths.data)
        if not data.is_dir():
            raise MisuseError(
                f"{data}: no such folder",
                "Change to a project's folder, name one with --project, or set paths.data to the dataset's folder.",
                code="no-dataset",
            )
        if must_exist and not self.project.catalog.exists():
            raise MisuseError(f"{self.project.root}: no catalog yet", "Run `fishtui scan`.", code="no-catalog")
        return Catalog(self.project, data)

    def run(self, name: str, stage: Stage, /, **arguments: Any) -> int:
        """Run a stage as a recorded run in a new process, show it until it ends and return its exit status.

        With --detach the run is only started. With --dry-run nothing is written and the ledger lists what would be
        done. In the run's own process, or one started by a distributed launcher, the stage runs here.
        """
        from fishtui.distributed import is_launched
        from fishtui.runs.execute import adopted_run

        if adopted_run() is None:
            self._require(name, arguments)
        if self.dry_run:
            return self._preview(name, stage)
        if adopted_run() is None and not is_launched():
            return self._launch(name, arguments)
        return self._do(name, stage, arguments)

    def check_project(self) -> None:
        """Raise MisuseError unless there is a project: a folder with a settings file, or with a dataset."""
        from fishtui.errors import MisuseError

        if not self.project.settings_file.exists() and not self.project.path(self.settings.values.paths.data).is_dir():
            raise MisuseError(
                f"{self.project.root} is not a project",
                "Change to a project's folder, name one with --project, or create one with `fishtui init`.",
                code="no-project",
            )

    def check_device(self, stage: str) -> None:
        """Raise MisuseError if the device of a stage's settings is absent here, unless SLURM runs it elsewhere."""
        from fishtui.runs.gpus import check_device

        if not self.slurm:
            check_device(getattr(getattr(self.settings.values, stage, None), "device", "cpu"), os.environ)

    def _require(self, name: str, arguments: dict[str, Any]) -> None:
        """Check a stage's arguments where the command was typed, before anything heavy is loaded or recorded."""
        from fishtui.errors import FishtuiError, MisuseError
        from fishtui.stage import find_stage, resolve

        self.check_project()
        self.check_device(name)
        if not (requires := find_stage(name).requires):
            return
        try:
            resolve(requires)(self.project, self.settings.values, **arguments, dry_run=self.dry_run)
        except MisuseError:
            raise
        except FishtuiError:
            from fishtui.runs.state import read_unfinished_runs

            # Files that are missing now may be made by a run before this one, for which it waits in the queue.
            if self.dry_run or not any(not run.ended for run in read_unfinished_runs(self.project)):
                raise

    def _preview(self, name: str, stage: Stage) -> int:
        from fishtui.cli import output
        from fishtui.runs.reporter import Reporter

        content = stage(Reporter(), dry_run=True).as_dict()
        if self.as_json:
            output.document({"stage": name, "dry_run": True, **self.preview, "ledger": content})
        else:
            output.ledger(content, verb="would be done")
        return 0

    def _launch(self, name: str, arguments: dict[str, Any]) -> int:
        from fishtui.cli import output
        from fishtui.runs.launch import launch

        submitted = self.settings.values.run.sbatch if self.slurm else None
        command = _without_watching(self.command)
        start = functools.partial(
            launch, self.project, name, command, self.settings, arguments, waits=not self.now, sbatch=submitted
        )
        if self.detach:
            return output.launched(start(), self.as_json)
        # Imported after the launch, because Rich takes longer to load than a launch takes.
        from fishtui.cli import watch

        return watch.foreground(self.project, self.as_json, self.debug, start)

    def _do(self, name: str, stage: Stage, arguments: dict[str, Any]) -> int:
        from fishtui.cli import watch
        from fishtui.cli.progress import show_events, show_json
        from fishtui.distributed import read_place
        from fishtui.pipeline.run import known_to_pipeline
        from fishtui.runs.execute import adopted_run, execute
        from fishtui.stage import find_stage

        work: Callable[[Reporter], Ledger] = functools.partial(stage, dry_run=False)
        if read_place().rank:
            return _assist(work)
        run_by = adopted_run()
        if run_by is None or run_by.parent is None:
            work = known_to_pipeline(self.project, self.settings.values, name, arguments, work)
        listen = show_json if self.as_json else show_events
        alone = not find_stage(name).is_parallel
        run = execute(self.project, name, self.command, work, self.settings, arguments, listen, alone)
        return watch.conclude(run, self.as_json, self.debug)


def _without_watching(command: Sequence[str]) -> list[str]:
    """Return a command without its leading WATCHING options; later ones may be values of other options."""
    name, *rest = command
    while rest and rest[0] in WATCHING:
        del rest[0]
    return [name, *rest]


def _assist(work: Callable[[Reporter], Ledger]) -> int:
    """Do this process's share of a stage whose run is recorded by rank 0.

    The status is 0 unless the stage fails: at any other status the launcher ends the other processes.
    """
    from fishtui.errors import Terminated
    from fishtui.runs.reporter import Reporter
    from fishtui.signals import STOPPING, terminable

    with suppress(KeyboardInterrupt, Terminated), terminable(STOPPING):
        work(Reporter())
    return 0
