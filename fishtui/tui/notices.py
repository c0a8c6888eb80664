"""Messages that the app shows for some seconds."""

from __future__ import annotations

import os
import traceback
from contextlib import suppress
from time import monotonic
from typing import Any

from textual.app import App
from textual.notifications import SeverityLevel

from fishtui.errors import FishtuiError
from fishtui.project import Project
from fishtui.sanitize import harmless

# Seconds that a message is shown, and an error.
BRIEFLY, LONG = 4, 10


class Notices(App[None]):
    """An app that reports what was done and what is wrong. A message that is shown already is not shown twice."""

    project: Project

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        # The messages on screen, with the time until when.
        self._shown: dict[str, float] = {}
        self._unexpected: set[str] = set()

    def report(self, message: str) -> None:
        """Show for some seconds what was done."""
        self._show_briefly(harmless(message), BRIEFLY, "information")

    def report_error(self, error: FishtuiError) -> None:
        """Show for some seconds what is wrong, and what to do about it."""
        remedy = f"\n{harmless(error.remedy)}" if error.remedy else ""
        # There is little room.
        problem = harmless(self.project.shorten_paths(error.problem))
        self._show_briefly(f"✗ {problem}{remedy}", LONG, "error")

    def _show_briefly(self, message: str, seconds: float, severity: SeverityLevel) -> None:
        now = monotonic()
        self._shown = {each: end for each, end in self._shown.items() if end > now}
        if message not in self._shown:
            self._shown[message] = now + seconds
            self.notify(message, severity=severity, markup=False, timeout=seconds)

    def report_unexpected(self, error: BaseException) -> None:
        """Show an error that is a defect, once, and write its traceback to the interface's log."""
        problem = f"{type(error).__name__}: {error}"
        if problem not in self._unexpected:
            self._unexpected.add(problem)
            log = self.project.interface_log
            where = f" Details: {self.project.shown(log)}" if log.exists() else ""
            remedy = f"A file of the project may be damaged.{where}"
            self.report_error(FishtuiError(problem, remedy, code="unexpected"))
            # Descriptor 2 is the log while the interface has the screen; sys.stderr is not. On a full disk the message
            # alone has to do.
            with suppress(OSError):
                os.write(2, "".join(traceback.format_exception(error)).encode(errors="replace"))
