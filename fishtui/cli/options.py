"""Options that all commands share."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from fishtui.cli.session import Session
from fishtui.cli.settingoptions import setting_name
from fishtui.project import Project, working_folder

# Arguments that begin like an option: a negated term of a filter, and a negative number.
NEGATED = re.compile(r"-[A-Za-z]+(-[A-Za-z]+)*:|-\d")
Command = Callable[..., Any]
# Names and their meanings.
Rows = Sequence[tuple[str, str]]
PROJECT = "Project folder (default: the one around the current folder)."


class ListingCommand(click.Command):
    """A command whose help has lists of names with their meanings, wrapped to the terminal, around its options.

    `arguments` are listed before the options, and `listed` after them, under a title.
    """

    def __init__(self, *others: Any, arguments: Rows = (), listed: tuple[str, Rows] = ("", ()), **named: Any) -> None:
        super().__init__(*others, **named)
        self.before = ("Arguments", arguments)
        self.after = listed

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        _write_list(formatter, *self.before)
        super().format_options(ctx, formatter)
        _write_list(formatter, *self.after)


def _write_list(formatter: click.HelpFormatter, title: str, rows: Rows) -> None:
    if rows:
        with formatter.section(title):
            formatter.write_dl(rows)


class ListingGroup(ListingCommand, click.Group):
    """A group whose help has lists around its options and commands."""


class SignedCommand(ListingCommand):
    """A command whose arguments may be negated terms of a filter, `-term:`, or negative numbers."""

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        negated = [each for each in args if NEGATED.match(each)]
        others = [each for each in args if not NEGATED.match(each)]
        return super().parse_args(context, [*others, *(["--", *negated] if negated else [])])


class NumberOption(click.Option):
    """An option for a number, whose help shows its range and default as those of a setting do."""

    def get_help_extra(self, ctx: click.Context) -> Any:
        return {}


def number(
    *names: str, type: click.IntRange | click.FloatRange, help: str, default: float
) -> Callable[[Command], Command]:
    """An option for a number of at least `type.min`, with `[at least 0; default: 20]` after its help."""
    metavar = "INTEGER" if isinstance(type, click.IntRange) else "NUMBER"
    # Click's own name of the type, in its errors, is "integer range".
    type.name = "whole number" if isinstance(type, click.IntRange) else "number"
    help = f"{help} [at least {type.min:g}; default: {default:g}]"
    return click.option(*names, cls=NumberOption, type=type, metavar=metavar, default=default, help=help)


# The upper limit is what a database accepts.
limited = number("--limit", type=click.IntRange(0, 2**31), default=100, help="Maximum number of clips; 0 for all.")


def shared(dry_run: bool = True, stage: bool = False) -> Callable[[Command], Command]:
    """Give a command the shared options and pass their values as a Session.

    The options are --project, --set, --json and --debug; with `dry_run` also --dry-run, and for a `stage` --detach
    and --now.
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
            # An absolute path works even if the working folder no longer exists.
            around = project if project and project.is_absolute() else working_folder()
            found = Project((around / project).resolve()) if project else Project.find(around)
            settings = [f"{name}={_typed(value)}" for name, value in _take_settings(options)]
            typed = click.get_current_context().obj
            session = Session(found, typed, as_json, dry_run, debug, detach, now, slurm, [*overrides, *settings])
            return command(session, **options)

        options = [
            click.option("--project", type=click.Path(file_okay=False, path_type=Path), help=PROJECT),
            click.option(
                "--set",
                "overrides",
                multiple=True,
                metavar="KEY=VALUE",
                help="Set any setting, as section.key=value; repeatable.",
            ),
            click.option("--json", "as_json", is_flag=True, help="Write JSON to stdout."),
            click.option("--debug", is_flag=True, help="Show tracebacks."),
        ]
        if dry_run:
            options.append(click.option("--dry-run", is_flag=True, help="Show what would be done without writing."))
        if stage:
            options.append(click.option("--detach", is_flag=True, help="Start in the background."))
            options.append(click.option("--now", is_flag=True, help="Do not wait for a free CPU or GPU."))
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
