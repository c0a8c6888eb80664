"""Runs fishtui in a fork of this process, which has loaded its libraries: importing them takes longer than most work.

For tests of what a command does. Tests of how processes start, are found and are killed use `builders.fishtui`, which
starts Python.
"""

from __future__ import annotations

import atexit
import gc
import logging
import multiprocessing.util
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
import warnings
from collections.abc import Mapping, Sequence
from multiprocessing import forkserver, resource_tracker
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from fishtui.runs import scheduler
from fishtui.stage import find_stage, pipeline_names, resolve, stage_names
from tests import builders

LONGEST = 300.0
# With 0 in this variable every process of the tests is started by itself.
FORKS = os.environ.get("FISHTUI_FORK") != "0"
# Commands that run several stages.
PIPELINES = ("run", "demo")


def fishtui(*arguments: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run fishtui to its end, and the runs that it starts; return its exit status and output."""
    words = [str(each) for each in arguments]
    # CUDA does not work in a fork, and a fork does not read PYTHONPATH.
    if not FORKS or torch.cuda.is_available() or "PYTHONPATH" in environment:
        return builders.fishtui(*arguments, cwd=cwd, **environment)
    _load(*words[:1])
    forkserver.ensure_running()
    with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
        pid = _fork(words, cwd, {**os.environ, **environment}, stdout.fileno(), stderr.fileno())
        status = _wait(pid)
        texts = []
        for file in (stdout, stderr):
            file.seek(0)
            texts.append(file.read().decode("utf-8", "surrogateescape"))
    return subprocess.CompletedProcess(words, status, *texts)


def _load(command: str = "") -> None:
    """Import here what the stages of a command would import."""
    stages = pipeline_names() if command in PIPELINES else {command} & {*stage_names()}
    for stage in stages:
        resolve(find_stage(stage).function)


def _wait(pid: int) -> int:
    """Return the exit status of a child as Popen does; kill it after LONGEST seconds, or if the test is interrupted."""
    descriptor = os.pidfd_open(pid)
    try:
        ended, _, _ = select.select([descriptor], [], [], LONGEST)
        assert ended, f"still not done after {LONGEST:.0f} s"
    except BaseException:
        os.kill(pid, signal.SIGKILL)
        raise
    finally:
        os.close(descriptor)
        _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


def _fork(
    words: Sequence[str],
    cwd: str | Path,
    environment: Mapping[str, str],
    stdout: int,
    stderr: int,
    session: bool = False,
) -> int:
    """Return the pid of a child that runs `fishtui WORDS`, in a new session if asked for."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    pid = os.fork()
    if pid:
        return pid
    # The frames of the test are still there: no way out but the last line may be taken.
    status = 1
    try:
        if session:
            os.setsid()
        os.chdir(cwd)
        os.environ.clear()
        os.environ.update(environment)
        _forget(stdout, stderr)
        status = _main(words)
    except BaseException:
        traceback.print_exc()
    finally:
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(status)


def _forget(stdout: int, stderr: int) -> None:
    """Become like a process that has just started, with this output and no input, except for its modules."""
    gc.freeze()
    nothing = os.open(os.devnull, os.O_RDWR)
    for number, target in enumerate((nothing, stdout, stderr)):
        os.dup2(target, number)
    # The numbers stay in use, so that objects of the parent that own one never close another file. Locks of the parent
    # are no longer shared.
    for number in map(int, os.listdir("/proc/self/fd")):
        if number > 2 and number != nothing:
            os.dup2(nothing, number, inheritable=False)
    sys.stdin, sys.stdout, sys.stderr = (
        os.fdopen(number, "rw"[number > 0], encoding="utf-8", closefd=False) for number in range(3)
    )
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGALRM, signal.SIGUSR1):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    atexit._clear()
    atexit.register(multiprocessing.util._exit_function)
    tracker: Any = resource_tracker._resource_tracker
    tracker._fd = tracker._pid = None
    # The server of the parent starts workers for this process too.
    forkserver._forkserver.ensure_running = lambda: None  # type: ignore[method-assign]
    logging.getLogger().handlers.clear()
    warnings.showwarning = warnings._showwarning_orig  # type: ignore[attr-defined]
    warnings.resetwarnings()
    for hidden in (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning):
        warnings.simplefilter("ignore", hidden)
    scheduler.subprocess = SimpleNamespace(Popen=_started, DEVNULL=subprocess.DEVNULL)  # type: ignore[assignment]


def _main(words: Sequence[str]) -> int:
    import fishtui.__main__ as program

    sys.modules["__main__"] = program
    sys.argv = ["fishtui", *words]
    try:
        program.main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def _started(command: list[str], **options: Any) -> Any:
    """Start a run as Popen would, in a fork if it is one process."""
    if command[:3] != [sys.executable, "-m", "fishtui"]:
        return subprocess.Popen(command, **options)
    outputs = options["stdout"].fileno(), options["stderr"].fileno()
    pid = _fork(command[3:], options["cwd"], options["env"], *outputs, session=True)
    return SimpleNamespace(pid=pid, wait=lambda: os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
