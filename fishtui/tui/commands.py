"""Fishtui commands in processes of their own, the same as on the command line."""

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

# The longest that a command may take, in seconds: it may load torch from a cold disk.
PATIENCE = 300.0
# Seconds between two checks that the answer is still wanted.
POLL_INTERVAL = 0.1
_running: set[subprocess.Popen[str]] = set()


def command_line(words: Sequence[str], project: Project) -> list[str]:
    """The full command line for `words`, to run in the project's folder."""
    # A folder that is not a project yet may be inside another project.
    found = Project.find(project.root).root == project.root if project.root.is_dir() else False
    return [sys.executable, "-m", "fishtui", *words, *([] if found else ["--project", str(project.root)])]


def environment() -> Mapping[str, str]:
    """The environment of a command; it imports no module from the current folder."""
    return {**os.environ, "PYTHONSAFEPATH": "1"}


def run_fishtui(
    words: Sequence[str],
    project: Project,
    is_stale: Callable[[], bool] = lambda: False,
    keep: bool = False,
    variables: Mapping[str, str] | None = None,
) -> tuple[int, str, str]:
    """Run a command in a project and return its exit status, stdout and stderr. Blocks: call it in a thread.

    `variables` are added to its environment. It is killed when `is_stale` returns True, when the app ends, or after
    PATIENCE; not with `keep`.
    """
    try:
        process = subprocess.Popen(
            command_line(words, project),
            cwd=project.root if project.root.is_dir() else None,
            env={**environment(), **(variables or {})},
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
                    stdout, stderr = process.communicate(timeout=POLL_INTERVAL)
                    return process.returncode, stdout, stderr
                except subprocess.TimeoutExpired:
                    if keep or not (is_stale() or time.monotonic() > end):
                        continue
                process.kill()
                return 1, "", f"error: no answer after {PATIENCE:.0f} s"
        finally:
            _running.discard(process)


def document_of(answer: tuple[int, str, str]) -> Any:
    """Return the JSON document that a command printed; `answer` is the result of `run_fishtui`.

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


def kill_all() -> None:
    """Kill the commands whose answers are not needed any more."""
    for process in list(_running):
        process.kill()
