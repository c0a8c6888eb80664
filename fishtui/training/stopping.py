"""Stop a training by a signal, after its current step."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from fishtui.distributed import Group
from fishtui.signals import STOPPING, handling


class StopRequest:
    """A request by a signal to stop the training after its current step."""

    def __init__(self) -> None:
        self.signal: int | None = None
        """The signal that this process received."""
        self.agreed: int | None = None
        """The signal that any of the processes had received at the last `exchange`."""
        self._before: Mapping[int, Any] = {}

    @contextmanager
    def catching_signals(self) -> Iterator[StopRequest]:
        """Catch the signals that end a process while the body runs; a second one has its usual effect at once."""
        with handling(STOPPING, self._handle) as self._before:
            try:
                yield self
            finally:
                self._before = {}

    def install_handlers(self) -> None:
        """Install the handlers, again after Lightning has replaced them by its own, which end a run unsaved."""
        for number in self._before:
            signal.signal(number, self._handle)

    def exchange(self, group: Group, *values: float) -> list[float]:
        """Share the signals of all processes, and return the highest of their `values` at each position."""
        number, *highest = group.max([self.signal or 0, *values])
        self.agreed = int(number) or None
        return highest

    def _handle(self, number: int, frame: object) -> None:
        if self.signal is not None:
            signal.signal(number, self._before[number])
            signal.raise_signal(number)
        self.signal = number


class Stopped(BaseException):
    """The training was asked to stop, and has saved its checkpoint."""
