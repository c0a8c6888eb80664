"""Correcting the cuts of clips: keys that move the ends of a clip in its recording, split it, and merge it."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.timer import Timer

from fishtui.catalog import interactive
from fishtui.tui.ascii import spell_keys
from fishtui.tui.catalogwriter import CatalogWriter
from fishtui.tui.cutting import END, START, Cutting
from fishtui.tui.screens.clipview import ClipView
from fishtui.tui.widgets.clipdetail import ClipDetail
from fishtui.tui.widgets.cliptable import ClipTable

# Seconds without a key before moves are saved, as one change.
PAUSE = 0.6
STEP, LEAP, CURSOR_STEP = 0.01, 0.1, 0.1


class CutView(ClipView):
    """The clips, with keys for the cut of the clip under the cursor."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "left_square_bracket",
            f"move_edge({-STEP})",
            "10 ms earlier",
            show=False,
            key_display="[",
            tooltip="move the end of the clip in its recording, or its start after b, 10 ms earlier",
        ),
        Binding(
            "right_square_bracket",
            f"move_edge({STEP})",
            "10 ms later",
            show=False,
            key_display="]",
            tooltip="move the end of the clip, or its start after b, 10 ms later",
        ),
        Binding(
            "left_curly_bracket",
            f"move_edge({-LEAP})",
            "100 ms earlier",
            show=False,
            key_display="{",
            tooltip="move the end of the clip, or its start after b, 100 ms earlier",
        ),
        Binding(
            "right_curly_bracket",
            f"move_edge({LEAP})",
            "100 ms later",
            show=False,
            key_display="}",
            tooltip="move the end of the clip, or its start after b, 100 ms later",
        ),
        Binding("b", "other_edge", "other end", show=False, tooltip="switch between the end and the start for [ ] { }"),
        Binding("left", "step(-1)", "cursor left", show=False, tooltip="move the cursor in the waveform"),
        Binding("right", "step(1)", "cursor right", show=False, tooltip="move the cursor in the waveform"),
        Binding("S", "split", "split", show=False, tooltip="split the clip at the cursor in its waveform"),
        Binding("S", "reverse", "reverse", show=False, tooltip="reverse the order"),
        Binding("M", "merge", "merge", show=False, tooltip="merge the clip with the next one of its recording"),
    ]

    writer: CatalogWriter

    def __init__(self) -> None:
        super().__init__()
        self.cutting: Cutting | None = None
        self._saving: Timer | None = None

    def _begin(self) -> Cutting | None:
        """Return the changes of the cut of the clip under the cursor; None, with a message, if it has none."""
        detail = self.query_one(ClipDetail)
        details, clip = detail.details, self.table.clip
        if clip is None or details is None or details.row["id"] != clip:
            return None
        if details.cut is None:
            self.fishtui.report("only a clip that slice or import cut from a recording, unchanged since, can be moved")
            return None
        if self.cutting is None or self.cutting.clip != clip:
            self.cutting = Cutting(clip, details.cut)
            detail.show_around(self.cutting)
        self.refresh_bindings()
        return self.cutting

    def _show(self) -> None:
        self.query_one(ClipDetail).mark(self.cutting)

    def action_move_edge(self, seconds: float) -> None:
        """Show the moved end at once; it is saved after a pause."""
        if (cutting := self._begin()) is not None:
            cutting.move(seconds)
            self._show()
            if self._saving is not None:
                self._saving.stop()
            self._saving = self.set_timer(PAUSE, self._save)

    def action_other_edge(self) -> None:
        known = self.cutting is not None and self.cutting.clip == self.table.clip
        if (cutting := self._begin()) is not None:
            if known or cutting.edge == END:
                cutting.edge = START if cutting.edge == END else END
            self._show()

    def action_step(self, steps: int) -> None:
        if (cutting := self._begin()) is not None:
            cutting.step(steps * CURSOR_STEP)
            self._show()

    def action_split(self) -> None:
        if (cutting := self._begin()) is None:
            return
        if cutting.cursor is None:
            cutting.step(0.0)
            self._show()
            self.fishtui.report(spell_keys("← → move the cursor in the waveform; S splits there", self.fishtui.ascii))
            return
        self._save()
        clip, at = cutting.clip, cutting.cursor - cutting.start
        cutting.cursor = None
        self.writer.submit(lambda catalog, settings: interactive.split(catalog, settings, clip, at), cutting)

    def action_merge(self) -> None:
        if (cutting := self._begin()) is not None:
            self._save()
            clip = cutting.clip
            self.writer.submit(lambda catalog, settings: interactive.merge(catalog, settings, clip), cutting)

    def _save(self) -> None:
        """Hand the moves that were shown to the catalog."""
        if self._saving is not None:
            self._saving.stop()
            self._saving = None
        cutting = self.cutting
        if cutting is None:
            return
        clip, (start, end) = cutting.clip, cutting.take()
        if start or end:
            self.writer.submit(lambda catalog, settings: interactive.move(catalog, settings, clip, start, end), cutting)

    def on_screen_suspend(self) -> None:
        self._save()

    def on_unmount(self) -> None:
        self._save()

    @on(ClipTable.Moved)
    def _leave_clip(self, message: ClipTable.Moved) -> None:
        if self.cutting is not None and message.clip != self.cutting.clip:
            self._save()
            self.cutting = None
            self._show()
            self.refresh_bindings()

    @on(ClipDetail.DetailsRead)
    def _renew(self, message: ClipDetail.DetailsRead) -> None:
        cutting, details = self.cutting, message.details
        if cutting is not None and message.clip == cutting.clip and details is not None and details.cut is not None:
            cutting.renew(details.cut)
            self._show()

    def is_cut(self) -> bool:
        """Return True if S splits the clip: in a review, in the pane of the clip, or while its cut is changed."""
        return self.cutting is not None or self.query_one(ClipDetail).has_focus

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "split":
            return self.is_cut()
        return super().check_action(action, parameters)
