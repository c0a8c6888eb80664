"""Encoders of speakers: Resemblyzer's network with its published weights, and WavLM through transformers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from fishtui.errors import loading
from fishtui.judges.needs import Needs, Package, Setup, Weights, damaged, model_weights

if TYPE_CHECKING:
    import torch

RATE = 16_000
# The weights are here, because their own package needs a compiler to install.
RESEMBLYZER = Path(__file__).parent / "resemblyzer"
RESEMBLYZER_FILE = "encoder.safetensors"
WAVLM = "microsoft/wavlm-base-plus-sv"
WAVLM_FILES = (("config.json",), ("preprocessor_config.json",), ("model.safetensors", "pytorch_model.bin"))
# Resemblyzer's windows of 1.6 s, in frames of 10 ms, about 1.3 a second, and the level that quiet speech is raised to.
WINDOW, STEP, LEVEL_DB = 160, 77, -30.0
# A last window counts with at least this share of sound.
LEAST_COVERED = 0.75
BATCH = 64


class Encoder(Protocol):
    """A network that describes a voice."""

    def embed(self, samples: np.ndarray) -> np.ndarray:
        """Return the unit embedding (size,), float32, of mono samples at `RATE`, float32 of shape (samples,)."""


def needs(setup: Setup) -> Needs:
    """Return what the encoder of the settings needs."""
    name, _, model = setup.settings.similarity.partition(":")
    if name == "resemblyzer":
        return Needs((), Weights(RESEMBLYZER, ((RESEMBLYZER_FILE,),)), "Resemblyzer, shipped with fishtui")
    found = model_weights(setup, model or WAVLM, WAVLM_FILES)
    return Needs((Package("transformers", "transformers"),), found, f"WavLM, {model or WAVLM}")


def load(setup: Setup) -> Encoder:
    """Return the encoder of the settings. Raises FishtuiError if its weights are damaged."""
    weights = needs(setup).weights
    folder = weights.folder if weights else setup.root
    return _load(setup.settings.similarity.partition(":")[0], folder, setup.device)


@lru_cache(maxsize=1)
def _load(name: str, folder: Path, device: str) -> Encoder:
    with loading("torch"):
        import torch
    return (Resemblyzer if name == "resemblyzer" else WavLM)(folder, torch.device(device))


class Resemblyzer:
    """Resemblyzer's speaker encoder (Wan et al. 2018, "Generalized end-to-end loss for speaker verification").

    The embedding is the mean of windows of 1.6 s. Pauses are not removed here.
    """

    def __init__(self, folder: Path, device: torch.device) -> None:
        """Raises FishtuiError if the weights are damaged."""
        from safetensors.torch import load_file
        from torch import nn
        from torchaudio.transforms import MelSpectrogram

        path = folder / RESEMBLYZER_FILE
        self.device = device
        self.mel = MelSpectrogram(
            RATE, n_fft=400, hop_length=160, n_mels=40, norm="slaney", mel_scale="slaney", pad_mode="constant"
        )
        self.lstm = nn.LSTM(40, 256, 3, batch_first=True)
        self.linear = nn.Linear(256, 256)
        with _damage(path):
            state = load_file(path)
            for part, prefix in ((self.lstm, "lstm."), (self.linear, "linear.")):
                names = [name for name in state if name.startswith(prefix)]
                part.load_state_dict({name.removeprefix(prefix): state[name].float() for name in names})
                part.to(device)

    def embed(self, samples: np.ndarray) -> np.ndarray:
        import torch

        from fishtui.devices import one_thread

        with torch.inference_mode(), one_thread():
            sound = torch.from_numpy(samples)
            level = 10 ** (LEVEL_DB / 20) / max(float(sound.square().mean().sqrt()), 1e-9)
            mel = self.mel(sound * max(level, 1.0)).T
            starts = range(0, max(1, len(mel) - WINDOW + STEP + 1), STEP)
            kept = [start for start in starts if len(mel) - start >= LEAST_COVERED * WINDOW] or [0]
            mel = torch.nn.functional.pad(mel, (0, 0, 0, max(0, kept[-1] + WINDOW - len(mel))))
            parts = torch.stack([mel[start : start + WINDOW] for start in kept]).to(self.device)
            found = torch.cat([self._encode(batch) for batch in parts.split(BATCH)]).mean(dim=0)
            return torch.nn.functional.normalize(found, dim=0).cpu().numpy()

    def _encode(self, mels: torch.Tensor) -> torch.Tensor:
        """Return the unit embeddings (windows, 256) of mel spectrograms (windows, frames, 40)."""
        import torch

        _, (hidden, _) = self.lstm(mels)
        return torch.nn.functional.normalize(torch.relu(self.linear(hidden[-1])), dim=1)


class WavLM:
    """WavLM with x-vectors for speaker verification (Chen et al. 2022), from a folder as transformers writes it."""

    def __init__(self, folder: Path, device: torch.device) -> None:
        """Raises FishtuiError if the weights are damaged."""
        import torch

        with loading("transformers"):
            from transformers import Wav2Vec2FeatureExtractor, WavLMForXVector
        self.device = device
        with _damage(folder):
            self.features = Wav2Vec2FeatureExtractor.from_pretrained(folder, local_files_only=True)
            self.model = WavLMForXVector.from_pretrained(folder, local_files_only=True).eval()
            torch.nn.Module.to(self.model, device)

    def embed(self, samples: np.ndarray) -> np.ndarray:
        import torch

        inputs = self.features(samples, sampling_rate=RATE, return_tensors="pt").to(self.device)
        with torch.inference_mode():
            found = self.model(**inputs).embeddings[0]
            return torch.nn.functional.normalize(found, dim=0).float().cpu().numpy()


@contextmanager
def _damage(path: Path) -> Iterator[None]:
    """Turn any error of loading weights into a FishtuiError: damaged bytes lead readers into errors of any kind."""
    try:
        yield
    except Exception as error:
        raise damaged(path, error) from error
