"""Errors that a user can fix: each names what is wrong and where, and what to do about it. Exit statuses."""

from __future__ import annotations

import errno
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

DONE = 0
FAILED = 1
MISUSED = 2
PARTIAL = 3
# The exit status of a process that signal N ended is SIGNALED + N.
SIGNALED = 128
INTERRUPTED = 130
TERMINATED = 143
# How the system and libraries in C report that memory, or the address space of `ulimit -v`, ran out.
NO_MEMORY = ("failed to map segment", "Cannot allocate memory", "can't allocate memory", "bad_alloc", "can't start new")
LACK = "Memory ran out: close other programs, or raise the limit of `ulimit -v`."


class Terminated(BaseException):
    """A signal other than SIGINT arrived that ends the process, which first saves its work."""

    def __init__(self, number: int = signal.SIGTERM) -> None:
        super().__init__()
        self.number = number
        self.exit_status = SIGNALED + number


class FishtuiError(Exception):
    """An error that a user can understand and fix; any other exception is a bug of fishtui.

    `problem` names what is wrong and where, `remedy` what to do: one line of plain text each. Both may contain text
    from files, so front ends sanitize them. `code` is a short stable word, such as `not-utf8`, for scripts and tests.
    """

    exit_status = FAILED

    def __init__(self, problem: str, remedy: str = "", *, code: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.remedy = remedy
        self.code = code

    def __str__(self) -> str:
        return f"{self.problem}\n{self.remedy}" if self.remedy else self.problem

    def __reduce__(self) -> tuple[Any, ...]:
        # Worker processes send errors by pickle, which would call __init__ with `args` alone.
        cause = self.__cause__ if isinstance(self.__cause__, OSError) else None
        return _restore, (type(self), self.args, self.__dict__, cause)


def _restore(
    kind: type[FishtuiError], arguments: tuple[Any, ...], attributes: dict[str, Any], cause: OSError | None
) -> FishtuiError:
    error = kind.__new__(kind, *arguments)
    error.__dict__.update(attributes)
    error.__cause__ = cause
    return error


@contextmanager
def loading(library: str) -> Iterator[None]:
    """Turn any error of importing a library of compiled code into a FishtuiError, code `cannot-load`."""
    try:
        yield
    except (ImportError, OSError, RuntimeError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise FishtuiError(f"cannot load {library}: {reason}", "Run `fishtui doctor`.", code="cannot-load") from error


def unforeseen(error: Exception, what: str, details: str) -> FishtuiError:
    """Return an error for an exception that `what` did not handle.

    Its code is `no-space` on a full disk, `no-memory` if memory ran out, otherwise `defect`. `details` completes the
    remedy: where the traceback is.
    """
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        place = f"{error.filename}: " if error.filename else ""
        return FishtuiError(f"{place}no space left on the disk", "Free some space and try again.", code="no-space")
    problem = f"{what} stopped: {type(error).__name__}: {error}"
    if isinstance(error, MemoryError) or any(sign in str(error) for sign in NO_MEMORY):
        return FishtuiError(problem, LACK, code="no-memory")
    return FishtuiError(problem, f"This is a defect of fishtui; {details}.", code="defect")


class MisuseError(FishtuiError):
    """Wrong use of a command, or wrong settings."""

    exit_status = MISUSED


class CheckpointError(FishtuiError):
    """A checkpoint that is incomplete, damaged, or of another model."""


class DataError(FishtuiError):
    """A file of the user's dataset (audio, transcript, codes, shard) that cannot be used."""
