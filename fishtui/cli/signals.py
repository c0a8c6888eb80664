"""Signals that end a command, which first removes its temporary files; its exit status is 128 + the signal's number."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


class Ended(BaseException):
    """A signal arrived that ends the command."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


@contextmanager
def interruptible() -> Iterator[None]:
    """Turn SIGINT into KeyboardInterrupt while the body runs, unless the parent process set it to be ignored."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def endable() -> Iterator[None]:
    """Turn the other signals that end a process into Ended while the body runs, except those that are ignored."""

    ending = False

    def end(number: int, frame: object) -> None:
        nonlocal ending
        if not ending:
            # A second one must not break off the removal of temporary files.
            ending = True
            raise Ended(number)

    before = {number: signal.getsignal(number) for number in ENDING}
    before = {number: handler for number, handler in before.items() if handler is signal.SIG_DFL}
    for number in before:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
