"""Parts of recordings: check the times that rows name, and cut the parts out.

Modules that decode audio are imported inside the functions, because every command loads the importers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from fishtui.errors import DataError
from fishtui.importers.locate import Locator
from fishtui.importers.times import seconds_of
from fishtui.wording import clock

# A part that ends this close to the end, in seconds, ends there: tables round times.
ROUNDING_S = 0.02
# How much a stated length may differ from that of the recording, in seconds and as a share.
LENGTH_S, LENGTH_SHARE = 0.1, 0.02
# A part is in memory whole while it is cut, and models hold far shorter clips; in seconds.
LONGEST_S = 1_800.0

Part = tuple[float, float]
"""Start and end in seconds."""


class Lengths:
    """The lengths of recordings in seconds, each read once."""

    def __init__(self) -> None:
        self._known: dict[Path, float | DataError] = {}

    def part(self, audio: Path, start: float | None, end: float | None, loose: bool = False) -> Part | None:
        """Return the part of a recording from `start` to `end`, None for the whole. Raises DataError.

        Without a start the whole recording must be as long as `end`. A `loose` part may end behind the recording.
        """
        if start is None and end is None:
            return None
        length = self._seconds(audio)
        if start is None:
            # A recording that cannot be read is a finding of the scan.
            if isinstance(length, DataError) or end is None:
                return None
            if _is_length(length, end):
                return None
            raise DataError(
                f"the row names {end:g} s, and the recording has {length:.2f} s",
                "Name the start of the part too, or remove the column.",
                code="bad-part",
            )
        if isinstance(length, DataError):
            raise length
        if not length and end is None:
            raise DataError(
                f"no end of the part from {start:g} s, and the recording does not name its length",
                "Name the end of the part too.",
                code="bad-part",
            )
        # Without a length in the header of its container, cutting finds out whether the recording has the part.
        known = length or math.inf
        end = known if end is None or known < end <= known + ROUNDING_S else end
        if loose and max(start, 0.0) < min(end, known):
            return max(start, 0.0), min(end, known)
        if not 0 <= start < end <= known:
            raise DataError(
                f"no part from {start:g} to {end:g} s{f': the recording has {length:.2f} s' if length else ''}",
                "Correct the times; they are in seconds.",
                code="bad-part",
            )
        if start == 0 and end >= known - ROUNDING_S:
            return None
        if end - start > LONGEST_S:
            raise DataError(
                f"a part of {clock(end - start)} is too long for a clip",
                f"Name parts of at most {clock(LONGEST_S)}, or cut the recording with `fishtui slice`.",
                code="bad-part",
            )
        return start, end

    def _seconds(self, audio: Path) -> float | DataError:
        from fishtui.audio.source import open_source

        if audio not in self._known:
            try:
                with open_source(audio) as recording:
                    self._known[audio] = recording.seconds
            except DataError as error:
                self._known[audio] = error
        return self._known[audio]


def names_length(locator: Locator, audio: str, written: str) -> bool:
    """Return True if a recording has the length that is written, in seconds or milliseconds."""
    from fishtui.audio.source import open_source

    seconds = seconds_of(written)
    try:
        with open_source(locator.find(audio.strip())) as recording:
            return seconds is not None and _is_length(recording.seconds, seconds)
    except DataError:
        return False


def _is_length(length: float, written: float) -> bool:
    """Return True if a length is as written; some tables have milliseconds."""
    return min(abs(length - each) for each in (written, written / 1000)) <= max(LENGTH_S, LENGTH_SHARE * length)


def cut_parts(audio: Path, parts: Sequence[Part], targets: Sequence[Path]) -> None:
    """Write each part of a recording into its target, a wav file with exactly these samples.

    Raises FishtuiError; parts before the fault are written.
    """
    from fishtui.audio.cutting import cut_ranges, exact
    from fishtui.audio.encode import write_audio
    from fishtui.audio.source import open_source

    with open_source(audio) as recording:
        subtype = recording.subtype if recording.is_exact else "FLOAT"
        for index, samples in cut_ranges(recording, parts):
            write_audio(targets[index], exact(samples, subtype), recording.rate, "WAV", subtype)


def convert(audio: Path, target: Path) -> None:
    """Write a recording of a foreign format as flac, and more than two channels as their mean. Raises FishtuiError."""
    from fishtui.audio.cutting import exact, few_channels
    from fishtui.audio.encode import write_blocks
    from fishtui.audio.source import open_source

    with open_source(audio) as recording:
        blocks = (exact(few_channels(block), recording.subtype) for block in recording.blocks())
        channels = recording.channels if recording.channels <= 2 else 1
        write_blocks(target, blocks, recording.rate, channels, "FLAC", recording.subtype)
