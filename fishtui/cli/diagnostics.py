"""Errors on stderr, and the exit status."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import click

from fishtui import errors
from fishtui.errors import FishtuiError, MisuseError, Terminated
from fishtui.sanitize import harmless


@dataclass
class Outcome:
    """The exit status of the command."""

    status: int = errors.DONE


@contextmanager
def reported(debug: bool, as_json: bool) -> Iterator[Outcome]:
    """Turn any exception of the body into an error message and an exit status; with `debug` into a traceback."""
    outcome = Outcome()
    try:
        yield outcome
    except FishtuiError as error:
        if debug:
            traceback.print_exc()
        show_error(error, as_json)
        outcome.status = error.exit_status
    except click.ClickException as error:
        if as_json:
            show_error(misuse(error), as_json)
        else:
            error.show(sys.stderr)
        outcome.status = error.exit_code
    except (KeyboardInterrupt, click.Abort):
        show("interrupted")
        outcome.status = errors.INTERRUPTED
    except Terminated as end:
        # The terminal may be gone.
        with suppress(OSError):
            show(f"ended by {signal.Signals(end.number).name}")
        outcome.status = end.exit_status
    except BrokenPipeError:
        # The reader of the output has closed it: print nothing more, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        outcome.status = errors.FAILED
    except Exception as error:
        if debug:
            traceback.print_exc()
        show_error(errors.unforeseen(error, "fishtui", "--debug shows the traceback"), as_json)
        outcome.status = errors.FAILED


def misuse(error: click.ClickException) -> MisuseError:
    """Return a click error as a MisuseError."""
    context = getattr(error, "ctx", None)
    remedy = f"Run `{context.command_path if context else 'fishtui'} --help`."
    return MisuseError(error.format_message(), remedy, code="usage")


def show_error(error: FishtuiError, as_json: bool) -> None:
    """Show an error: two lines on stderr, or one JSON object on stdout."""
    if as_json:
        from fishtui.cli.output import document

        document({"kind": "error", "code": error.code, "problem": error.problem, "remedy": error.remedy})
        return
    show(f"error: {error.problem}")
    if error.remedy:
        show(f"       {error.remedy}")


def show_traceback(text: str) -> None:
    """Write the lines of a traceback to stderr."""
    for line in text.splitlines():
        show(line)


def confirm(question: str) -> bool:
    """Ask a question on stderr and return True if the answer on stdin is yes."""
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def show(line: str) -> None:
    """Write one line to stderr."""
    from fishtui.cli.output import folded

    print(folded(harmless(line), sys.stderr), file=sys.stderr)
