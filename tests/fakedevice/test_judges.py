"""Judges that compute with torch on a GPU: one wait for each embedding."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fishtui.judges.encoders import RESEMBLYZER, Resemblyzer
from tests.fakedevice.gpu import CUDA, fake_gpu


def test_a_speaker_is_encoded_on_the_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    # It asks the driver for cuDNN.
    monkeypatch.setattr(torch.nn.LSTM, "flatten_parameters", lambda layer: None)
    with fake_gpu() as gpu:
        encoder = Resemblyzer(RESEMBLYZER, CUDA)
        gpu.waits.clear()
        embedding = encoder.embed(np.ones(48_000, np.float32))
        assert embedding.shape[-1] == 256
        assert gpu.waits["copy"] == 1
