"""The words that a recognizer hears."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np


class Heard(NamedTuple):
    """Recognized words.

    `confidence` is the mean probability of a word or its parts, from 0 to 1, None if the recognizer does not have it.
    `language` is a code such as `en`, empty if unknown.
    """

    text: str
    confidence: float | None = None
    language: str = ""


class Recognizer(Protocol):
    """Writes down the words of speech."""

    name: str
    version: str

    def hear(self, samples: np.ndarray, rate: int) -> Heard:
        """Return the words in mono samples, float32 of shape (samples,), at `rate` Hz."""
