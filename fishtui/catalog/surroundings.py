"""The sound around a clip in its recording, drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fishtui.audio.picture import Picture
from fishtui.catalog.cuts import Cut, cut_of, locate_source
from fishtui.catalog.store import Catalog

# Seconds before and after the clip.
AROUND_S = 1.0
# Seconds of a recording that are decoded in a moment, in any format.
QUICK_S = 600.0


@dataclass(frozen=True)
class Surroundings:
    """The picture of a part of a recording, from `start` to `end` in seconds, and the cut of the clip in it."""

    cut: Cut
    start: float
    end: float
    picture: Picture


def draw_surroundings(
    catalog: Catalog, audio_hash: str | None, only_quick: bool, is_wanted: Callable[[], bool]
) -> Surroundings | None:
    """Return the surroundings of the clip with this audio; None if it is not part of a recording, or no longer wanted.

    With `only_quick`, also None if much of the recording would have to be decoded. Raises FishtuiError as
    `locate_source` and `read_excerpt`.
    """
    from fishtui.audio.draw import draw_samples
    from fishtui.audio.excerpt import is_quick, kept_excerpt, read_excerpt

    cut = cut_of(catalog, audio_hash)
    if cut is None:
        return None
    source = locate_source(catalog, cut.source)
    start, end = max(cut.start - AROUND_S, 0.0), min(cut.end + AROUND_S, max(source.seconds, cut.end))
    is_slow = cut.end > QUICK_S and kept_excerpt(source.hash, start, end) is None and not is_quick(source.path)
    if only_quick and is_slow:
        return None
    excerpt = read_excerpt(source.path, source.hash, start, end, is_wanted)
    if excerpt is None:
        return None
    samples = excerpt.part(start, end)
    if cut.channel is not None:
        samples = samples[:, cut.channel : cut.channel + 1]
    first = max(start, excerpt.first / excerpt.rate)
    return Surroundings(cut, first, first + len(samples) / excerpt.rate, draw_samples(samples, excerpt.rate))
