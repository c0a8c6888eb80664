"""The command of a stage, built from its entry in the registry."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from fishtui.cli.completers import filter_terms, training_names
from fishtui.cli.options import ListingCommand, SignedCommand, shared
from fishtui.cli.session import Session
from fishtui.cli.settingoptions import setting
from fishtui.families.registry import known_templates
from fishtui.settings import known, value_of
from fishtui.stage import Argument, Stage, pipeline_names, resolve
from fishtui.wording import format_value

FOLDER = click.Path(file_okay=False, path_type=Path)
FILE = click.Path(dir_okay=False, path_type=Path)
PATH = click.Path(path_type=Path)


def build_command(stage: Stage) -> click.Command:
    """Return the click command of a stage: its arguments and options, and what all commands share."""
    command: Callable[..., Any] = shared(stage=True)(_call(stage))
    for name in reversed(stage.options):
        # A list is given by repeating its option.
        attributes = {"multiple": True} if isinstance(known()[name].default, tuple) else {}
        command = setting(f"--{name.partition('.')[2].replace('_', '-')}", name, **attributes)(command)
    for argument in reversed(stage.arguments):
        command = _parameter(argument)(command)
    # Click describes only options.
    arguments = [(_placeholder(each), _help(each)) for each in stage.arguments if not each.option]
    # A term of a filter can be negated.
    kind = SignedCommand if any(each.kind == "filter" for each in stage.arguments) else ListingCommand
    return click.command(stage.name, cls=kind, help=stage.help, arguments=arguments)(command)


def _call(stage: Stage) -> Callable[..., int]:
    """Return what the command runs, called with the session and the arguments by name."""
    if stage.command:
        # Imported when it runs: showing the help needs none of it.
        return lambda session, **arguments: resolve(stage.command)(session, **arguments)

    def run(session: Session, **given: Any) -> int:
        values = session.settings.values
        arguments = given | {
            each.name: session.project.path(value_of(values, each.setting))
            for each in stage.arguments
            if each.setting and given[each.name] is None
        }

        def work(reporter: Any, *, dry_run: bool) -> Any:
            return resolve(stage.function)(session.project, values, reporter, dry_run=dry_run, **arguments)

        return session.run(stage.name, work, **arguments)

    return run


def _parameter(argument: Argument) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    kind = _type(argument)
    # A default of None would count as a value, and click would not ask for a required argument.
    default: dict[str, Any] = {} if argument.default is None else {"default": argument.default}
    if argument.option:
        attributes: dict[str, Any] = {"help": _help(argument), "required": argument.required}
        if argument.kind == "flag":
            return click.option(argument.option, argument.name, is_flag=True, **attributes)
        attributes |= {"type": kind, "multiple": argument.many, "metavar": argument.metavar} | default
        return click.option(argument.option, argument.name, **attributes)
    return click.argument(
        argument.name,
        type=kind,
        nargs=-1 if argument.many else 1,
        required=argument.required,
        metavar=argument.metavar,
        shell_complete=_completion(argument),
        **default,
    )


def _completion(argument: Argument) -> Callable[..., list[str]] | None:
    if argument.kind == "filter":
        return filter_terms
    # An earlier training can be merged, exported, and continued.
    return training_names if argument.name == "name" else None


def _help(argument: Argument) -> str:
    """Return the help of an argument or option, with its default."""
    default = argument.default or (format_value(known()[argument.setting].default) if argument.setting else "")
    return f"{argument.help}.{f' [default: {default}]' if default else ''}"


def _placeholder(argument: Argument) -> str:
    return (argument.metavar or argument.name.upper()).strip("[].")


def _type(argument: Argument) -> click.ParamType[Any, Any]:
    match argument.kind:
        case "integer":
            return click.INT
        case "folder":
            return FOLDER
        case "file":
            return FILE
        case "path":
            return PATH
        case "stage":
            return click.Choice(pipeline_names())
        case "template":
            return click.Choice(known_templates())
        case _:
            return click.STRING
