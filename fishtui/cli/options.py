"""Options that all commands share, and how a stage is run from a command."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import click

from fishtui.cli.settingoptions import setting_name
from fishtui.project import Project, working_folder

if TYPE_CHECKING:
    from fishtui.catalog.store import Catalog
    from fishtui.runs.ledger import Ledger
    from fishtui.runs.reporter import Reporter
    from fishtui.settings import Loaded

# A term of a filter that begins like an option.
NEGATED = re.compile(r"-[A-Za-z]+(-[A-Za-z]+)*:")
Command = Callable[..., Any]


class Stage(Protocol):
    """A stage with everything bound but where it reports and whether it only looks."""

    def __call__(self, reporter: Reporter, *, dry_run: bool) -> Ledger: ...


# How a launch is told, which is no part of what a run does.
WATCHING = ("--detach", "--json")


@dataclass
class Session:
    """What the shared options of a command say; `command` is all that was typed after `fishtui`."""

    project: Project
    command: list[str]
    as_json: bool
    dry_run: bool
    debug: bool
    detach: bool = False
    now: bool = False
    slurm: bool = False
    overrides: list[str] = field(default_factory=list)

    @functools.cached_property
    def settings(self) -> Loaded:
        """The settings in force. Raises MisuseError."""
        import msgspec

        from fishtui.runs.execute import adopted_run
        from fishtui.settings import Loaded, Settings, load

        if run := adopted_run():
            # What was set when it was launched, whatever the settings file says by now.
            return Loaded(msgspec.convert(run.settings, Settings), run.sources)
        return load(self.project.settings_file, overrides=self.overrides)

    def path(self, given: Path | None, setting: str) -> Path:
        """A path that was given, relative to here, or else the setting's, relative to the project."""
        return given if given is not None else self.project.path(setting)

    def catalog(self, must_exist: bool = False) -> Catalog:
        """The project's catalog, open. Raises MisuseError if it `must_exist` and does not, or there is no dataset."""
        from fishtui.catalog.store import Catalog
        from fishtui.errors import MisuseError

        data = self.project.path(self.settings.values.paths.data)
        if not data.is_dir():
            raise MisuseError(
                f"{data}: no such folder",
                "Change to a project's folder, or run `fishtui init`. The setting paths.data names the dataset.",
                code="no-dataset",
            )
        if must_exist and not self.project.catalog.exists():
            raise MisuseError(f"{self.project.root}: no catalog yet", "Run `fishtui scan`.", code="no-catalog")
        return Catalog(self.project, data)

    def run(self, name: str, stage: Stage, /, **arguments: Any) -> int:
        """Run a stage on record, in a process of its own, and show it to its end; returns its exit status.

        With --detach it is only started, with --dry-run nothing is written, and the ledger says what would be done. In
        the run's own process, or one that a launcher of several started, the stage is done here.
        """
        from fishtui.distributed import is_launched
        from fishtui.runs.execute import adopted_run

        if self.dry_run:
            return self._preview(name, stage)
        if adopted_run() is None and not is_launched():
            return self._launch(name, arguments)
        return self._do(name, stage, arguments)

    def _preview(self, name: str, stage: Stage) -> int:
        from fishtui.cli import output
        from fishtui.runs.reporter import Reporter

        content = stage(Reporter(), dry_run=True).as_dict()
        if self.as_json:
            output.document({"stage": name, "dry_run": True, "ledger": content})
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
        # Late: it loads Rich, which takes longer than a launch.
        from fishtui.cli import watch

        return watch.foreground(self, start)

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
        return watch.conclude(self, run)


def _without_watching(command: Sequence[str]) -> list[str]:
    """A command without what says how its launch is told; only where that can't be the value of something else."""
    name, *rest = command
    while rest and rest[0] in WATCHING:
        del rest[0]
    return [name, *rest]


def _assist(work: Callable[[Reporter], Ledger]) -> int:
    """Do our share of a stage of which the process of rank 0 keeps the record.

    Only a fault ends in another status than 0: the launcher would end the others for it while they still record.
    """
    from fishtui.errors import Terminated
    from fishtui.runs.execute import terminable
    from fishtui.runs.reporter import Reporter

    with suppress(KeyboardInterrupt, Terminated), terminable():
        work(Reporter())
    return 0


class FilterCommand(click.Command):
    """A command whose arguments are the terms of a filter, also `-term`, which is no option."""

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        negated = [each for each in args if NEGATED.match(each)]
        others = [each for each in args if not NEGATED.match(each)]
        return super().parse_args(context, [*others, *(["--", *negated] if negated else [])])


MANY = click.IntRange(0, 2**31)
limited = click.option("--limit", type=MANY, default=100, show_default=True, help="How many; 0 for all.")


def shared(dry_run: bool = True, stage: bool = False) -> Callable[[Command], Command]:
    """Give a command a Session by the options that all share.

    They are --project, --set, --json and --debug; where it writes --dry-run; and for a `stage` --detach and --now.
    """

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def with_session(
            *,
            project: Path | None,
            overrides: tuple[str, ...],
            as_json: bool,
            debug: bool,
            dry_run: bool = False,
            detach: bool = False,
            now: bool = False,
            slurm: bool = False,
            **options: Any,
        ) -> Any:
            # An absolute path is as good where there is no "here".
            around = project if project and project.is_absolute() else working_folder()
            found = Project((around / project).resolve()) if project else Project.find(around)
            settings = [f"{name}={_typed(value)}" for name, value in _take_settings(options)]
            typed = click.get_current_context().obj
            session = Session(found, typed, as_json, dry_run, debug, detach, now, slurm, [*overrides, *settings])
            return command(session, **options)

        options = [
            click.option("--project", type=click.Path(file_okay=False, path_type=Path), help="The project folder."),
            click.option(
                "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Any setting, as section.key=value."
            ),
            click.option("--json", "as_json", is_flag=True, help="JSON on stdout."),
            click.option("--debug", is_flag=True, help="Show tracebacks."),
        ]
        if dry_run:
            options.append(click.option("--dry-run", is_flag=True, help="Say what would be done, and write nothing."))
        if stage:
            options.append(click.option("--detach", is_flag=True, help="Start or queue it, and don't watch it."))
            options.append(click.option("--now", is_flag=True, help="Don't wait for a processor or GPU to be free."))
        for option in reversed(options):
            with_session = option(with_session)
        return with_session

    return decorate


def _take_settings(options: dict[str, Any]) -> list[tuple[str, Any]]:
    """Remove the options of settings from `options`; return those that were given, by the setting's name."""
    taken = [(name, options.pop(parameter)) for parameter in list(options) if (name := setting_name(parameter))]
    return [(name, value) for name, value in taken if value not in (None, ())]


def _typed(value: Any) -> str:
    """Return a value as --set accepts it; a repeated option becomes a list."""
    return json.dumps(value) if isinstance(value, tuple | bool) else str(value)
