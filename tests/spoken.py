"""Long recordings with known times: sentences by espeak-ng in several languages, music and noise between them."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np

RATE = 22_050
SENTENCES = {
    "en": (
        "The harbour was quiet when the first boats came home.",
        "She counted the steps twice, and each time she arrived at a different number.",
        "Is this really the cheapest path?",
        "Nobody had expected that the small theatre would survive such a long and expensive winter without help.",
    ),
    "de": (
        "Der letzte Zug fährt heute schon um acht.",
        "Im Garten hinter dem Haus wachsen Äpfel, Birnen und seit diesem Jahr auch ein paar Pflaumen.",
        "Wer hat das Fenster offen gelassen?",
    ),
    "fr": (
        "Le facteur passe chaque matin vers dix heures.",
        "Quand la pluie s'est arrêtée, les enfants sont sortis jouer dans la rue.",
    ),
    "es": (
        "El mercado abre temprano y cierra a mediodía.",
        "Nunca supe quién dejó las flores delante de la puerta.",
    ),
    "cmn": ("今天下午我们去公园散步。", "他说这本书他已经读了三遍，可是还想再读一遍。"),
    "ar": ("السماء صافية هذا الصباح.", "ذهب الأولاد إلى المدرسة مشيا على الأقدام."),
    "ru": ("Завтра утром мы поедем к морю.", "Старый мост закрыли ещё прошлой осенью."),
    "fi": ("Talo seisoo järven rannalla.", "Kissa katsoi ikkunasta pitkään."),
}
WORD, END = 1, 5
QUIET = 0.003


@dataclass(frozen=True)
class Spoken:
    """A recording, mono float32 at `RATE`, with the times of its sentences and words in seconds."""

    samples: np.ndarray
    sentences: list[tuple[float, float]] = field(default_factory=list)
    words: list[tuple[float, float]] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        return len(self.samples) / RATE


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", ctypes.c_char * 8),
    )


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


@cache
def _espeak() -> ctypes.CDLL:
    import espeakng_loader

    library = ctypes.CDLL(espeakng_loader.get_library_path())
    # Synchronous, without events of phonemes.
    rate = library.espeak_Initialize(2, 0, espeakng_loader.get_data_path().encode(), 0)
    assert rate == RATE
    return library


@cache
def speak(voice: str, text: str, speed: int = 165) -> tuple[np.ndarray, tuple[float, ...]]:
    """Return a sentence, float32 without silence at its ends, and the time in seconds of the start of each word."""
    library = _espeak()
    pieces: list[np.ndarray] = []
    starts: list[float] = []

    @_Callback
    def take(samples, count, events) -> int:
        if samples and count:
            pieces.append(np.ctypeslib.as_array(samples, (count,)).astype(np.float32) / 32_768)
        index = 0
        while events[index].type:
            if events[index].type == WORD:
                starts.append(events[index].sample / RATE)
            index += 1
        return 0

    library.espeak_SetSynthCallback(take)
    assert library.espeak_SetVoiceByName(voice.encode()) == 0
    library.espeak_SetParameter(1, speed, 0)
    content = text.encode()
    library.espeak_Synth(content, len(content) + 1, 0, 1, 0, 1, None, None)
    samples = np.concatenate(pieces)
    loud = np.flatnonzero(np.abs(samples) > QUIET)
    first, last = int(loud[0]), int(loud[-1]) + 1
    kept = tuple(min(max(start - first / RATE, 0.0), (last - first) / RATE) for start in starts)
    return samples[first:last], kept


def music(seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Return chords of plucked tones, float32."""
    sound = np.zeros(round(seconds * RATE))
    since = np.arange(2 * RATE) / RATE
    for start in np.arange(0, seconds, 0.4):
        for pitch in rng.choice([110, 131, 165, 196, 220, 262, 330, 392], 3, replace=False):
            rest = sound[round(start * RATE) :][: len(since)]
            rest += (np.exp(-3 * since) * np.sin(2 * np.pi * pitch * since))[: len(rest)]
    return (0.08 * sound).astype(np.float32)


def noise(seconds: float, rng: np.random.Generator, level: float = 0.01) -> np.ndarray:
    """Return noise like that of a room, float32."""
    white = rng.standard_normal(round(seconds * RATE))
    return (level * np.convolve(white, np.ones(4) / 2, "same")).astype(np.float32)


def compose(seconds: float, seed: int = 0, voices: Sequence[str] = (), floor: float = 0.0005) -> Spoken:
    """Return a recording of at least `seconds`: sentences, with pauses, music and noise between them."""
    rng = np.random.default_rng(seed)
    pieces: list[np.ndarray] = []
    sentences: list[tuple[float, float]] = []
    words: list[tuple[float, float]] = []
    position = 0

    def add(samples: np.ndarray) -> None:
        nonlocal position
        pieces.append(samples)
        position += len(samples)

    names = list(voices or SENTENCES)
    add(noise(0.8, rng, floor))
    while position < seconds * RATE:
        voice = names[rng.integers(len(names))]
        text = SENTENCES[voice][rng.integers(len(SENTENCES[voice]))]
        samples, starts = speak(voice, text, int(rng.integers(140, 190)))
        samples = samples * np.float32(rng.uniform(0.4, 1.0))
        begin = position / RATE
        ends = (*starts[1:], len(samples) / RATE)
        sentences.append((begin, begin + len(samples) / RATE))
        words += [(begin + a, begin + _end(samples, a, b)) for a, b in zip(starts, ends, strict=True) if b > a]
        add(samples)
        kind = rng.choice(["short", "pause", "music", "noise"], p=[0.3, 0.4, 0.15, 0.15])
        if kind in ("music", "noise"):
            add(np.zeros(round(0.3 * RATE), np.float32))
            add(music(rng.uniform(1.5, 4), rng) if kind == "music" else noise(rng.uniform(1, 3), rng, 0.02))
            add(np.zeros(round(0.3 * RATE), np.float32))
        else:
            add(
                np.zeros(
                    round(RATE * (rng.uniform(0.25, 0.5) if kind == "short" else rng.uniform(0.6, 1.5))), np.float32
                )
            )
    whole = np.concatenate(pieces)
    return Spoken(whole + noise(len(whole) / RATE, rng, floor)[: len(whole)], sentences, words)


def _end(samples: np.ndarray, start: float, end: float) -> float:
    """Return where the sound of a word ends: a pause behind it is not part of it."""
    loud = np.flatnonzero(np.abs(samples[round(start * RATE) : round(end * RATE)]) > QUIET)
    return start + (int(loud[-1]) + 1) / RATE if len(loud) else end
