"""The judge of similarity: speaker embeddings of the speech against those of the speaker's real clips."""

from __future__ import annotations

import math
from functools import partial
from typing import NamedTuple

import numpy as np

from fishtui.audio.measure import FRAME_S
from fishtui.judges import encoders
from fishtui.judges.encoders import RATE, Encoder
from fishtui.judges.needs import Needs, Setup
from fishtui.judges.registry import Figure, Judgement, judge
from fishtui.judges.spoken import Spoken, Voice

# Embeddings of short sound depend on its words too, so only parts of the same length in seconds are compared. Speech is
# cut into parts of the length that is nearest to its own, and clips are joined and cut to it.
LENGTHS = (1.5, 3.0)
# A rest of less than this share of a part is left out.
LEAST_REST = 0.5
# Pauses are removed, except for this much around sound.
MARGIN_S = 0.1

FIGURES = (
    Figure("similarity", "cosine", "higher", "similarity of the voice to the mean of the speaker's clips"),
    Figure(
        "similarity_percentile",
        "%",
        "higher",
        "share of the speaker's own clips that are less similar to the others than the speech is",
    ),
)


class Profile(NamedTuple):
    """The unit embedding of a speaker, and the similarity of each part of the clips to the others."""

    mean: np.ndarray
    own: np.ndarray


def _needs(setup: Setup) -> Needs:
    return encoders.needs(setup)


@judge(
    "similarity",
    "1",
    "similarity of the voice to the speaker's",
    figures=FIGURES,
    needs=_needs,
    options=("similarity",),
    code=("judges/encoders.py",),
)
def similarity(spoken: Spoken, voice: Voice, setup: Setup) -> Judgement:
    """Compare the voice with the speaker's clips; nothing without clips. Raises FishtuiError for damaged weights."""
    encoder = encoders.load(setup)
    heard = _heard(spoken)
    nearest = min(LENGTHS, key=lambda each: abs(math.log(each * RATE / len(heard))))
    # Few clips have at least two parts of the shortest length.
    for length in (nearest, LENGTHS[0]):
        name = ("similarity", setup.settings.similarity, length)
        profile = voice.fact(name, partial(_profile, length=length, encoder=encoder))
        if profile is None or len(profile.own):
            break
    if profile is None:
        return Judgement()
    found = [float(profile.mean @ encoder.embed(part)) for part in _cut(heard, round(length * RATE))]
    figures = {"similarity": float(np.mean(found))}
    if len(profile.own):
        figures["similarity_percentile"] = float(np.mean([_percentile(each, profile.own) for each in found]))
    return Judgement(figures)


def _percentile(value: float, others: np.ndarray) -> float:
    """Return the share of `others` below a value in percent; equal ones count as half."""
    return 100 * float((others < value).sum() + (others == value).sum() / 2) / len(others)


def _cut(samples: np.ndarray, size: int) -> list[np.ndarray]:
    """Return parts of `size` samples, and a rest that is long enough; at least one part, which may be shorter."""
    parts = [samples[start : start + size] for start in range(0, len(samples), size)]
    return [part for part in parts if len(part) >= LEAST_REST * size] or parts[:1]


def _profile(clips: tuple[Spoken, ...], length: float, encoder: Encoder) -> Profile | None:
    """Return the profile of a speaker; `own` is empty with fewer than two parts, and None comes without clips."""
    parts = [encoder.embed(samples) for samples in _parts(clips, length)]
    if not parts:
        return None
    embeddings = np.array(parts)
    total = embeddings.sum(axis=0)
    others = total - embeddings if len(parts) > 1 else embeddings[:0]
    own = (embeddings[: len(others)] * _unit(others)).sum(axis=1)
    return Profile(_unit(total[None])[0], own)


def _parts(clips: tuple[Spoken, ...], length: float) -> list[np.ndarray]:
    """Return the sound of the clips, joined and cut to parts of `length` seconds; only a single part is shorter.

    A part has whole clips, except at its end: two parts of one clip would have the sound of its recording in common.
    """
    parts: list[np.ndarray] = []
    group: list[np.ndarray] = []
    for clip in clips:
        group.append(_heard(clip))
        if sum(map(len, group)) >= length * RATE:
            parts.append(np.concatenate(group)[: round(length * RATE)])
            group = []
    return parts or ([np.concatenate(group)] if group else [])


def _heard(clip: Spoken) -> np.ndarray:
    """Return the sound of a clip without long pauses, at the rate of encoders, float32 of shape (samples,)."""
    frame, margin = round(FRAME_S * RATE), round(MARGIN_S / FRAME_S)
    wide = np.convolve(clip.sound, np.ones(2 * margin + 1), "full")[margin : margin + len(clip.sound)] > 0.5
    samples = clip.at(RATE)
    kept = np.repeat(wide, frame)[: len(samples)]
    return samples[: len(kept)][kept]


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
