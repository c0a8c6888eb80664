"""Extraction and decoding on a GPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from fishtui.codec.config import OFFICIAL, CodecConfig
from fishtui.codec.model import Codec
from fishtui.stages.encoding import DecodedClip, Encoder, EncodeTask
from tests.codec.builders import TINY
from tests.fakedevice.gpu import fake_gpu
from tests.fakedevice.models import on_gpu

SECONDS = (2.0, 0.7, 0.01)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("config", [TINY, OFFICIAL], ids=["tiny", "published"])
def test_recordings_are_encoded_and_decoded_on_the_gpu(config: CodecConfig, dtype: torch.dtype) -> None:
    with torch.device("meta"):
        codec = Codec(config)
    with fake_gpu() as gpu:
        codec = on_gpu(codec).prepare(dtype)
        rate = config.sample_rate
        clips = [
            DecodedClip(
                EncodeTask("A/1", Path("a.wav"), Path("a.npy"), seconds, rate, "best"),
                length=round(seconds * rate),
                samples=np.zeros(round(seconds * rate), np.float32),
            )
            for seconds in SECONDS
        ]
        codes = Encoder(codec).encode(clips)
        codebooks = len(config.codebook_sizes)
        assert [each.shape for each in codes if each is not None] == [
            (codebooks, codec.frames(clip.length)) for clip in clips
        ]
        # The CPU waits for the codes only.
        assert gpu.waits == {"copy": 1}
        gpu.waits.clear()
        audio = codec.decode(torch.zeros(2, codebooks, 40, dtype=torch.long, device="cuda"))
        assert (audio.shape, audio.device.type) == ((2, 1, 40 * codec.frame_length), "cuda")
        assert not gpu.waits
