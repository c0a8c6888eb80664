"""Recognizers of words: faster-whisper, pocketsphinx, and a small network that a file gives."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from fishtui.audio.resample import resample
from fishtui.errors import FishtuiError, loading
from fishtui.judges.hearing import Heard, Recognizer
from fishtui.judges.needs import Needs, Package, Setup, Weights, damaged, model_weights
from fishtui.judges.normalization import language_of

RATE = 16_000
WHISPER = "small"
WHISPER_REPOSITORY = "Systran/faster-whisper-{}"
WHISPER_SIZES = ("tiny", "base", "small", "medium", "large-v1", "large-v2", "large-v3")
WHISPER_FILES = (("config.json",), ("model.bin",), ("tokenizer.json",), ("vocabulary.json", "vocabulary.txt"))
SPHINX = Package("pocketsphinx", "pocketsphinx")


@dataclass(frozen=True)
class Kind:
    """A kind of recognizer: what it needs for a model, how it is loaded, and the languages it knows, empty for many.

    `load` gets the path of the weights, the language, empty if unknown, and the device.
    """

    needs: Callable[[Setup, str], Needs]
    load: Callable[[Path, str, str], Recognizer]
    languages: tuple[str, ...] = ()


def needs(setup: Setup) -> Needs:
    """Return what the recognizer of the settings needs."""
    kind, model = _chosen(setup)
    return kind.needs(setup, model)


def load(setup: Setup, language: str) -> Recognizer | None:
    """Return the recognizer of the settings for a language; None if it does not know the language.

    Raises FishtuiError if its weights are damaged.
    """
    kind, _ = _chosen(setup)
    language = language_of(language)
    if kind.languages and language and language not in kind.languages:
        return None
    weights = needs(setup).weights
    path = weights.folder if weights else setup.root
    if weights and len(weights.files) == 1:
        path = path / weights.files[0][0]
    return kind.load(path, language, setup.device)


class Sphinx:
    """pocketsphinx with the English model of its package."""

    name = "pocketsphinx"

    def __init__(self) -> None:
        """Raises FishtuiError if its model is damaged."""
        with loading("pocketsphinx"):
            from pocketsphinx import Decoder, get_model_path
        self.version = SPHINX.version
        try:
            self._decoder = Decoder(samprate=RATE, loglevel="FATAL")
        except (RuntimeError, ValueError) as error:
            raise damaged(Path(get_model_path()), error) from error

    def hear(self, samples: np.ndarray, rate: int) -> Heard:
        sound = np.clip(resample(samples, rate, RATE) * 32_768, -32_768, 32_767).astype("<i2")
        self._decoder.start_utt()
        self._decoder.process_raw(sound.tobytes(), full_utt=True)
        self._decoder.end_utt()
        found = self._decoder.hyp()
        if not found or not found.hypstr:
            return Heard("", language="en")
        # Marks of silence and noise are not words.
        sure = [min(1.0, word.prob) for word in self._decoder.seg() if word.word[0] not in "<[+"]
        return Heard(found.hypstr, fmean(sure) if sure else None, "en")


class Whisper:
    """faster-whisper with the model of a folder, in the language of the text; without sampling, so it is repeatable."""

    name = "faster-whisper"

    def __init__(self, folder: Path, language: str, device: str) -> None:
        """Raises FishtuiError if the model is damaged."""
        self.version = Package("faster_whisper", "faster-whisper").version
        self._model = _whisper(folder, device)
        # An unknown language is detected from the sound.
        self._language = language if language in self._model.supported_languages else None

    def hear(self, samples: np.ndarray, rate: int) -> Heard:
        found, about = self._model.transcribe(
            resample(samples, rate, RATE),
            language=self._language,
            temperature=0.0,
            condition_on_previous_text=False,
            without_timestamps=True,
        )
        segments = list(found)
        text = " ".join(segment.text.strip() for segment in segments)
        parts = [(segment.avg_logprob, len(segment.tokens)) for segment in segments]
        return Heard(text, mean_probability(parts), about.language)


def mean_probability(parts: Sequence[tuple[float, float]]) -> float | None:
    """Return the geometric mean of probabilities from logarithms with their weights; None without any weight."""
    total = sum(weight for _, weight in parts)
    if total <= 0:
        return None
    return min(1.0, math.exp(sum(logarithm * weight for logarithm, weight in parts) / total))


@lru_cache(maxsize=1)
def _whisper(folder: Path, device: str) -> Any:
    with loading("faster-whisper"):
        from faster_whisper import WhisperModel
    kind, _, index = device.partition(":")
    try:
        if kind == "cuda":
            try:
                model = WhisperModel(str(folder), device="cuda", device_index=int(index or 0), local_files_only=True)
                # CUDA's libraries are loaded with the first sound only.
                list(model.transcribe(np.zeros(RATE, np.float32), language="en")[0])
                return model
            except (RuntimeError, ValueError):
                # Built for another CUDA than torch: the processor gives the same words.
                pass
        return WhisperModel(str(folder), device="cpu", compute_type="int8", local_files_only=True)
    except Exception as error:
        # Damaged bytes lead the readers of model and tokenizer into errors of any kind.
        raise damaged(folder, error) from error


@lru_cache(maxsize=1)
def _sphinx() -> Sphinx:
    return Sphinx()


@lru_cache(maxsize=2)
def _ctc(path: Path) -> Recognizer:
    from fishtui.judges.ctc import CtcRecognizer

    return CtcRecognizer(path)


def _whisper_needs(setup: Setup, model: str) -> Needs:
    model = model or WHISPER
    if model in WHISPER_SIZES or model.removesuffix(".en") in WHISPER_SIZES:
        model = WHISPER_REPOSITORY.format(model)
    weights = model_weights(setup, model, WHISPER_FILES)
    return Needs((Package("faster_whisper", "faster-whisper"),), weights, f"Whisper, {model}")


def _ctc_needs(setup: Setup, model: str) -> Needs:
    path = setup.root / Path(model).expanduser()
    return Needs(weights=Weights(path.parent, ((path.name,),)), source=f"CTC recognizer, {model}")


KINDS = {
    "faster-whisper": Kind(_whisper_needs, Whisper),
    "pocketsphinx": Kind(
        lambda setup, model: Needs((SPHINX,), source="pocketsphinx, in its package"),
        lambda path, language, device: _sphinx(),
        ("en",),
    ),
    "ctc": Kind(_ctc_needs, lambda path, language, device: _ctc(path)),
}


def _chosen(setup: Setup) -> tuple[Kind, str]:
    name, _, model = setup.settings.recognizer.partition(":")
    if name not in KINDS:
        raise FishtuiError(
            f"unknown recognizer {name}", f"Set evaluate.recognizer to one of {', '.join(KINDS)}.", code="unknown-value"
        )
    return KINDS[name], model
