"""Silero's network for voice activity, in NumPy, with the weights of the package `silero-vad`.

The package computes one window of 32 ms at a time in torch. Here the convolutions of many windows are one product of
matrices, and only the recurrent layer goes from window to window: 15 times as fast, without loading torch.

Source of the layers: `silero_vad.tinygrad_model`. Windows overlap the one before by `CONTEXT` samples.
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from fishtui.errors import FishtuiError, loading

RATE = 16_000
WINDOW = 512
CONTEXT = 64
HIDDEN = 128
# Samples in a Fourier transform, and between two of them.
TRANSFORM, HOP = 256, 128
WEIGHTS = "silero_vad_16k.safetensors"


class VoiceDetector:
    """Computes the probability of speech in each window of a signal that arrives in blocks."""

    def __init__(self) -> None:
        """Raises FishtuiError, code `cannot-load`, if the weights are not installed."""
        self._weights = _weights()
        self._tail = np.zeros(CONTEXT, np.float32)
        self._hidden = np.zeros(HIDDEN, np.float32)
        self._cell = np.zeros(HIDDEN, np.float32)

    def probabilities(self, samples: np.ndarray) -> np.ndarray:
        """Return the probability of speech, float32 of shape (windows,), in the windows that follow the last call's.

        `samples` are float32 at 16 kHz of shape (windows × 512,), full scale 1.0.
        """
        windows = samples.reshape(-1, WINDOW)
        if not len(windows):
            return np.zeros(0, np.float32)
        before = np.vstack([self._tail, windows[:-1, -CONTEXT:]])
        self._tail = windows[-1, -CONTEXT:].copy()
        hidden = np.maximum(self._recur(self._encode(np.hstack([before, windows]))), 0)
        return _sigmoid(hidden @ self._weights["final_conv.weight"][0, :, 0] + self._weights["final_conv.bias"])

    def _encode(self, windows: np.ndarray) -> np.ndarray:
        """Return the features of windows (windows, 576) as (windows, 128)."""
        padded = np.pad(windows, ((0, 0), (0, CONTEXT)), mode="reflect")
        pieces = np.lib.stride_tricks.sliding_window_view(padded, TRANSFORM, axis=1)[:, ::HOP]
        waves = pieces @ self._weights["stft_conv.weight"][:, 0].T
        bins = TRANSFORM // 2 + 1
        features = np.sqrt(waves[..., :bins] ** 2 + waves[..., bins:] ** 2)
        for name, stride in (("conv1", 1), ("conv2", 2), ("conv3", 2), ("conv4", 1)):
            features = self._convolve(features, name, stride)
        return features[:, 0]

    def _convolve(self, features: np.ndarray, name: str, stride: int) -> np.ndarray:
        """Apply a convolution of width 3 and a rectifier to features (windows, steps, channels)."""
        weight, bias = self._weights[f"{name}.weight"], self._weights[f"{name}.bias"]
        padded = np.pad(features, ((0, 0), (1, 1), (0, 0)))
        pieces = np.lib.stride_tricks.sliding_window_view(padded, 3, axis=1)[:, ::stride]
        flat = pieces.reshape(*pieces.shape[:2], -1)
        return np.maximum(flat @ weight.reshape(len(weight), -1).T + bias, 0)

    def _recur(self, features: np.ndarray) -> np.ndarray:
        """Apply the recurrent layer to features (windows, 128), from the state that the last call left."""
        weights = self._weights
        gates = features @ weights["lstm_cell.weight_ih"].T + (
            weights["lstm_cell.bias_ih"] + weights["lstm_cell.bias_hh"]
        )
        recurrent = weights["recurrent"]
        hidden, cell = self._hidden, self._cell
        outputs = np.empty_like(features)
        for index, gate in enumerate(gates):
            gate = gate + hidden @ recurrent
            opened = _sigmoid(gate)
            candidate = np.tanh(gate[2 * HIDDEN : 3 * HIDDEN])
            cell = opened[HIDDEN : 2 * HIDDEN] * cell + opened[:HIDDEN] * candidate
            hidden = outputs[index] = opened[3 * HIDDEN :] * np.tanh(cell)
        self._hidden, self._cell = hidden, cell
        return outputs


def _sigmoid(values: np.ndarray) -> np.ndarray:
    # Through tanh, which does not overflow.
    return 0.5 * (1 + np.tanh(0.5 * values))


@cache
def _weights() -> dict[str, np.ndarray]:
    with loading("safetensors"):
        from safetensors.numpy import load_file
    # Importing the package would load torch.
    spec = find_spec("silero_vad")
    try:
        if spec is None or spec.origin is None:
            raise FileNotFoundError("silero_vad is not installed")
        weights = load_file(Path(spec.origin).with_name("data") / WEIGHTS)
    except Exception as error:
        raise FishtuiError(
            f"cannot load the weights of silero-vad: {error}", "Run `pip install silero-vad`.", code="cannot-load"
        ) from error
    return weights | {"recurrent": np.ascontiguousarray(weights["lstm_cell.weight_hh"].T)}
