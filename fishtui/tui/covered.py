"""A screen that is covered by a dialog draws nothing as long as nothing on it changes."""

from __future__ import annotations

from textual.screen import Screen, ScreenResultType


class QuietScreen(Screen[ScreenResultType]):
    """A screen that is redrawn below a dialog only where it has changed.

    After the first change, Textual draws the whole terminal again whenever a covered screen gets a message, such as the
    tick of a timer: thousands of bytes each second over a slow connection. No issue filed.
    """

    def _compositor_refresh(self) -> None:
        super()._compositor_refresh()
        if self.app.screen is not self:
            self._repaint_required = False
