"""Voice activity of a recording: the probability of speech and the level of sound in each window of 32 ms.

The detector hears each stretch forwards and backwards. The beginning of music and noise resembles speech until it has
lasted for half a second, and that differs between the directions; speech is speech in both.

Everything is computed while the recording is read, so memory does not depend on its length.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fishtui.audio.decode import mix
from fishtui.audio.silero import RATE, WINDOW, VoiceDetector
from fishtui.audio.source import open_source
from fishtui.errors import loading
from fishtui.files import replacing

STEP_S = WINDOW / RATE
"""Length of a window in seconds."""
# Levels are measured in quarters of a window, 8 ms, with stressed high frequencies: breath and final consonants count,
# rumble and DC offset do not.
PARTS = 4
LEVEL_STEP_S = STEP_S / PARTS
STRESS = 0.97
SILENCE_DB = -120.0
# Windows behind a stretch from which the backward detector starts, 3 seconds.
CONTEXT = 96
# Quiet speech is amplified before it is judged, in stretches of `STRETCH` windows, about 10 seconds; silence is not.
STRETCH = 312
TARGET_DB, MOST_GAIN_DB = -24.0, 45.0
LOUD_SHARE = 95
# Two channels carry different voices if each is this much louder than the other, in dB, in this share of the sound.
SIDE_DB, SIDE_SHARE = 12.0, 0.05
Heard = Callable[[float], None]
Arrays = tuple[np.ndarray, np.ndarray, np.ndarray]
# Of a stored activity; a new number makes all recordings be analyzed again.
VERSION = 1


@dataclass(frozen=True)
class Activity:
    """The voice activity of a recording.

    `voice` is the probability of speech, and `backward` that of the reversed recording, both float32 of shape
    (windows,); `levels` is the level in dBFS, float32 of shape (windows × 4,). `seconds` is the length of the
    recording. `has_sides` if its two channels carry different voices.
    """

    voice: np.ndarray
    backward: np.ndarray
    levels: np.ndarray
    seconds: float
    has_sides: bool = False


def measure_activity(
    blocks: Iterable[np.ndarray], rate: int, channel: int | None = None, hears: Heard = lambda seconds: None
) -> Activity:
    """Return the activity of a recording, given in blocks (frames, channels) at `rate` Hz.

    The mean of all channels counts, or only `channel`. `hears` is called with the seconds that were read. Raises what
    reading the blocks raises, and FishtuiError if the detector cannot be loaded.
    """
    sides = _Sides(rate)
    length = [0]
    detector = VoiceDetector()
    voice: list[np.ndarray] = []
    backward: list[np.ndarray] = []
    levels: list[np.ndarray] = []
    stressed = 0.0
    held = np.zeros(0, np.float32)
    for stretch, gains in _amplified(_stretches(_converted(_mono(blocks, channel, sides, length), rate))):
        hears(length[0] / rate)
        judged = stretch * gains
        voice.append(detector.probabilities(judged))
        backward.append(_heard_backward(held, judged))
        held = judged
        before = np.concatenate([[np.float32(stressed)], stretch[:-1]])
        stressed = float(stretch[-1])
        power = np.square(stretch - STRESS * before, dtype=np.float32).reshape(-1, WINDOW // PARTS).mean(axis=1)
        levels.append(_decibels(power))
    backward.append(_heard_backward(held, held[:0]))
    # As precise as a file of it, so that a stored activity gives the same cuts.
    return Activity(
        *_from_bytes(*_to_bytes(_joined(voice), _joined(backward), _joined(levels))), length[0] / rate, sides.differ
    )


def _heard_backward(stretch: np.ndarray, following: np.ndarray) -> np.ndarray:
    """Return the probability of speech in the windows of a stretch, heard from the end of `following` on."""
    heard = np.concatenate([stretch, following[: CONTEXT * WINDOW]])
    return VoiceDetector().probabilities(heard[::-1])[::-1][: len(stretch) // WINDOW]


def activity_of(
    audio: Path,
    source_hash: str,
    folder: Path,
    channel: int | None = None,
    hears: Heard = lambda seconds: None,
    stores: bool = True,
) -> tuple[Activity, str]:
    """Return the activity of a recording, and a remark on the recording, empty without one.

    It is read from `folder`, or measured, and stored there if it `stores`; `hears` is called with the seconds that were
    read. Raises AudioError, and FishtuiError if the disk is full.
    """
    path = activity_path(source_hash, folder, channel)
    if (stored := load_activity(path)) is not None:
        return stored, ""
    with open_source(audio) as recording:
        activity = measure_activity(recording.blocks(), recording.rate, channel, hears)
        note = recording.note
    if stores:
        save_activity(path, activity)
    return activity, note


def activity_path(source_hash: str, folder: Path, channel: int | None = None) -> Path:
    """Return the file of a recording's activity in `folder`."""
    return folder / (f"{source_hash}.npz" if channel is None else f"{source_hash}-{channel}.npz")


def save_activity(path: Path, activity: Activity) -> None:
    """Write an activity completely or not at all; probabilities to 1/255, levels to half a dB. Raises FishtuiError."""
    voice, backward, levels = _to_bytes(activity.voice, activity.backward, activity.levels)
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(
            file,
            version=VERSION,
            voice=voice,
            backward=backward,
            levels=levels,
            seconds=activity.seconds,
            has_sides=activity.has_sides,
        )


def _to_bytes(voice: np.ndarray, backward: np.ndarray, levels: np.ndarray) -> Arrays:
    return (
        np.rint(255 * voice).astype(np.uint8),
        np.rint(255 * backward).astype(np.uint8),
        np.rint(-2 * levels).clip(0, 255).astype(np.uint8),
    )


def _from_bytes(voice: np.ndarray, backward: np.ndarray, levels: np.ndarray) -> Arrays:
    return voice.astype(np.float32) / 255, backward.astype(np.float32) / 255, levels.astype(np.float32) / -2


def load_activity(path: Path) -> Activity | None:
    """Return a stored activity; None if it is missing, damaged, or of another version."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            if int(stored["version"]) != VERSION:
                return None
            return Activity(
                *_from_bytes(stored["voice"], stored["backward"], stored["levels"]),
                float(stored["seconds"]),
                bool(stored["has_sides"]),
            )
    except Exception:
        # numpy and zipfile raise errors of many kinds for a damaged file.
        return None


def _mono(blocks: Iterable[np.ndarray], channel: int | None, sides: _Sides, length: list[int]) -> Iterator[np.ndarray]:
    """Yield each block as one channel; count the frames in `length`."""
    for block in blocks:
        length[0] += len(block)
        if block.shape[1] == 2:
            sides.add(block)
        yield mix(block) if channel is None else block[:, channel]


def _converted(blocks: Iterable[np.ndarray], rate: int) -> Iterator[np.ndarray]:
    """Yield mono blocks at 16 kHz."""
    if rate == RATE:
        yield from blocks
        return
    with loading("soxr"):
        import soxr
    stream = soxr.ResampleStream(rate, RATE, 1, dtype="float32", quality="MQ")
    for block in blocks:
        yield stream.resample_chunk(np.ascontiguousarray(block))
    yield stream.resample_chunk(np.zeros(0, np.float32), last=True)


def _stretches(blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Yield stretches of `STRETCH` windows; the last one is filled with silence to whole windows."""
    size = STRETCH * WINDOW
    waiting = np.zeros(0, np.float32)
    for block in blocks:
        waiting = np.concatenate([waiting, block])
        whole = len(waiting) // size * size
        for start in range(0, whole, size):
            yield waiting[start : start + size]
        waiting = waiting[whole:].copy()
    if len(waiting):
        yield np.pad(waiting, (0, -len(waiting) % WINDOW))


def _amplified(stretches: Iterable[np.ndarray]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield each stretch without its mean, and the gain of each sample, which brings speech to a usual level.

    The gain of a window is that of its stretch and of the neighbours, which keeps it from jumping.
    """
    before: float | None = None
    held: tuple[np.ndarray, float] | None = None

    def gains(stretch: np.ndarray, *decibels: float) -> np.ndarray:
        middle = len(stretch) / 2
        curve = np.interp(np.arange(len(stretch)), [-middle, middle, 3 * middle], decibels)
        return (10 ** (curve / 20)).astype(np.float32)

    for stretch in stretches:
        centred = stretch - stretch.mean()
        own = _gain_db(centred)
        if held is not None:
            yield held[0], gains(held[0], held[1] if before is None else before, held[1], own)
            before = held[1]
        held = centred, own
    if held is not None:
        yield held[0], gains(held[0], held[1] if before is None else before, held[1], held[1])


def _gain_db(stretch: np.ndarray) -> float:
    power = np.square(stretch).reshape(-1, WINDOW).mean(axis=1)
    loud = float(_decibels(np.percentile(power, LOUD_SHARE)))
    return float(np.clip(TARGET_DB - loud, 0, MOST_GAIN_DB)) if loud > SILENCE_DB + MOST_GAIN_DB / 2 else 0.0


def _decibels(power: np.ndarray | np.floating) -> np.ndarray:
    return 10 * np.log10(np.maximum(power, 10 ** (SILENCE_DB / 10)))


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    return np.concatenate(parts).astype(np.float32, copy=False) if parts else np.zeros(0, np.float32)


class _Sides:
    """Counts the windows in which one of two channels is much louder than the other."""

    def __init__(self, rate: int) -> None:
        self._size = max(1, round(rate * STEP_S))
        self._counts = np.zeros(3)

    def add(self, block: np.ndarray) -> None:
        """Count the whole windows of a block (frames, 2)."""
        whole = len(block) // self._size * self._size
        if not whole:
            return
        power = np.square(block[:whole]).reshape(-1, self._size, 2).mean(axis=1)
        levels = _decibels(power)
        loud = levels.max(axis=1) > np.percentile(levels.max(axis=1), LOUD_SHARE) - 30
        difference = (levels[:, 0] - levels[:, 1])[loud]
        self._counts += [(difference > SIDE_DB).sum(), (difference < -SIDE_DB).sum(), loud.sum()]

    @property
    def differ(self) -> bool:
        """True if each channel is much louder in part of the sound."""
        left, right, total = self._counts
        return bool(total and min(left, right) > SIDE_SHARE * total)
