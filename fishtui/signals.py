"""Signals that end a process, as exceptions that let it first remove its temporary files."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from fishtui.errors import Terminated

# Signals that end a process, other than SIGINT.
ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
# All signals that end a process.
STOPPING = (signal.SIGINT, *ENDING)


@contextmanager
def handling(numbers: Sequence[int], handler: Callable[[int, object], None]) -> Iterator[Mapping[int, Any]]:
    """Call `handler` for these signals while the body runs; give the body the handlers that it replaces.

    Signals that are ignored stay ignored: a shell starts background commands with SIGINT ignored.
    """
    handlers = {number: signal.getsignal(number) for number in numbers}
    # None is a handler that was not installed from Python, which could not be restored.
    before = {number: each for number, each in handlers.items() if each not in (signal.SIG_IGN, None)}
    for number in before:
        signal.signal(number, handler)
    try:
        yield before
    finally:
        for number, each in before.items():
            signal.signal(number, each)


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
def terminable(numbers: Sequence[int]) -> Iterator[None]:
    """Turn the first of these signals into KeyboardInterrupt or Terminated while the body runs; ignore later ones."""
    ending = False

    def end(number: int, frame: object) -> None:
        nonlocal ending
        if ending:
            # A second one must not break off the removal of temporary files.
            return
        ending = True
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise Terminated(number)

    with handling(numbers, end):
        yield
