"""The errors that reading audio raises."""

from __future__ import annotations

from fishtui.errors import DataError
from fishtui.wording import reason_of

UNREADABLE = "unreadable"
EMPTY = "empty-audio"
NOT_FINITE = "not-finite"
FOREIGN_FORMAT = "foreign-format"

CONVERT = "Convert it: `ffmpeg -i FILE NEW.wav`."
COPY_AGAIN = "Copy it again from its source."


class AudioError(DataError):
    """Audio that cannot be used; `fault` is the code of the check that reports it."""

    def __init__(self, problem: str, remedy: str = "", fault: str = UNREADABLE, *, code: str) -> None:
        super().__init__(problem, remedy, code=code)
        self.fault = fault


def unreadable(error: OSError) -> AudioError:
    """The error for a file that the operating system cannot read."""
    return AudioError(
        f"cannot read: {reason_of(error)}",
        "Check that the file exists and that you have permission to read it.",
        code="cannot-read",
    )


def not_audio(reason: str = "not audio, or damaged") -> AudioError:
    """The error for content that no decoder accepts."""
    return AudioError(reason, f"Listen to it. {CONVERT}", code="not-audio")


def truncated(detail: str = "", remedy: str = COPY_AGAIN) -> AudioError:
    """The error for a file that ends before its recording does."""
    return AudioError("the file is truncated" + (f": {detail}" if detail else ""), remedy, code="truncated")


def damaged(detail: str) -> AudioError:
    """The error for a file whose parts contradict each other."""
    return AudioError(
        f"the file is damaged: {detail}", f"{COPY_AGAIN} Or listen to it: {CONVERT}", code="damaged-audio"
    )


def several_recordings() -> AudioError:
    """The error for files that were joined in a format that holds only one."""
    return AudioError(
        "several recordings follow each other in one file, and programs read only the first",
        "Join them with a program for audio, such as `ffmpeg -f concat`.",
        code="several-in-one-file",
    )


def no_samples() -> AudioError:
    """The error for a file with a header and no samples."""
    return AudioError("the file contains no audio", "Record it again or remove it.", EMPTY, code="no-samples")


def empty_file() -> AudioError:
    """The error for a file without content."""
    return AudioError("the file is empty", "Record it again or remove it.", EMPTY, code="empty-file")


def foreign_content(name: str) -> AudioError:
    """The error for a file in a format that only other programs read."""
    problem = f"the file is in a format that fishtui does not read: {name}"
    return AudioError(problem, CONVERT, FOREIGN_FORMAT, code="foreign-content")
