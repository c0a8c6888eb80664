"""Commands of fishtui in processes of their own, as the command line would run them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fishtui.errors import FishtuiError
from fishtui.project import Project
from fishtui.wording import reason_of

# Seconds that a command may take whose answer is waited for: it may load torch on a cold disk.
PATIENCE = 300.0
# Seconds between two looks at whether anybody still waits.
LOOK = 0.1
_running: set[subprocess.Popen[str]] = set()


def command(words: Sequence[str], project: Project) -> list[str]:
    """The whole command line, to be started in the project's folder."""
    # A folder that is no project yet may lie in one.
    found = Project.find(project.root).root == project.root if project.root.is_dir() else False
    return [sys.executable, "-m", "fishtui", *words, *([] if found else ["--project", str(project.root)])]


def environment() -> Mapping[str, str]:
    """Its environment: modules in the user's folders are data."""
    return {**os.environ, "PYTHONSAFEPATH": "1"}


def run_fishtui(
    words: Sequence[str], project: Project, is_stale: Callable[[], bool] = lambda: False, keep: bool = False
) -> tuple[int, str, str]:
    """Run a command in a project and return its status and what it printed. Not for the event loop.

    It is ended when `is_stale` says that nobody wants the answer any more, or the app ends; not with `keep`.
    """
    try:
        process = subprocess.Popen(
            command(words, project),
            cwd=project.root if project.root.is_dir() else None,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=keep,
        )
    except OSError as error:
        return 1, "", f"error: cannot start fishtui: {reason_of(error)}"
    if not keep:
        _running.add(process)
    end = time.monotonic() + PATIENCE
    with process:
        try:
            while True:
                try:
                    stdout, stderr = process.communicate(timeout=LOOK)
                    return process.returncode, stdout, stderr
                except subprocess.TimeoutExpired:
                    if keep or not (is_stale() or time.monotonic() > end):
                        continue
                process.kill()
                return 1, "", f"error: it took more than {PATIENCE:.0f} s"
        finally:
            _running.discard(process)


def document_of(answer: tuple[int, str, str]) -> Any:
    """The JSON document that a command printed, from what `run_fishtui` returned.

    Raises FishtuiError: the command's own error, or code `no-answer` if it printed no document.
    """
    _, stdout, stderr = answer
    try:
        content = json.loads(stdout.splitlines()[-1])
        if isinstance(content, dict) and content.get("kind") == "error":
            found = FishtuiError(content["problem"], content["remedy"], code=content["code"])
        else:
            return content
    except (ValueError, LookupError):
        reason = (stderr or stdout).strip().splitlines()[-1:] or ["it printed nothing"]
        problem = f"the command gave no answer: {reason[0].removeprefix('error: ')}"
        found = FishtuiError(problem, "Run it in a terminal to see why.", code="no-answer")
    raise found


def end_all() -> None:
    """End what is still running: nobody waits for its answer any more."""
    for process in list(_running):
        process.kill()
