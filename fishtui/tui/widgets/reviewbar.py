"""The progress and the pace of a review."""

from __future__ import annotations

import time
from collections.abc import Iterable

from rich.text import Text
from textual.widget import Widget

from fishtui import wording

# The newest decisions, from which the pace is computed.
RECENT = 20


class Review:
    """A review of `count` clips: the clips with a decision, and the times of the decisions."""

    def __init__(self, before: str, count: int) -> None:
        """`before` is the filter to restore at the end."""
        self.before = before
        self.count = count
        self.started = time.monotonic()
        self._decided: dict[int, float] = {}

    def decide(self, clips: Iterable[int]) -> None:
        """Count clips that were accepted or rejected."""
        self._decided.update(dict.fromkeys(clips, time.monotonic()))

    def take_back(self, clips: Iterable[int]) -> None:
        """Uncount clips whose decision was undone."""
        for clip in clips:
            self._decided.pop(clip, None)

    @property
    def done(self) -> int:
        """The number of clips with a decision."""
        return len(self._decided)

    @property
    def pace(self) -> float | None:
        """The current pace in clips per minute; None before the first decision."""
        times = sorted(self._decided.values())[-RECENT:]
        if not times:
            return None
        since = times[0] if len(self._decided) > RECENT else self.started
        return 60 * len(times) / max(times[-1] - since, 1.0)

    def summary(self) -> str:
        """Return a summary such as `12 done · 49 left · 8 clips/min · 6m remaining`."""
        left = max(self.count - self.done, 0)
        parts = [f"{self.done:,} done", f"{left:,} left"]
        if self.pace:
            parts += [
                f"{wording.counted(round(self.pace), 'clip')}/min",
                f"{wording.roughly(60 * left / self.pace)} remaining",
            ]
        return " · ".join(parts)


class ReviewBar(Widget):
    """The progress of a review, in the place of the filter."""

    DEFAULT_CSS = "ReviewBar { height: 1; display: none; color: $text-accent; } ReviewBar.reviewing { display: block; }"

    def __init__(self) -> None:
        super().__init__()
        self.review: Review | None = None

    def show(self, review: Review | None) -> None:
        """Show the progress of a review, or nothing."""
        self.review = review
        self.set_class(review is not None, "reviewing")
        self.refresh()

    def render(self) -> Text:
        if self.review is None:
            return Text("")
        summary = f"{self.review.summary()}  esc leave"
        head = "review "
        width = max(min(self.size.width - len(head) - len(summary) - 3, 30), 0)
        full = round(width * min(self.review.done / max(self.review.count, 1), 1))
        return Text(f"{head} {'━' * full}{'─' * (width - full)}  {summary}", no_wrap=True, overflow="ellipsis")
