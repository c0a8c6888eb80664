"""Measure the sound of a clip: level, silence, noise, bandwidth, clipping."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fishtui.audio.decode import Audio, decode
from fishtui.audio.loudness import integrated_loudness
from fishtui.audio.probe import UNREADABLE, AudioError, unreadable
from fishtui.codehash import code_hash

# The code that measurements depend on.
CODE = ("audio/measure.py", "audio/decode.py", "audio/loudness.py", "audio/probe.py")

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

FULL_SCALE = 0.9997
# Two steps of 16 bits: dither on a flat top.
FLAT = 2 / 32_768
LEAST_RUN = 3
# A waveform that was clipped, then scaled down, has several flat tops at its extreme, which is not quiet.
LEAST_RUNS_BELOW_FULL_SCALE = 3
LEAST_EXTREME = 0.1
# Formats with steps so coarse that every loud peak is flat.
COARSE = frozenset({"PCM_S8", "PCM_U8", "ULAW", "ALAW"})
# BS.1770 has weights for this many channels.
MOST_CHANNELS = 5


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
    # Integrated, in LUFS; None if every block is below the gate.
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
    try:
        content = path.read_bytes()
    except OSError as error:
        return "", Measurements(fault=UNREADABLE, problem=unreadable(error).problem)
    except MemoryError:
        return "", Measurements(fault=UNREADABLE, problem="too large for this machine's memory")
    try:
        audio = decode(content)
        return audio.sha256, measure(audio)
    except AudioError as error:
        return hashlib.sha256(content).hexdigest(), Measurements(fault=error.fault, problem=error.problem)
    except MemoryError:
        return "", Measurements(fault=UNREADABLE, problem="too long for this machine's memory")


def measure(audio: Audio) -> Measurements:
    """Measure a decoded clip."""
    samples, mono = audio.samples, audio.mono()
    powers, means = _frames(mono, audio.rate)
    silence = _silence(powers)
    # The remainder at the end is distributed over the frames.
    lead, trail, gap, speech = (count * audio.seconds / len(powers) for count in _stretches(silence))
    clipped_runs, clipped_samples = _clipping(audio)
    loudness = integrated_loudness(samples if samples.shape[1] <= MOST_CHANNELS else mono[:, None], audio.rate)
    return Measurements(
        sound_hash=_sound_hash(audio),
        seconds=audio.seconds,
        loudness=loudness if math.isfinite(loudness) else None,
        peak=_decibels(max(float(samples.max()), -float(samples.min())) ** 2),
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
        band=_band(mono, audio.rate),
        channel_difference=_channel_difference(samples, mono),
    )


def _sound_hash(audio: Audio) -> str:
    sound = hashlib.sha256(f"{audio.rate} {audio.samples.shape[1]} ".encode())
    sound.update(np.ascontiguousarray(audio.samples).data)
    return sound.hexdigest()


def _frames(mono: np.ndarray, rate: int) -> tuple[np.ndarray, np.ndarray]:
    """Variance (the power without any offset) and mean of each 20 ms, float64 of shape (frames,)."""
    size = max(1, round(FRAME_S * rate))
    count = len(mono) // size
    frames = mono[: count * size].reshape(count, size) if count else mono[None]
    means = frames.mean(axis=1, dtype=np.float64)
    squares = np.einsum("fs,fs->f", frames, frames, dtype=np.float64) / frames.shape[1]
    return np.maximum(squares - means**2, 0.0), means


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


def _band(mono: np.ndarray, rate: int) -> float | None:
    count = len(mono) // BAND_WINDOW
    if rate < LEAST_RATE_FOR_BAND or not count:
        return None
    windows = mono[: count * BAND_WINDOW].reshape(count, BAND_WINDOW)[:: math.ceil(count / BAND_FRAMES)]
    spectra = np.fft.rfft(windows * np.hanning(BAND_WINDOW).astype(np.float32))
    energy = np.einsum("wf,wf->f", spectra, spectra.conj()).real.astype(np.float64)
    # The lowest lines contain an offset, not sound.
    first, split = math.ceil(50 * BAND_WINDOW / rate), math.ceil(HIGH_BAND_HZ * BAND_WINDOW / rate)
    below, above = float(energy[first:split].sum()), float(energy[split:].sum())
    if below <= 0 or above <= 0:
        return None
    return _decibels(above / below)


def _channel_difference(samples: np.ndarray, mono: np.ndarray) -> float:
    if samples.shape[1] == 1:
        return 0.0
    apart = np.square(samples - mono[:, None]).mean(axis=0, dtype=np.float64)
    loudest = float(np.square(samples).mean(axis=0, dtype=np.float64).max())
    return math.sqrt(float(apart.max()) / loudest) if loudest else 0.0


def _clipping(audio: Audio) -> tuple[int, int]:
    """Runs of flat tops, of both signs and all channels, and the samples in them."""
    runs = samples = 0
    for channel in audio.samples.T:
        for extreme, side in ((float(channel.max()), channel), (-float(channel.min()), -channel)):
            if extreme < LEAST_EXTREME or (extreme < FULL_SCALE and audio.subtype in COARSE):
                continue
            lengths = np.diff(_runs(side >= min(FULL_SCALE, extreme - FLAT)))
            lengths = lengths[lengths >= LEAST_RUN]
            if extreme >= FULL_SCALE or len(lengths) >= LEAST_RUNS_BELOW_FULL_SCALE:
                runs += len(lengths)
                samples += int(lengths.sum())
    return runs, samples


def _power(decibels: float) -> float:
    return 10 ** (decibels / 10)


def _decibels(power: float) -> float | None:
    return 10 * math.log10(power) if power > 0 else None
