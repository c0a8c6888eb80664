"""A small recognizer of a fixed vocabulary, such as digits, by connectionist temporal classification.

Graves et al. 2006, "Connectionist temporal classification". A file holds weights and configuration.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
import torch
from msgspec import Meta
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional
from torchaudio.functional import melscale_fbanks

from fishtui.audio.resample import resample
from fishtui.judges.hearing import Heard
from fishtui.judges.needs import damaged

METADATA = "fishtui-ctc"
LOWEST_HZ = 40.0
Count = Annotated[int, Meta(ge=1, le=4096)]


class CtcConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The words by their output (the blank follows the last), the sample rate in Hz, and sizes; `hop` is in samples."""

    words: tuple[str, ...]
    version: str = "1"
    sample_rate: Annotated[int, Meta(ge=4_000, le=48_000)] = 8_000
    window: Count = 256
    hop: Count = 80
    bands: Count = 40
    width: Count = 96
    dilations: tuple[Count, ...] = (1, 2, 4, 1, 2, 4)
    dropout: Annotated[float, Meta(ge=0, lt=1)] = 0.1


class CtcNetwork(nn.Module):
    """Dilated convolutions on a mel spectrogram: logits of words and blank for every second hop."""

    def __init__(self, config: CtcConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.first = nn.Conv1d(config.bands, width, 5, stride=2, padding=2)
        self.layers = nn.ModuleList(
            nn.Conv1d(width, width, 5, dilation=dilation, padding=2 * dilation) for dilation in config.dilations
        )
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in config.dilations)
        self.last = nn.Linear(width, len(config.words) + 1)
        self.dropout = nn.Dropout(config.dropout)

    def features(self, samples: np.ndarray) -> Tensor:
        """Return log-mel features (frames, bands), of any level alike, of samples (samples,) at the config's rate."""
        config = self.config
        # The window is reflected at both ends, which needs more than half of it.
        audio = torch.from_numpy(np.pad(samples.astype(np.float32), (0, max(0, config.window - len(samples)))))
        window = torch.hann_window(config.window)
        power = torch.stft(audio, config.window, config.hop, window=window, return_complex=True).abs().square()
        rate = config.sample_rate
        mel = power.T @ melscale_fbanks(config.window // 2 + 1, LOWEST_HZ, rate / 2, config.bands, rate)
        logarithms = (mel + 1e-4 * mel.mean() + 1e-9).log()
        return (logarithms - logarithms.mean()) / (logarithms.std() + 1e-3)

    def forward(self, features: Tensor) -> Tensor:
        """Return logits (batch, frames / 2, words + 1) of features (batch, frames, bands)."""
        hidden = self.first(features.transpose(1, 2)).transpose(1, 2)
        for layer, norm in zip(self.layers, self.norms, strict=True):
            change = functional.gelu(layer(norm(hidden).transpose(1, 2)).transpose(1, 2))
            hidden = hidden + self.dropout(change)
        return self.last(hidden)

    @torch.inference_mode()
    def recognize(self, samples: np.ndarray) -> list[int]:
        """Return the numbers of the most probable words in samples (samples,) at the config's rate."""
        self.eval()
        blank = len(self.config.words)
        best = self(self.features(samples)[None])[0].argmax(-1).tolist()
        return [now for before, now in zip([blank, *best], best, strict=False) if now not in (before, blank)]


def save_network(network: CtcNetwork, path: Path, metadata: Mapping[str, str] | None = None) -> None:
    """Write a network with its config in half precision; `metadata` can hold its origin and licence."""
    tensors = {name: value.half().contiguous() for name, value in network.state_dict().items()}
    config = json.dumps(msgspec.to_builtins(network.config))
    save_file(tensors, path, {**(metadata or {}), METADATA: config})


def load_network(path: Path) -> CtcNetwork:
    """Return the network in a file of `save_network`. Raises FishtuiError if the file is damaged."""
    try:
        with safe_open(path, "pt") as file:
            config = msgspec.json.decode((file.metadata() or {})[METADATA], type=CtcConfig)
            names = list(file.keys())
            tensors = {name: file.get_tensor(name).float() for name in names}
        network = CtcNetwork(config)
        network.load_state_dict(tensors)
    except Exception as error:
        # Damaged bytes lead the reader into errors of any kind.
        raise damaged(path, error) from error
    return network.eval()


class CtcRecognizer:
    """The recognizer in a file of `save_network`."""

    name = "ctc"

    def __init__(self, path: Path) -> None:
        """Raises FishtuiError if the file is damaged."""
        self._network = load_network(path)
        self.version = self._network.config.version

    def hear(self, samples: np.ndarray, rate: int) -> Heard:
        config = self._network.config
        words = self._network.recognize(resample(samples, rate, config.sample_rate))
        return Heard(" ".join(config.words[word] for word in words))
