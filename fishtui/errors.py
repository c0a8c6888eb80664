"""What a user can put right: each error says what is wrong and where, and what to do about it."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

DONE = 0
FAILED = 1
MISUSED = 2
PARTIAL = 3
INTERRUPTED = 130
TERMINATED = 143


class Terminated(BaseException):
    """SIGTERM arrived: the stage saves its work and exits."""


class FishtuiError(Exception):
    """An error that a user can understand and fix; any other exception is a bug of fishtui.

    `problem` names what is wrong and where, `remedy` what to do: one line of plain text each. Both may contain text
    from files, so front ends sanitize them. `code` is a short stable word, such as `not-utf8`, for scripts and tests.
    """

    exit_status = FAILED

    def __init__(self, problem: str, remedy: str = "", *, code: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.remedy = remedy
        self.code = code

    def __str__(self) -> str:
        return f"{self.problem}\n{self.remedy}" if self.remedy else self.problem


@contextmanager
def loading(library: str) -> Iterator[None]:
    """Raise FishtuiError for whatever a library of compiled code raises that is installed but can't be imported."""
    try:
        yield
    except (ImportError, OSError, RuntimeError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise FishtuiError(f"{library} can't be loaded: {reason}", "`fishtui doctor` says what to install.") from error


def unforeseen(error: Exception, what: str, where: str) -> FishtuiError:
    """What to tell of an error that nobody expected in `what`; `where` is where its details are."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        place = error.filename or "where this writes to"
        return FishtuiError(f"there is no space left at {place}", "Free some, and try again.")
    return FishtuiError(f"{what} broke off: {type(error).__name__}: {error}", f"This is a fault of fishtui; {where}.")


class MisuseError(FishtuiError):
    """Wrong use of a command, or wrong settings."""

    exit_status = MISUSED


class CheckpointError(FishtuiError):
    """A checkpoint that is incomplete, damaged, or of another model."""


class DataError(FishtuiError):
    """A file of the user's dataset (audio, transcript, codes, shard) that can't be used as it is."""
