"""How far a review has come, and how fast it goes."""

from __future__ import annotations

import time
from collections.abc import Iterable

from rich.text import Text
from textual.widget import Widget

from fishtui import wording

# Decisions that the pace is told from: what one did an hour ago says little.
RECENT = 20


class Review:
    """A walk through `count` clips: which of them are decided about, and when that was."""

    def __init__(self, before: str, count: int) -> None:
        """`before` is the filter to come back to."""
        self.before = before
        self.count = count
        self.started = time.monotonic()
        self._decided: dict[int, float] = {}

    def decide(self, clips: Iterable[int]) -> None:
        """Clips have been accepted or rejected now."""
        self._decided.update(dict.fromkeys(clips, time.monotonic()))

    def take_back(self, clips: Iterable[int]) -> None:
        """They have not, after all."""
        for clip in clips:
            self._decided.pop(clip, None)

    @property
    def done(self) -> int:
        """How many are decided about."""
        return len(self._decided)

    @property
    def pace(self) -> float | None:
        """Clips a minute, of late; None before there is any."""
        times = sorted(self._decided.values())[-RECENT:]
        if not times:
            return None
        since = times[0] if len(self._decided) > RECENT else self.started
        return 60 * len(times) / max(times[-1] - since, 1.0)

    def told(self) -> str:
        """`12 done · 49 left · 8 clips/min · 6m left`."""
        left = max(self.count - self.done, 0)
        parts = [f"{self.done:,} done", f"{left:,} left"]
        if self.pace:
            parts += [f"{self.pace:.0f} clips/min", f"{wording.seconds(60 * left / self.pace)} to go"]
        return " · ".join(parts)


class ReviewBar(Widget):
    """Stands in the filter's place during a review."""

    DEFAULT_CSS = "ReviewBar { height: 1; display: none; color: $text-accent; } ReviewBar.reviewing { display: block; }"

    def __init__(self) -> None:
        super().__init__()
        self.review: Review | None = None

    def show(self, review: Review | None) -> None:
        """Show how far a review has come, or nothing."""
        self.review = review
        self.set_class(review is not None, "reviewing")
        self.refresh()

    def render(self) -> Text:
        if self.review is None:
            return Text("")
        told = f"{self.review.told()}  esc leaves"
        head = "review "
        width = max(min(self.size.width - len(head) - len(told) - 3, 30), 0)
        full = round(width * min(self.review.done / max(self.review.count, 1), 1))
        return Text(f"{head} {'━' * full}{'─' * (width - full)}  {told}", no_wrap=True, overflow="ellipsis")
