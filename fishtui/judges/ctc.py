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
from torchaudio.transforms import MelSpectrogram

from fishtui.audio.resample import resample
from fishtui.judges.needs import damaged

METADATA = "fishtui-ctc"


class CtcConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The words by their output, from 1 on (0 is the blank), the sample rate in Hz, and sizes."""

    words: tuple[str, ...]
    version: str = "1"
    sample_rate: Annotated[int, Meta(ge=4_000, le=48_000)] = 8_000
    mels: Annotated[int, Meta(ge=1, le=256)] = 40
    width: Annotated[int, Meta(ge=1, le=1024)] = 96
    layers: Annotated[int, Meta(ge=1, le=8)] = 2
    dropout: Annotated[float, Meta(ge=0, lt=1)] = 0.0


class CtcNetwork(nn.Module):
    """Convolutions and recurrent layers on a mel spectrogram; an output for each 20 ms."""

    def __init__(self, config: CtcConfig) -> None:
        super().__init__()
        self.config = config
        rate = config.sample_rate
        self.mel = MelSpectrogram(rate, n_fft=rate // 25, hop_length=rate // 100, n_mels=config.mels, center=True)
        self.convolutions = nn.Sequential(
            nn.Conv1d(config.mels, config.width, 5, padding=2),
            nn.GELU(),
            nn.Conv1d(config.width, config.width, 5, stride=2, padding=2),
            nn.GELU(),
        )
        self.recurrent = nn.GRU(
            config.width, config.width, config.layers, batch_first=True, bidirectional=True, dropout=config.dropout
        )
        self.dropout = nn.Dropout(config.dropout)
        self.output = nn.Linear(2 * config.width, len(config.words) + 1)

    def features(self, samples: Tensor) -> Tensor:
        """Return the log mel spectrogram, of mean 0 and deviation 1, (mels, frames), of samples (samples,)."""
        logarithms = torch.log(self.mel(samples) + 1e-5)
        return (logarithms - logarithms.mean()) / (logarithms.std() + 1e-5)

    def forward(self, features: Tensor) -> Tensor:
        """Return the log probabilities (batch, frames / 2, words + 1) of features (batch, mels, frames)."""
        hidden, _ = self.recurrent(self.convolutions(features).transpose(1, 2))
        return self.output(self.dropout(hidden)).log_softmax(dim=-1)

    def words(self, samples: np.ndarray) -> list[str]:
        """Return the most probable words in samples, float32 of shape (samples,), at the sample rate of the config."""
        with torch.inference_mode():
            best = self(self.features(torch.from_numpy(samples))[None])[0].argmax(dim=-1).tolist()
        changed = [output for output, earlier in zip(best, [0, *best], strict=False) if output != earlier]
        return [self.config.words[output - 1] for output in changed if output]


def save_network(network: CtcNetwork, path: Path, metadata: Mapping[str, str] | None = None) -> None:
    """Write a network with its config in half precision; `metadata` can hold its origin and licence."""
    learned = network.state_dict().keys() - _computed(network).keys()
    tensors = {name: network.state_dict()[name].half().contiguous() for name in learned}
    config = json.dumps(msgspec.to_builtins(network.config))
    save_file(tensors, path, {**(metadata or {}), METADATA: config})


class CtcRecognizer:
    """The recognizer in a file of `save_network`."""

    name = "ctc"

    def __init__(self, path: Path) -> None:
        """Raises FishtuiError if the file is damaged."""
        try:
            with safe_open(path, "pt") as file:
                config = msgspec.json.decode((file.metadata() or {})[METADATA], type=CtcConfig)
                names = list(file.keys())
                tensors = {name: file.get_tensor(name).float() for name in names}
            self._network = CtcNetwork(config).eval()
            self._network.load_state_dict({**_computed(self._network), **tensors})
        except Exception as error:
            # Damaged bytes lead the reader into errors of any kind.
            raise damaged(path, error) from error
        self.version = config.version

    def transcribe(self, samples: np.ndarray, rate: int) -> str:
        return " ".join(self._network.words(resample(samples, rate, self._network.config.sample_rate)))


def _computed(network: CtcNetwork) -> dict[str, Tensor]:
    """Return the buffers that follow from the config."""
    return {name: value for name, value in network.state_dict().items() if name.startswith("mel.")}
