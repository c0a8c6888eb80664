"""Parts of recordings: check the times that rows name, and cut the parts out.

Modules that decode audio are imported inside the functions, because every command loads the importers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fishtui.errors import DataError
from fishtui.importers.locate import Locator
from fishtui.importers.times import seconds_of

if TYPE_CHECKING:
    import numpy as np

    from fishtui.audio.recording import Recording

# A part that ends this close to the end, in seconds, ends there: tables round times.
ROUNDING_S = 0.02
# How much a stated length may differ from that of the recording, in seconds and as a share.
LENGTH_S, LENGTH_SHARE = 0.1, 0.02
# Cut parts have the subtype of their recording if it is one of these; otherwise their samples are floats.
BITS = {"PCM_16": 16, "PCM_24": 24}

Part = tuple[float, float]
"""Start and end in seconds."""


class Lengths:
    """The lengths of recordings in seconds, each read once."""

    def __init__(self) -> None:
        self._known: dict[Path, float | DataError] = {}

    def part(self, audio: Path, start: float | None, end: float | None) -> Part | None:
        """Return the part of a recording from `start` to `end`, None for the whole. Raises DataError.

        Without a start the whole recording must be as long as `end`.
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
        end = length if end is None or length < end <= length + ROUNDING_S else end
        if not 0 <= start < end <= length:
            raise DataError(
                f"no part from {start:g} to {end:g} s: the recording has {length:.2f} s",
                "Correct the times; they are in seconds.",
                code="bad-part",
            )
        return None if start == 0 and end >= length - ROUNDING_S else (start, end)

    def _seconds(self, audio: Path) -> float | DataError:
        from fishtui.audio.recording import open_recording

        if audio not in self._known:
            try:
                with open_recording(audio) as recording:
                    self._known[audio] = recording.header.seconds
            except DataError as error:
                self._known[audio] = error
        return self._known[audio]


def names_length(locator: Locator, audio: str, written: str) -> bool:
    """Return True if a recording has the length that is written, in seconds or milliseconds."""
    from fishtui.audio.recording import open_recording

    seconds = seconds_of(written)
    try:
        with open_recording(locator.find(audio.strip())) as recording:
            return seconds is not None and _is_length(recording.header.seconds, seconds)
    except DataError:
        return False


def _is_length(length: float, written: float) -> bool:
    """Return True if a length is as written; some tables have milliseconds."""
    return min(abs(length - each) for each in (written, written / 1000)) <= max(LENGTH_S, LENGTH_SHARE * length)


def cut_parts(audio: Path, parts: Sequence[Part], targets: Sequence[Path]) -> None:
    """Write each part of a recording into its target, a wav file with exactly these samples. Raises FishtuiError."""
    from fishtui.audio.encode import write_audio
    from fishtui.audio.recording import open_recording

    with open_recording(audio) as recording:
        header = recording.header
        subtype = header.subtype if header.subtype in BITS else "FLOAT"
        for index, samples in _cut(recording, [(round(a * header.rate), round(b * header.rate)) for a, b in parts]):
            write_audio(targets[index], _exact(samples, subtype), header.rate, "WAV", subtype)


def part_name(stem: str, part: Part) -> str:
    """Return the name of a part: that of its recording, and start and end in milliseconds."""
    start, end = (round(1000 * time) for time in part)
    return f"{stem}_{start:07d}_{end:07d}"


def _exact(samples: np.ndarray, subtype: str) -> np.ndarray:
    """The samples as integers at the top of 32 bits, which are stored without rounding; floats as they are."""
    import numpy as np

    if subtype not in BITS:
        return samples
    bits = BITS[subtype]
    whole = np.rint(samples.astype(np.float64) * 2 ** (bits - 1)).clip(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    return whole.astype(np.int32) << (32 - bits)


def _cut(recording: Recording, ranges: Sequence[tuple[int, int]]) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the index of each range of frames and its samples; the recording is decoded once."""
    import numpy as np

    waiting = sorted(range(len(ranges)), key=lambda index: ranges[index])
    active: dict[int, list[np.ndarray]] = {}
    position = 0
    for block in recording.blocks():
        following = position + len(block)
        while waiting and ranges[waiting[0]][0] < following:
            active[waiting.pop(0)] = []
        for index in list(active):
            start, end = ranges[index]
            active[index].append(block[max(0, start - position) : end - position].copy())
            if end <= following:
                yield index, np.concatenate(active.pop(index))
        position = following
    for index, blocks in active.items():
        # Rounding may place the end one frame behind the last.
        yield index, np.concatenate(blocks)
    if waiting:
        raise DataError("the recording ends before a part", "Correct the times.", code="bad-part")
