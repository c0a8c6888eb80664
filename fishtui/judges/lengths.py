"""The expected length of speech: the text's length in letters, and the speaker's own time for a letter."""

from __future__ import annotations

import math
import unicodedata
from statistics import median
from typing import NamedTuple

from fishtui.checks.text import letter_script
from fishtui.judges.spoken import Spoken, Voice

# Latin letters that take about as long as one sign. Japanese, Chinese and English are spoken at about 7.8, 5.2 and 6.2
# syllables a second (Pellegrino et al. 2011, Language 87:539), an English syllable has about 2.5 letters, and a digit
# is a word of 4.
LETTERS_PER_SIGN = {"Han": 3.0, "Kana": 2.0, "Hangul": 2.5}
LETTERS_PER_DIGIT = 4.0
# A speaker's clips differ by at least this factor, if they were more; an estimate from few clips allows more.
LEAST_SPREAD, MOST_SPREAD, UNSURE_SPREAD = 1.5, 2.5, 2.0
SURE_CLIPS = 5
# Robust standard deviations, each 1.4826 median deviations, as in the check of speaking rates.
DEVIATIONS = 4 * 1.4826
# A rate measured on a shorter text is not reliable.
LEAST_LETTERS = 6.0


class Pace(NamedTuple):
    """A speaker's median seconds of speech for a letter, and the factor that clips differ from it at most."""

    seconds: float
    spread: float


def letters_of(text: str) -> float:
    """Return the length of a text in Latin letters that take as long to speak."""
    total = 0.0
    for sign in text:
        if unicodedata.category(sign) == "Nd":
            total += LETTERS_PER_DIGIT
        elif script := letter_script(sign):
            total += LETTERS_PER_SIGN.get(script, 1.0)
    return total


def pace_of(voice: Voice) -> Pace | None:
    """Return the pace of a speaker; None without clips of enough text."""
    return voice.fact("pace", _pace)


def expected_seconds(text: str, voice: Voice) -> float | None:
    """Return the seconds of speech, without pauses, that the speaker would take for a text; None if unknown."""
    pace = pace_of(voice)
    letters = letters_of(text)
    return letters * pace.seconds if pace and letters else None


def _pace(clips: tuple[Spoken, ...]) -> Pace | None:
    lengths = [(clip.speech, letters_of(clip.text)) for clip in clips]
    paces = [speech / letters for speech, letters in lengths if letters >= LEAST_LETTERS] or [
        speech / letters for speech, letters in lengths if letters
    ]
    if not paces:
        return None
    middle = median(paces)
    deviation = median(abs(math.log(pace / middle)) for pace in paces)
    least = LEAST_SPREAD if len(paces) >= SURE_CLIPS else UNSURE_SPREAD
    return Pace(middle, min(MOST_SPREAD, max(least, math.exp(DEVIATIONS * deviation))))
