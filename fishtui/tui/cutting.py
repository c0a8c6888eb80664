"""The cut of the clip under the cursor while keys change it: moves that are not saved yet, and the place of a split."""

from __future__ import annotations

from dataclasses import dataclass, field

from fishtui.catalog.cuts import Cut
from fishtui.catalog.surroundings import Surroundings
from fishtui.tui.widgets.waveform import WaveView

START, END = "start", "end"


@dataclass
class Cutting:
    """Changes of the cut of one clip, in seconds; `cut` is the one in the catalog.

    `edge` is the end that keys move. `unsaved` are its moves that have not been handed to the catalog, and `shown` all
    that the catalog does not have yet. `cursor` is a time in the recording, None until it is placed.
    """

    clip: int
    cut: Cut
    edge: str = END
    cursor: float | None = None
    unsaved: dict[str, float] = field(default_factory=lambda: {START: 0.0, END: 0.0})
    shown: dict[str, float] = field(default_factory=lambda: {START: 0.0, END: 0.0})

    @property
    def start(self) -> float:
        return self.cut.start + self.shown[START]

    @property
    def end(self) -> float:
        return self.cut.end + self.shown[END]

    def move(self, seconds: float) -> None:
        """Move the edge; a negative number is earlier."""
        self.unsaved[self.edge] += seconds
        self.shown[self.edge] += seconds

    def step(self, seconds: float) -> None:
        """Move the cursor within the clip; it begins in the middle."""
        cursor = (self.start + self.end) / 2 if self.cursor is None else self.cursor + seconds
        self.cursor = min(max(cursor, self.start), self.end)

    def take(self) -> tuple[float, float]:
        """Return the unsaved moves of start and end, which the caller saves."""
        moves = self.unsaved[START], self.unsaved[END]
        self.unsaved = {START: 0.0, END: 0.0}
        return moves

    def renew(self, cut: Cut) -> None:
        """Take the cut that the catalog has now."""
        if cut != self.cut:
            self.cut = cut
            self.shown = dict(self.unsaved)

    def forget(self) -> None:
        """Show the cut of the catalog again, after a move that failed."""
        self.unsaved, self.shown = {START: 0.0, END: 0.0}, {START: 0.0, END: 0.0}


def view_of(around: Surroundings, cut: Cut, cutting: Cutting | None) -> WaveView:
    """Return the place of a clip in the picture of its surroundings."""
    length = around.end - around.start

    def share(moment: float) -> float:
        return (moment - around.start) / length

    if cutting is None:
        return WaveView(share(cut.start), share(cut.end))
    start, end = share(cutting.start), share(cutting.end)
    cursor = None if cutting.cursor is None else share(cutting.cursor)
    return WaveView(start, end, end if cutting.edge == END else start, cursor)
