"""A small recognizer of spoken digits, trained on recordings only: it measures the codec and the language model."""

from __future__ import annotations

from collections.abc import Sequence
from math import cos, pi

import numpy as np
import torch
from scipy.signal import lfilter
from torch import nn
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from fishtui.judges.ctc import CtcConfig, CtcNetwork
from tests.demo_model.data import RATE, WORDS, Clip, Samples, by_speaker, draw_sequence, join

ROWS = 10
STEPS = 2500
WARM_UP = 200
RATE_MAX = 2e-3
COUNTS = (1, 6)
# The most mel bands that a batch hides.
HIDDEN = 6
SPEEDS = (0.8, 1.2)
NOISES_DB = (8, 50)


def untrained() -> CtcNetwork:
    """Return a recognizer with random weights."""
    return CtcNetwork(CtcConfig(words=WORDS, sample_rate=RATE))


class RecognizerState:
    """Everything that training changes."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.model = untrained()
        self.optimizer = torch.optim.AdamW(self.model.parameters(), RATE_MAX, weight_decay=0.02, fused=True)
        self.step = 0

    def state_dict(self) -> dict:
        return {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(), "step": self.step}

    def load_state_dict(self, state: dict) -> None:
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step = state["step"]


def train_step(state: RecognizerState, clips: Sequence[Clip], steps: int = STEPS) -> dict[str, float]:
    """Take one of `steps` steps; return its figures."""
    random = np.random.default_rng([2, state.step])
    torch.manual_seed(state.step)
    speakers = by_speaker(clips)
    rows, digits = [], []
    for _ in range(ROWS):
        own = speakers[random.choice(sorted(speakers))]
        sequence = draw_sequence(own, int(random.integers(COUNTS[0], COUNTS[1] + 1)), random)
        rows.append(state.model.features(varied(sequence, random)))
        digits.append([clip.digit for clip in sequence])
    progress = state.step / steps
    for group in state.optimizer.param_groups:
        group["lr"] = RATE_MAX * min(1, (state.step + 1) / WARM_UP) * (0.02 + 0.98 * (1 + cos(pi * progress)) / 2)
    inputs = pad_sequence(rows, batch_first=True)
    start = int(random.integers(inputs.shape[2] - HIDDEN))
    inputs[:, :, start : start + int(random.integers(HIDDEN + 1))] = 0
    state.model.train()
    scores = state.model(inputs).log_softmax(-1).transpose(0, 1)
    lengths = torch.tensor([(len(row) + 1) // 2 for row in rows])
    targets = torch.tensor([digit for row in digits for digit in row])
    counts = torch.tensor([len(row) for row in digits])
    loss = functional.ctc_loss(scores, targets, lengths, counts, blank=len(WORDS), zero_infinity=True)
    state.optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(state.model.parameters(), 1.0)
    state.optimizer.step()
    state.step += 1
    return {"loss": loss.item()}


def varied(clips: Sequence[Clip], random: np.random.Generator) -> Samples:
    """Return the clips joined at varied speeds, levels, colours of sound and noise."""
    speed = random.uniform(*SPEEDS)
    changed = []
    for clip in clips:
        own = speed * random.uniform(0.95, 1.05)
        times = np.arange(0, len(clip.samples) - 1, own)
        samples = np.interp(times, np.arange(len(clip.samples)), clip.samples) * np.exp(random.uniform(-0.7, 0.7))
        changed.append(Clip(clip.digit, clip.speaker, clip.take, samples.astype(np.float32)))
    joined = join(changed, random)
    level = np.sqrt(np.square(joined).mean())
    if random.random() < 0.7:
        # A random slope of the spectrum and a random echo, as of another microphone in another room.
        joined = lfilter([1, random.uniform(-0.6, 0.6)], [1, random.uniform(-0.3, 0.3)], joined)
        delay = int(random.integers(1, RATE // 50))
        joined[delay:] += random.uniform(0, 0.3) * joined[:-delay]
    noise = random.standard_normal(len(joined))
    if random.random() < 0.5:
        noise = lfilter([1], [1, -random.uniform(0, 0.9)], noise)
    quieter = level * 10 ** (-random.uniform(*NOISES_DB) / 20)
    joined = joined + noise * (quieter / noise.std())
    return joined.astype(np.float32)


def errors(heard: Sequence[int], spoken: Sequence[int]) -> int:
    """Return the least number of substitutions, deletions and insertions between two sequences."""
    row = list(range(len(heard) + 1))
    for number, digit in enumerate(spoken, start=1):
        before, row[0] = row[0], number
        for place, other in enumerate(heard, start=1):
            before, row[place] = row[place], min(before + (digit != other), row[place] + 1, row[place - 1] + 1)
    return row[-1]
