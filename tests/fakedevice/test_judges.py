"""Judges that compute with torch on a GPU: one wait for each embedding."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from fishtui.judges.encoders import RESEMBLYZER, Resemblyzer, WavLM
from tests.fakedevice.gpu import CUDA, fake_gpu
from tests.tinymodels.wavlm import write_wavlm


def test_a_speaker_is_encoded_on_the_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    # It asks the driver for cuDNN.
    monkeypatch.setattr(torch.nn.LSTM, "flatten_parameters", lambda layer: None)
    with fake_gpu() as gpu:
        encoder = Resemblyzer(RESEMBLYZER, CUDA)
        gpu.waits.clear()
        embedding = encoder.embed(np.ones(48_000, np.float32))
        assert embedding.shape[-1] == 256
        assert gpu.waits["copy"] == 1


def test_a_speaker_is_encoded_by_wavlm_on_the_gpu(tmp_path: Path) -> None:
    folder = write_wavlm(tmp_path)
    with fake_gpu() as gpu:
        encoder = WavLM(folder, CUDA)
        gpu.waits.clear()
        assert encoder.embed(np.ones(48_000, np.float32)).shape == (16,)
        assert gpu.waits["copy"] == 1
