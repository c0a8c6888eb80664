"""Silero's network in NumPy: equal to its layers in torch, and to itself in blocks of any length."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from fishtui.audio.silero import CONTEXT, WINDOW, VoiceDetector, _weights
from tests.spoken import RATE, speak


@pytest.fixture(scope="module")
def samples() -> np.ndarray:
    speech, _ = speak("en", "The harbour was quiet.")
    speech = np.interp(np.arange(0, len(speech) - 1, RATE / 16_000), np.arange(len(speech)), speech)
    return np.pad(speech, (4 * WINDOW, -len(speech) % WINDOW)).astype(np.float32)


def in_torch(samples: np.ndarray) -> np.ndarray:
    """Compute the network one window at a time, as the package does."""
    weights = {name: torch.from_numpy(value) for name, value in _weights().items()}
    cell = torch.nn.LSTMCell(128, 128)
    cell.load_state_dict({name: weights[f"lstm_cell.{name}"] for name in cell.state_dict()})
    padded = torch.from_numpy(np.concatenate([np.zeros(CONTEXT, np.float32), samples]))
    state = (torch.zeros(1, 128), torch.zeros(1, 128))
    found = []
    with torch.inference_mode():
        for start in range(0, len(samples), WINDOW):
            window = functional.pad(padded[None, start : start + CONTEXT + WINDOW], (0, CONTEXT), mode="reflect")
            waves = functional.conv1d(window[:, None], weights["stft_conv.weight"], stride=128)
            features = (waves[:, :129] ** 2 + waves[:, 129:] ** 2).sqrt()
            for name, stride in (("conv1", 1), ("conv2", 2), ("conv3", 2), ("conv4", 1)):
                weight, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
                features = functional.conv1d(features, weight, bias, stride=stride, padding=1).relu()
            state = cell(features[:, :, 0], state)
            last = functional.conv1d(
                state[0].relu()[:, :, None], weights["final_conv.weight"], weights["final_conv.bias"]
            )
            found.append(torch.sigmoid(last).item())
    return np.array(found)


def test_the_network_equals_its_layers_in_torch(samples: np.ndarray) -> None:
    ours = VoiceDetector().probabilities(samples)
    np.testing.assert_allclose(ours, in_torch(samples), atol=1e-5)
    assert ours[:3].max() < 0.2
    assert np.median(ours[5:-2]) > 0.9


def test_blocks_give_what_the_whole_gives(samples: np.ndarray) -> None:
    detector = VoiceDetector()
    blocks = [samples[: 3 * WINDOW], samples[:0], samples[3 * WINDOW :]]
    joined = np.concatenate([detector.probabilities(each) for each in blocks])
    np.testing.assert_allclose(joined, VoiceDetector().probabilities(samples), atol=1e-6)
