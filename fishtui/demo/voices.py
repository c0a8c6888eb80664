"""Synthesize speech-like recordings with numpy: two voices, and some clips with faults to find."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fishtui.audio.encode import write_audio
from fishtui.files import write_bytes, write_text

SENTENCES = (
    "The morning train was late again.",
    "She opened the window and listened.",
    "A small boat crossed the quiet lake.",
    "Nobody had expected the answer.",
    "We walked home along the river.",
    "The old clock stopped at noon.",
    "He wrote the letter twice.",
    "Bread and salt were on the table.",
    "The wind turned before sunset.",
    "Two birds sat on the wire.",
    "The lamp burned all night.",
    "They sang until the rain came.",
)
# First and second formant in Hz of five vowels, after Peterson & Barney (1952), men's averages.
FORMANTS = {"a": (730, 1090), "e": (530, 1840), "i": (270, 2290), "o": (570, 840), "u": (300, 870)}
THIRD_FORMANT = 2500
BANDWIDTH = 90.0
LETTER_SECONDS = 0.06
# The noise of a quiet room in the pauses, as a share of full scale.
ROOM_NOISE = 0.0005


@dataclass(frozen=True)
class DemoVoice:
    """A speaker: pitch in Hz, factor for the formants, sample rate in Hz and peak level of the recordings."""

    name: str
    pitch: float
    formants: float
    rate: int
    peak: float


VOICES = (DemoVoice("anna", 190.0, 1.15, 44_100, 0.30), DemoVoice("bert", 105.0, 0.95, 22_050, 0.55))


def speak(voice: DemoVoice, text: str) -> np.ndarray:
    """Return float32 samples at the voice's rate: vowels as formant-shaped harmonics, consonants as noise."""
    random = np.random.default_rng([ord(letter) for letter in voice.name + text])
    length = int(LETTER_SECONDS * voice.rate)
    ramp = np.minimum(1.0, np.arange(length) / (0.01 * voice.rate))
    envelope = ramp * ramp[::-1]
    phase = 0.0
    pieces = [np.zeros(length)]
    for index, letter in enumerate(text.lower()):
        pitch = voice.pitch * (1.1 - 0.2 * index / len(text)) * (1 + 0.03 * random.standard_normal())
        times = phase + 2 * np.pi * pitch * np.arange(length) / voice.rate
        phase = times[-1] % (2 * np.pi)
        if letter in FORMANTS:
            pieces.append(_vowel(voice, letter, pitch, times) * envelope)
        elif letter.isalpha():
            pieces.append(0.05 * np.diff(random.standard_normal(length + 1)) * envelope)
        else:
            pieces.append(np.zeros(length))
    samples = np.concatenate([*pieces, np.zeros(length)])
    samples *= voice.peak / np.abs(samples).max()
    return (samples + ROOM_NOISE * random.standard_normal(len(samples))).astype(np.float32)


def _vowel(voice: DemoVoice, letter: str, pitch: float, times: np.ndarray) -> np.ndarray:
    harmonics = np.arange(1, int(4000 / pitch))
    centres = voice.formants * np.array([*FORMANTS[letter], THIRD_FORMANT])
    distances = (harmonics[:, None] * pitch - centres) / BANDWIDTH
    levels = (1 / (1 + distances**2) * [1.0, 0.5, 0.2]).sum(axis=1) / harmonics**0.5
    return (levels[:, None] * np.sin(harmonics[:, None] * times)).sum(axis=0)


def write_recordings(folder: Path, text_extension: str = ".lab") -> int:
    """Write 24 clips of two voices into `folder`, five of them faulty; return the number of clips.

    The faults: a truncated recording, a silent one, an empty transcript, a missing transcript, and a clip with a
    click whose peak keeps it below the target loudness.
    """
    for voice in VOICES:
        for number, text in enumerate(SENTENCES):
            path = folder / voice.name / f"{number:02d}.wav"
            write_audio(path, speak(voice, text), voice.rate)
            write_text(path.with_suffix(text_extension), text + "\n")
    anna, bert = (folder / voice.name for voice in VOICES)
    content = (anna / "03.wav").read_bytes()
    write_bytes(anna / "03.wav", content[: len(content) // 2])
    write_audio(anna / "07.wav", np.zeros(VOICES[0].rate, np.float32), VOICES[0].rate)
    write_text(bert / f"02{text_extension}", "\n")
    (bert / f"05{text_extension}").unlink()
    click = speak(VOICES[1], SENTENCES[9]) * 0.1
    click[len(click) // 2] = 1.0
    write_audio(bert / "09.wav", click, VOICES[1].rate)
    return len(VOICES) * len(SENTENCES)
