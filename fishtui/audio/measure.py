"""Measure the sound of a clip: level, silence, noise, bandwidth, clipping."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fishtui.audio.clipping import flat_tops
from fishtui.audio.decode import Audio, mix
from fishtui.audio.faults import UNREADABLE, AudioError, unreadable
from fishtui.audio.loudness import LoudnessMeter
from fishtui.audio.recording import Recording
from fishtui.codehash import code_hash
from fishtui.files import regular

# The code that measurements depend on.
CODE = (
    *("audio/measure.py", "audio/loudness.py", "audio/clipping.py"),
    *("audio/decode.py", "audio/recording.py", "audio/libav.py", "audio/formats", "audio/faults.py"),
)

FRAME_S = 0.02
# Shorter silence is part of the speech around it (a stop consonant), and a shorter sound part of silence (a click).
LEAST_SILENCE_S = 0.1
LEAST_SOUND_S = 0.06
# Speech is louder than this: the absolute gate of ITU-R BS.1770.
FLOOR_DB = -70.0
# Above exact silence, dithered or not, and below the noise of any microphone.
DIGITAL_SILENCE_DB = -90.0
# A frame is silence if it is this far below the clip's loud frames; if noise fills the pauses, up to this far above the
# noise. The last limit keeps quiet speech from counting as noise.
SILENCE_DB = -40.0
ABOVE_NOISE_DB = 6.0
QUIET_SPEECH_DB = -20.0
# The share of frames that noise is measured in, and the shortest sound that has enough of them.
QUIETEST = 0.05
LEAST_FOR_NOISE_S = 1.0

HIGH_BAND_HZ = 8_000
# A lower rate leaves too little between 8 kHz and the filter at the end of the band.
LEAST_RATE_FOR_BAND = 20_000
BAND_WINDOW = 1024
BAND_FRAMES = 64

# Samples of all channels that are kept in memory; a longer recording is decoded twice.
MOST_KEPT = 1 << 24


def version() -> int:
    """Return a number that changes with the code; measurements of another version are outdated."""
    return int(code_hash(*CODE)[:15], 16)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurements:
    """The measurements of a clip; all numbers are finite, and None if they do not apply.

    If the clip cannot be decoded, `fault` is the code of the check that reports it, `problem` the reason, and all
    other values are the defaults. Levels, silence, noise and bandwidth are those of the mean of the channels.
    """

    fault: str = ""
    problem: str = ""
    # SHA-256 of samples, rate and channels: equal for a wav file and a flac file made from it.
    sound_hash: str = ""
    seconds: float = 0.0
    # Integrated, in LUFS, of the mean of the channels; None if every block is below the gate.
    loudness: float | None = None
    # Highest sample of any channel, in dBFS; None for digital silence.
    peak: float | None = None
    # Root mean square of the loudest 20 ms, in dBFS; None for digital silence.
    level: float | None = None
    # Runs of at least 3 samples at full scale, or at the clip's own extreme if there are several runs; their samples.
    clipped_runs: int = 0
    clipped_samples: int = 0
    # Constant part, as a share of full scale.
    dc: float = 0.0
    # Seconds of silence at the beginning, at the end, the longest inside, and seconds of sound.
    lead: float = 0.0
    trail: float = 0.0
    gap: float = 0.0
    speech: float = 0.0
    # Loud frames relative to the quietest twentieth that is not digital silence, in dB: the signal-to-noise ratio if
    # there are pauses, otherwise less. None for less than a second of sound.
    snr: float | None = None
    # Energy above 8 kHz relative to the energy below, in dB; None if the sample rate is too low.
    band: float | None = None
    # Largest difference of a channel from the mean, relative to the loudest: 0 for mono, 1 for opposite channels.
    channel_difference: float = 0.0


def measure_file(path: Path) -> tuple[str, Measurements]:
    """Return the SHA-256 of a file's content, and its measurements, which name the fault of a bad file.

    The hash is empty if the fault is not in the content: the file cannot be read, or memory is too small.
    """
    sha256 = ""
    try:
        regular(path)
        with path.open("rb", buffering=0) as handle:
            sha256 = hashlib.file_digest(handle, "sha256").hexdigest()
            recording = Recording(handle)
            header = recording.header
            if header.frames * header.channels > MOST_KEPT:
                return sha256, measure(recording)
            samples = np.concatenate(list(recording.blocks()))
            return sha256, measure(Audio(samples, header.rate, header.format, header.subtype, sha256))
    except OSError as error:
        return "", Measurements(fault=UNREADABLE, problem=unreadable(error).problem)
    except AudioError as error:
        return sha256, Measurements(fault=error.fault, problem=error.problem)
    except MemoryError:
        return "", Measurements(fault=UNREADABLE, problem="too long for this machine's memory")


def measure(sound: Audio | Recording) -> Measurements:
    """Measure a clip, block by block. Raises AudioError if decoding it fails."""
    header = sound.header
    found = _Pass(header.rate, header.channels, header.frames)
    for block in sound.blocks():
        found.add(block)
    powers, means = found.frames.result()
    seconds = found.count / header.rate
    silence = _silence(powers)
    # The remainder at the end is distributed over the frames.
    lead, trail, gap, speech = (count * seconds / len(powers) for count in _stretches(silence))
    clipped_runs, clipped_samples = flat_tops(sound.blocks(), found.highest, found.lowest, header.subtype)
    loudness = found.meter.loudness()
    return Measurements(
        sound_hash=found.hash.hexdigest(),
        seconds=seconds,
        loudness=loudness if math.isfinite(loudness) else None,
        peak=_decibels(max(float(found.highest.max()), -float(found.lowest.min())) ** 2),
        level=_decibels(float(powers.max())),
        clipped_runs=clipped_runs,
        clipped_samples=clipped_samples,
        # The median keeps a thump in a short clip from counting as an offset.
        dc=float(np.median(means)),
        lead=lead,
        trail=trail,
        gap=gap,
        speech=speech,
        snr=_snr(powers),
        band=found.band.result(),
        channel_difference=found.channel_difference(),
    )


def sounding(mono: np.ndarray, rate: int) -> tuple[np.ndarray, np.ndarray]:
    """Return if there is sound in each 20 ms, and its power, of finite mono samples: bool and float64 (frames,)."""
    frames = _Frames(rate)
    frames.add(mono)
    powers, _ = frames.result()
    return ~_silence(powers), powers


class _Pass:
    """The measurements of one pass over the blocks of a recording."""

    def __init__(self, rate: int, channels: int, frames: int) -> None:
        self.count = 0
        self.hash = hashlib.sha256(f"{rate} {channels} ".encode())
        self.meter = LoudnessMeter(rate)
        self.frames = _Frames(rate)
        self.band = _Band(rate, frames)
        self.highest = np.full(channels, -np.inf, np.float32)
        self.lowest = np.full(channels, np.inf, np.float32)
        self._apart = np.zeros(channels)
        self._energy = np.zeros(channels)

    def add(self, block: np.ndarray) -> None:
        mono = mix(block)
        self.count += len(block)
        self.hash.update(np.ascontiguousarray(block).data)
        self.meter.add(mono)
        self.frames.add(mono)
        self.band.add(mono)
        self.highest = np.maximum(self.highest, block.max(axis=0))
        self.lowest = np.minimum(self.lowest, block.min(axis=0))
        if block.shape[1] > 1:
            self._apart += np.square(block - mono[:, None], dtype=np.float64).sum(axis=0)
            self._energy += np.square(block, dtype=np.float64).sum(axis=0)

    def channel_difference(self) -> float:
        loudest = float(self._energy.max())
        return math.sqrt(float(self._apart.max()) / loudest) if loudest else 0.0


class _Rows:
    """Rows of `size` samples, from blocks of any length."""

    def __init__(self, size: int) -> None:
        self._size = size
        self.rest = np.empty(0, np.float32)

    def add(self, mono: np.ndarray) -> np.ndarray:
        """Return the rows that are complete, float32 of shape (rows, size)."""
        mono = np.concatenate([self.rest, mono]) if len(self.rest) else mono
        whole = len(mono) // self._size * self._size
        self.rest = mono[whole:].copy()
        return mono[:whole].reshape(-1, self._size)


class _Frames:
    """Variance (the power without any offset) and mean of each 20 ms."""

    def __init__(self, rate: int) -> None:
        self._rows = _Rows(max(1, round(FRAME_S * rate)))
        self._powers: list[np.ndarray] = []
        self._means: list[np.ndarray] = []

    def add(self, mono: np.ndarray) -> None:
        self._measure(self._rows.add(mono))

    def result(self) -> tuple[np.ndarray, np.ndarray]:
        """Float64 of shape (frames,) each; a shorter clip is one frame."""
        if not sum(map(len, self._powers)):
            self._measure(self._rows.rest[None])
        return np.concatenate(self._powers), np.concatenate(self._means)

    def _measure(self, frames: np.ndarray) -> None:
        means = frames.mean(axis=1, dtype=np.float64)
        squares = np.einsum("fs,fs->f", frames, frames, dtype=np.float64) / frames.shape[1]
        self._powers.append(np.maximum(squares - means**2, 0.0))
        self._means.append(means)


class _Band:
    """Energy above and below 8 kHz, in windows that are spread evenly over a recording of `frames` samples."""

    def __init__(self, rate: int, frames: int) -> None:
        self._rate = rate
        self._rows = _Rows(BAND_WINDOW)
        self._stride = max(1, math.ceil(frames // BAND_WINDOW / BAND_FRAMES))
        self._number = 0
        self._energy = np.zeros(BAND_WINDOW // 2 + 1)

    def add(self, mono: np.ndarray) -> None:
        if self._rate < LEAST_RATE_FOR_BAND:
            return
        rows = self._rows.add(mono)
        windows = rows[-self._number % self._stride :: self._stride]
        self._number += len(rows)
        spectra = np.fft.rfft(windows * np.hanning(BAND_WINDOW).astype(np.float32))
        self._energy += np.einsum("wf,wf->f", spectra, spectra.conj()).real.astype(np.float64)

    def result(self) -> float | None:
        """In dB; None if the sample rate is too low, or there is not even one window."""
        # The lowest lines contain an offset, not sound.
        first, split = (math.ceil(hertz * BAND_WINDOW / self._rate) for hertz in (50, HIGH_BAND_HZ))
        below, above = float(self._energy[first:split].sum()), float(self._energy[split:].sum())
        return _decibels(above / below) if below > 0 and above > 0 else None


def _silence(powers: np.ndarray) -> np.ndarray:
    """True for frames of silence, relative to the clip's own levels: bool of shape (frames,)."""
    loud = _loud(powers)
    quiet = _quietest(powers)
    threshold = max(
        _power(FLOOR_DB),
        loud * _power(SILENCE_DB),
        min(quiet * _power(ABOVE_NOISE_DB), loud * _power(QUIET_SPEECH_DB)),
    )
    silence = _without_short(powers <= threshold, round(LEAST_SILENCE_S / FRAME_S))
    return ~_without_short(~silence, round(LEAST_SOUND_S / FRAME_S))


def _loud(powers: np.ndarray) -> float:
    """The power above which half of the clip's energy is: the level of vowels, independent of the pauses."""
    falling = np.sort(powers)[::-1]
    energy = np.cumsum(falling)
    return float(falling[np.searchsorted(energy, energy[-1] / 2)])


def _quietest(powers: np.ndarray) -> float:
    """Mean power of the quietest frames that are not digital silence; 0.0 if all are."""
    live = np.sort(powers[powers > _power(DIGITAL_SILENCE_DB)])
    return float(live[: math.ceil(QUIETEST * len(live))].mean()) if len(live) else 0.0


def _without_short(flags: np.ndarray, least: int) -> np.ndarray:
    """`flags` with runs of True shorter than `least` made False."""
    kept = np.zeros_like(flags)
    for start, end in _runs(flags):
        kept[start:end] = end - start >= least
    return kept


def _runs(flags: np.ndarray) -> np.ndarray:
    """First index of each run of True and the one after its last, of shape (runs, 2)."""
    return np.flatnonzero(np.diff(flags, prepend=False, append=False)).reshape(-1, 2)


def _stretches(silence: np.ndarray) -> tuple[int, int, int, int]:
    """Frames of silence before the sound, after it, longest inside it, and frames of sound; all before if silent."""
    sounds = _runs(~silence)
    if not len(sounds):
        return len(silence), 0, 0, 0
    inside = sounds[1:, 0] - sounds[:-1, 1]
    return (
        int(sounds[0, 0]),
        len(silence) - int(sounds[-1, 1]),
        int(inside.max(initial=0)),
        int((sounds[:, 1] - sounds[:, 0]).sum()),
    )


def _snr(powers: np.ndarray) -> float | None:
    live = powers[powers > _power(DIGITAL_SILENCE_DB)]
    if len(live) * FRAME_S < LEAST_FOR_NOISE_S:
        return None
    noise = _quietest(live)
    signal = float(live[live > _loud(live) * _power(SILENCE_DB)].mean()) - noise
    # Frames of equal power are all noise or all signal, which cannot be distinguished.
    return _decibels(signal / noise) if signal > 0 else 0.0


def _power(decibels: float) -> float:
    return 10 ** (decibels / 10)


def _decibels(power: float) -> float | None:
    return 10 * math.log10(power) if power > 0 else None
