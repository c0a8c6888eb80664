"""Signals that end the interface leave a clean terminal; ctrl+z suspends it."""

from __future__ import annotations

import asyncio
import os
import select
import signal
from contextlib import suppress

from textual import on
from textual.app import App
from textual.driver import Driver

from fishtui.errors import SIGNALED, FishtuiError
from fishtui.signals import ENDING
from fishtui.tui.host import host_of

STDIN = 0
# Seconds after which a process that is to end does so even if the interface cannot leave, as without its terminal.
PATIENCE = 5
# Seconds between two looks at the terminal: without a controlling terminal, no signal reports its end.
EVERY = 1.0


class Signals(App[None]):
    """An app that leaves by itself when a signal ends it. Runs continue."""

    def on_load(self) -> None:
        """Handle signals before the terminal is changed."""
        loop = asyncio.get_running_loop()
        # Only the main thread gets signals.
        with suppress(RuntimeError, ValueError):
            for number in ENDING:
                loop.add_signal_handler(number, self._end, number)

    def on_mount(self) -> None:
        """Watch the terminal."""
        if not self.is_headless:
            self.set_interval(EVERY, self._leave_lost_terminal)

    def _leave_lost_terminal(self) -> None:
        watched = select.poll()
        watched.register(STDIN, 0)
        # Textual would read the end of the input again and again.
        if watched.poll(0):
            self._end(signal.SIGHUP)

    def on_unmount(self) -> None:
        """Leave later signals to the process."""
        self._ignore()

    def _ignore(self) -> None:
        loop = asyncio.get_running_loop()
        with suppress(RuntimeError, ValueError):
            for number in ENDING:
                loop.remove_signal_handler(number)

    def _end(self, number: int) -> None:
        # A second signal ends the process at once.
        self._ignore()
        end_soon()
        self.exit(return_code=SIGNALED + number)

    def action_suspend_process(self) -> None:
        """Stop the interface until the shell continues it with `fg`."""
        if _has_shell():
            super().action_suspend_process()
        else:
            problem, remedy = "cannot suspend: no shell could continue fishtui", "Leave with q: runs continue."
            host_of(self).report_error(FishtuiError(problem, remedy, code="no-shell"))

    @on(Driver.SignalResume)
    def repaint(self) -> None:
        """Draw the screen again: the terminal has shown the shell."""
        self.refresh(layout=True)


def end_soon() -> None:
    """End the process after PATIENCE seconds, unless it has ended by then."""
    signal.alarm(PATIENCE)


def _has_shell() -> bool:
    """Return whether the parent process can continue this one: a shell with job control, in the same session."""
    parent = os.getppid()
    try:
        return os.getsid(parent) == os.getsid(0) and os.getpgid(parent) != os.getpgrp()
    except ProcessLookupError:
        return False
