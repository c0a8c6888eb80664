"""Which process a run is, told apart from any other that ever has its pid, here or on another machine."""

from __future__ import annotations

import functools
import os
import platform
from pathlib import Path

import msgspec

PROC = Path("/proc")
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
MACHINE_ID = Path("/etc/machine-id")
# States of a process that has ended and only waits for its parent to take note: see proc(5).
ENDED = "ZXx"


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """A process: its pid and start time (in clock ticks after the boot) on a machine between two boots.

    `space` is its pid namespace: a container that starts again has the same boot, and other processes.
    """

    pid: int
    start_time: int
    boot_id: str
    space: str
    host: str
    machine: str


def this_process() -> Identity:
    """Who we are."""
    found = identify(os.getpid())
    assert found is not None, "a process that asks is alive"
    return found


def identify(pid: int) -> Identity | None:
    """The process that has this pid now; None if there is none, or it has ended."""
    started = _start_time(pid)
    if started is None:
        return None
    host, machine = this_machine()
    return Identity(pid=pid, start_time=started, boot_id=_boot(), space=_space(), host=host, machine=machine)


def is_here(process: Identity) -> bool:
    """Whether the process is of this machine, whatever that was called then, so that we can know whether it lives."""
    return process.boot_id == _boot() or (process.host, process.machine) == this_machine()


def is_alive(process: Identity) -> bool | None:
    """Whether the process runs; None if it is of another machine or container, whose pids mean nothing here."""
    if not is_here(process):
        return None
    if process.boot_id != _boot():
        return False
    if process.space != _space():
        return None
    return _start_time(process.pid) == process.start_time


@functools.cache
def this_machine() -> tuple[str, str]:
    """This machine's name, and the id that tells it from another one of that name."""
    try:
        machine = MACHINE_ID.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        machine = ""
    return platform.node(), machine


def _boot() -> str:
    return BOOT_ID.read_text(encoding="ascii").strip()


def _space() -> str:
    return os.readlink(PROC / "self" / "ns" / "pid")


def _start_time(pid: int) -> int | None:
    try:
        status = (PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The command's name, in parentheses, may hold anything: the fields after it begin with the third, the state.
    fields = status.rpartition(")")[2].split()
    return None if fields[0] in ENDED else int(fields[19])
