"""The group of all commands; the only place where errors become exit statuses."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import click

from fishtui import __version__, errors
from fishtui.cli import diagnostics
from fishtui.cli.commands import command_names, command_sections, load_command, summary_of
from fishtui.errors import MisuseError
from fishtui.signals import ENDING, interruptible, terminable
from fishtui.wording import did_you_mean


class Commands(click.Group):
    """All commands; each is imported when it is used."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(command_names())

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        return load_command(name)

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        # Without importing the commands.
        width = max(map(len, command_names()))
        for title, names in command_sections().items():
            rows = [(name.ljust(width), summary_of(name)) for name in names]
            with formatter.section(title):
                formatter.write_dl(rows)

    def resolve_command(
        self, context: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if context.resilient_parsing or name.startswith("-") or self.get_command(context, name):
            return super().resolve_command(context, args)
        # A single word may also be the folder of a project, which the interface would open.
        problem = f"{name}: no such command" if len(args) > 1 else f"{name}: no such command or folder"
        remedy = did_you_mean(name, command_names()) or "`fishtui --help` lists the commands; `fishtui DIR` opens DIR."
        raise MisuseError(problem, remedy, code="no-such-command")


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    subcommand_metavar="[DIR] | COMMAND [ARGS]...",
)
@click.version_option(__version__, prog_name="fishtui")
def fishtui() -> None:
    """Fine-tune a Fish Audio text-to-speech model on your own recordings.

    Without a command, fishtui opens its full-screen interface: on the project in DIR, or on the one around the
    current folder. The commands below do the same without the interface.

    \b
    Shell completion, for bash (zsh and fish likewise):
      eval "$(_FISHTUI_COMPLETE=bash_source fishtui)"

    Exit status: 0 done; 1 failed; 2 wrong use or wrong settings; 3 finished, but some items failed or a check found
    errors; 130 interrupted; 128 + N ended by signal N.
    """


def run(arguments: Sequence[str]) -> int:
    """Run a command line; return its exit status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # Escape characters that the terminal's encoding lacks.
            stream.reconfigure(errors="backslashreplace")
    adopted = os.environ.pop("FISHTUI_ADOPT", None)
    if "LOCAL_RANK" in os.environ:
        from fishtui.distributed import end_with_launcher

        # Before the imports of a stage, which may take long.
        end_with_launcher()
    with diagnostics.reported("--debug" in arguments, "--json" in arguments) as outcome:
        if adopted is not None and not _helps():
            from fishtui.runs.execute import adopt

            with interruptible():
                outcome.status = _process_status(adopt(Path(adopted), partial(_plainly, arguments)))
        else:
            with interruptible(), terminable(ENDING):
                outcome.status = _command(arguments)
    return outcome.status


def _command(arguments: Sequence[str]) -> int:
    status = fishtui.main(args=list(arguments), obj=list(arguments), prog_name="fishtui", standalone_mode=False)
    return status if isinstance(status, int) else 0


def _plainly(arguments: Sequence[str]) -> None:
    """Run a command line without click's own errors. Raises KeyboardInterrupt, FishtuiError."""
    try:
        _command(arguments)
    except click.Abort as error:
        raise KeyboardInterrupt from error
    except click.ClickException as error:
        raise diagnostics.misuse(error) from error


def _process_status(exit_status: int) -> int:
    """Return the exit status of a run's own process, which is the run's.

    A launcher ends its other processes if one fails. Once they have met, each exits with 0; the record
    has the outcome of the run.
    """
    from fishtui.distributed import has_met, is_launched

    return exit_status if not is_launched() else errors.DONE if has_met() else errors.FAILED


def _helps() -> bool:
    """Return true if another process keeps the record of this process's run."""
    from fishtui.distributed import read_place

    return read_place().rank > 0
