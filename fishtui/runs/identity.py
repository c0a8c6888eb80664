"""Identities of processes that differ from those of all later processes with the same pid, on any machine."""

from __future__ import annotations

import functools
import os
import platform
from pathlib import Path
from typing import Annotated

import msgspec

PROC = Path("/proc")
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
MACHINE_ID = Path("/etc/machine-id")
# States of a process that has ended and is not yet reaped: see proc(5).
ENDED = "ZXx"


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """A process: its pid and start time (in clock ticks after the boot) on one boot of a machine.

    `space` is its pid namespace: a container that is restarted has the same boot and other processes.
    """

    pid: Annotated[int, msgspec.Meta(ge=1, lt=1 << 31)]
    start_time: int
    boot_id: str
    space: str
    host: str
    machine: str


def this_process() -> Identity:
    """Return the identity of this process."""
    found = identify(os.getpid())
    assert found is not None, "this process is alive"
    return found


def identify(pid: int) -> Identity | None:
    """Return the identity of the process with this pid; None if it has ended or does not exist."""
    started = _start_time(pid)
    if started is None:
        return None
    host, machine = this_machine()
    return Identity(pid=pid, start_time=started, boot_id=_boot(), space=_space(), host=host, machine=machine)


def is_here(process: Identity) -> bool:
    """Return true if the process is on this machine, even if the machine had another name then."""
    return process.boot_id == _boot() or (process.host, process.machine) == this_machine()


def is_alive(process: Identity) -> bool | None:
    """Return true if the process is alive; None if it is on another machine or in another container."""
    if not is_here(process):
        return None
    if process.boot_id != _boot():
        return False
    if process.space != _space():
        return None
    return _start_time(process.pid) == process.start_time


@functools.cache
def this_machine() -> tuple[str, str]:
    """Return this machine's name and an id that distinguishes it from others of that name."""
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
    # The command's name in parentheses may contain any character: the third field, the state, follows it.
    fields = status.rpartition(")")[2].split()
    return None if fields[0] in ENDED else int(fields[19])
