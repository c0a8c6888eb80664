"""Start the interface on a terminal of its own: nothing else writes to it."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from fishtui.errors import DONE, MISUSED, MisuseError
from fishtui.project import Project, here

ASCII = "--ascii"


def is_wanted(words: Sequence[str], commands: Sequence[str]) -> bool:
    """Whether a command line asks for the interface: it has no command, at most a folder and an option of ours."""
    rest = [word for word in words if word != ASCII]
    return not rest or (len(rest) == 1 and rest[0] not in commands and os.path.isdir(rest[0]))


def run(words: Sequence[str]) -> int:
    """Open the interface in the folder that is given, or in the project around us; returns the exit status."""
    if os.environ.get("TERM", "dumb") == "dumb" or not (sys.stdin.isatty() and sys.stdout.isatty()):
        return _refused("the interface needs a terminal", "`fishtui --help` lists the commands that need none.")
    folders = [word for word in words if word != ASCII]
    try:
        project = Project((here() / folders[0]).resolve()) if folders else Project.find(here())
    except MisuseError as error:
        return _refused(error.problem, error.remedy)
    # Nothing is thrown away before the first picture, after which the app switches this on again.
    gc.disable()
    with _alone_on_screen(project):
        from fishtui.tui.app import Fishtui

        app = Fishtui(project, ascii=ASCII in words)
        app.run()
    if app.return_code:
        print(f"error: the interface failed; {project.interface_log} tells how", file=sys.stderr)
        print("       Open it again: what was decided is kept, and runs go on.", file=sys.stderr)
    return app.return_code or DONE


def _refused(problem: str, remedy: str) -> int:
    print(f"error: {problem}\n       {remedy}", file=sys.stderr)
    return MISUSED


@contextmanager
def _alone_on_screen(project: Project) -> Iterator[None]:
    """Send what libraries write to stdout and stderr into a file, while Textual writes to the terminal itself."""
    kept = [os.dup(1), os.dup(2)]
    before = (sys.__stdout__, sys.__stderr__)
    try:
        sink = os.open(project.interface_log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    except OSError:
        # An empty folder stays empty until something is done in it.
        sink = os.open(os.devnull, os.O_WRONLY)
    sys.stdout.flush()
    sys.stderr.flush()
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as stream:
        # Where Textual's driver writes to the terminal, and where its size is looked for.
        sys.__stdout__ = sys.__stderr__ = stream  # type: ignore[misc]
        os.dup2(sink, 1)
        os.dup2(sink, 2)
        try:
            yield
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os.dup2(kept[0], 1)
            os.dup2(kept[1], 2)
            sys.__stdout__, sys.__stderr__ = before  # type: ignore[misc]
            for descriptor in (*kept, sink):
                os.close(descriptor)
