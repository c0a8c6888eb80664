"""The group of all commands, and the one place where errors become exit statuses."""

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
from fishtui.cli.commands import command_names, load_command


class Commands(click.Group):
    """Commands in the order of the pipeline, each imported when it is asked for."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(command_names())

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        return load_command(name)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="fishtui")
def fishtui() -> None:
    """Fine-tune the openaudio-s1-mini text-to-speech model on your own recordings.

    Exit status: 0 done, 1 failed, 2 wrong use, 3 done but some items failed, 130 interrupted.
    """


def run(arguments: Sequence[str]) -> int:
    """Run a command line; returns its exit status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # What a terminal's encoding has no word for is spelled out.
            stream.reconfigure(errors="backslashreplace")
    adopted = os.environ.pop("FISHTUI_ADOPT", None)
    if "LOCAL_RANK" in os.environ:
        from fishtui.distributed import end_with_launcher

        # From the first moment: what a stage imports may take long.
        end_with_launcher()
    with diagnostics.reported("--debug" in arguments, "--json" in arguments) as outcome:
        if adopted is not None and not _helps():
            from fishtui.runs.execute import adopt

            outcome.status = _told(adopt(Path(adopted), partial(_plainly, arguments)))
        else:
            outcome.status = _command(arguments)
    return outcome.status


def _command(arguments: Sequence[str]) -> int:
    status = fishtui.main(args=list(arguments), obj=list(arguments), prog_name="fishtui", standalone_mode=False)
    return status if isinstance(status, int) else 0


def _plainly(arguments: Sequence[str]) -> None:
    """Run a command line whose errors are none of click's. Raises KeyboardInterrupt, FishtuiError."""
    try:
        _command(arguments)
    except click.Abort as error:
        raise KeyboardInterrupt from error
    except click.ClickException as error:
        raise diagnostics.misuse(error) from error


def _told(exit_status: int) -> int:
    """The status with which a run's own process ends, which is the run's.

    Of several processes, whose launcher would end the others for it, another than 0 only tells those that have waited
    in vain; how the run ended is on record.
    """
    from fishtui.distributed import has_met, is_launched

    return exit_status if not is_launched() else errors.DONE if has_met() else errors.FAILED


def _helps() -> bool:
    """Whether another process keeps the record of the run that this one works for."""
    from fishtui.distributed import read_place

    return read_place().rank > 0
