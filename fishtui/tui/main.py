"""Start the interface, and keep everything else from writing to its terminal."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from fishtui.errors import DONE, MISUSED, MisuseError
from fishtui.project import Project, working_folder
from fishtui.trust import is_trusted

ASCII = "--ascii"


def is_wanted(words: Sequence[str], commands: Sequence[str]) -> bool:
    """Return whether `words` start the interface: no command, at most one folder and --ascii."""
    rest = [word for word in words if word != ASCII]
    return not rest or (len(rest) == 1 and rest[0] not in commands and os.path.isdir(rest[0]))


def run(words: Sequence[str]) -> int:
    """Open the interface in the given folder, or in the project around the current one; return the exit status."""
    if os.environ.get("TERM", "dumb") == "dumb" or not (sys.stdin.isatty() and sys.stdout.isatty()):
        return _refuse("the interface needs a terminal", "`fishtui --help` lists the commands that work without one.")
    folders = [word for word in words if word != ASCII]
    try:
        project = Project((working_folder() / folders[0]).resolve()) if folders else Project.find(working_folder())
    except MisuseError as error:
        return _refuse(error.problem, error.remedy)
    # There is nothing to collect before the first paint; the app enables it again after that.
    gc.disable()
    with _own_terminal(project):
        from fishtui.tui.app import Fishtui
        from fishtui.tui.signals import end_soon

        app = Fishtui(project, ascii=ASCII in words)
        try:
            app.run(mouse=wants_mouse(project))
        finally:
            # An app that loses its terminal while it leaves may not end Textual's threads.
            end_soon()
    if app.return_code == 1:
        print(f"error: the interface failed; see {project.interface_log}", file=sys.stderr)
        print("       Open it again: your reviews are saved, and runs continue.", file=sys.stderr)
    return app.return_code or DONE


def wants_mouse(project: Project) -> bool:
    """Return whether the terminal is asked to report the mouse.

    GNU screen holds back a single escape while it does, so that escape would act only together with the next key.
    """
    if "STY" in os.environ:
        return False
    from fishtui.settings import load

    try:
        return load(project.settings_file).values.ui.mouse
    except MisuseError:
        # Overview shows what is wrong with the settings.
        return True


def _refuse(problem: str, remedy: str) -> int:
    print(f"error: {problem}\n       {remedy}", file=sys.stderr)
    return MISUSED


@contextmanager
def _own_terminal(project: Project) -> Iterator[None]:
    """Redirect stdout and stderr of libraries to a log file, while Textual writes to the terminal itself."""
    kept = [os.dup(1), os.dup(2)]
    before = (sys.__stdout__, sys.__stderr__)
    try:
        if not is_trusted(project):
            raise PermissionError
        # A pipe in its place must not block, and a link must not lead to another file.
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK
        sink = os.open(project.interface_log, flags, 0o600)
    except (OSError, MisuseError):
        # The interface leaves an empty folder empty.
        sink = os.open(os.devnull, os.O_WRONLY)
    sys.stdout.flush()
    sys.stderr.flush()
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as stream:
        # Textual's driver writes to these streams, and asks them for the terminal's size.
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
