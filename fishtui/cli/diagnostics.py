"""What goes to stderr, and the exit status."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import click

from fishtui import errors
from fishtui.errors import FishtuiError
from fishtui.sanitize import harmless


@dataclass
class Outcome:
    """The exit status to be."""

    status: int = errors.DONE


@contextmanager
def reported(debug: bool) -> Iterator[Outcome]:
    """Turn whatever the body raises into lines on stderr and an exit status; tracebacks only where `debug` asks."""
    outcome = Outcome()
    try:
        yield outcome
    except FishtuiError as error:
        if debug:
            traceback.print_exc()
        show_error(str(error))
        outcome.status = error.exit_status
    except click.ClickException as error:
        error.show(sys.stderr)
        outcome.status = error.exit_code
    except (KeyboardInterrupt, click.Abort):
        show("interrupted")
        outcome.status = errors.INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has gone: say nothing, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        outcome.status = errors.FAILED
    except Exception as error:
        if debug:
            traceback.print_exc()
        show_error(str(errors.unforeseen(error, "fishtui", "--debug tells where")))
        outcome.status = errors.FAILED


def show_error(text: str) -> None:
    """An error of one or two lines."""
    problem, _, remedy = text.partition("\n")
    show(f"error: {problem}")
    if remedy:
        show(f"       {remedy}")


def show_traceback(text: str) -> None:
    """The lines of a traceback."""
    for line in text.splitlines():
        show(line)


def show(line: str) -> None:
    """One line on stderr."""
    from fishtui.cli.output import folded

    print(folded(harmless(line), sys.stderr), file=sys.stderr)
