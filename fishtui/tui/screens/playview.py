"""Listening to clips: the one under the cursor or the marked ones, by a key or by itself."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import ClassVar

from textual import on, work
from textual.binding import Binding, BindingType
from textual.timer import Timer

from fishtui.errors import FishtuiError, MisuseError
from fishtui.tui.screens.cutview import CutView
from fishtui.tui.widgets.cliptable import ClipTable

# The most marked clips that are played.
MOST_PLAYED = 100
# Seconds that the cursor must rest on a clip before it plays by itself.
REST = 0.25


class PlayView(CutView):
    """The clips, with keys that play them."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "p", "autoplay", "autoplay", show=False, tooltip="play each clip when the cursor moves to it, or no longer"
        ),
        Binding(
            "L",
            "serve",
            "serve",
            show=False,
            tooltip="play the clip, or the marked ones, in a browser on your own computer",
        ),
    ]

    def __init__(self) -> None:
        super().__init__()
        # True if each clip plays when the cursor moves to it.
        self.plays = False
        self._playing: Timer | None = None

    def on_mount(self) -> None:
        # A wrong setting is reported where it is used.
        with suppress(MisuseError):
            self.plays = self.fishtui.loaded.values.ui.autoplay

    def _chosen(self) -> tuple[int, Callable[[], list[int]]]:
        """Return the number of clips that an action applies to, and a function that lists them.

        They are the marked clips, or the one under the cursor.
        """
        if self.table.marks:
            return self.table.marks, self.table.marked()
        clip = self.table.clip
        return (0, list) if clip is None else (1, lambda: [clip])

    def action_autoplay(self) -> None:
        self.plays = not self.plays
        self.fishtui.report("each clip plays when the cursor moves to it" if self.plays else "clips play with space")
        self._play_soon()

    @on(ClipTable.Moved)
    def _play_soon(self) -> None:
        """Play the clip once the cursor rests on it."""
        if self._playing is not None:
            self._playing.stop()
        if self.plays:
            self._playing = self.set_timer(REST, self._play)

    def _play(self) -> None:
        clip = self.table.clip
        if clip is not None and self.is_current and self.plays:
            self._listen(lambda: [clip], False)

    def action_listen(self) -> None:
        self._listen(self._chosen()[1], False)

    def action_serve(self) -> None:
        self._listen(self._chosen()[1], True)

    @work(thread=True, exclusive=True, group="listen", exit_on_error=False)
    def _listen(self, chosen: Callable[[], list[int]], serve: bool) -> None:
        try:
            found = self.reader.recordings(chosen()[:MOST_PLAYED])
        except FishtuiError as error:
            self.app.call_from_thread(self.fishtui.report_error, error)
            return
        if not found:
            self.app.call_from_thread(self.fishtui.report, "no recording to play")
        else:
            names = list(found)
            self.app.call_from_thread(self.fishtui.listen, list(found.values()), serve, names)
