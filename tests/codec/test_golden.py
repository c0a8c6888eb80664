"""Tests of the codec against values of the published model."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from fishtui.codec.layers import Past
from fishtui.codec.load import load_codec
from fishtui.codec.model import Codec
from tests.golden_data import GOLDEN

# Two entries nearer to each other than this can change places by rounding alone.
TIE = 1e-5


@pytest.fixture(scope="module")
def codec() -> Codec:
    return load_codec(GOLDEN / "checkpoint" / "codec.pth")


@pytest.fixture(scope="module")
def golden() -> dict[str, Tensor]:
    return load_file(GOLDEN / "codec_io.safetensors")


CASES = sorted(json.loads((GOLDEN / "codec_io.json").read_text())["cases"])


def inputs(golden: dict[str, Tensor], case: str) -> tuple[Tensor, Tensor]:
    """Return audio (B, 1, samples) and the clips' lengths."""
    wave = golden[f"{case}.wav_int16" if f"{case}.wav_int16" in golden else f"{case}.wav_int16_padded"]
    audio = (wave.float() / 32768).reshape(-1, 1, wave.shape[-1])
    return audio, golden.get(f"{case}.audio_lengths", torch.full((len(audio),), wave.shape[-1]))


def latents(codec: Codec, audio: Tensor) -> tuple[Tensor, Tensor]:
    """Return the encoder's output and the quantizers' input, channels first as in the golden data."""
    past = Past()
    samples = codec.frames(audio.shape[-1]) * codec.frame_length
    padded = torch.nn.functional.pad(audio, (0, samples - audio.shape[-1])).transpose(1, 2)
    z = codec.encoder(padded, past, samples)
    return z.transpose(1, 2), codec.quantizer.reduce(z, past).transpose(1, 2)


def assert_near(actual: Tensor, expected: Tensor, tolerance: float) -> None:
    assert actual.shape == expected.shape
    assert (actual - expected).abs().max() <= tolerance * expected.abs().max()


@pytest.mark.parametrize("case", CASES)
def test_golden_codes(codec: Codec, golden: dict[str, Tensor], case: str) -> None:
    audio, lengths = inputs(golden, case)
    expected, margin = golden[f"{case}.codes"], golden[f"{case}.vq_margin"]
    counts = golden[f"{case}.feature_lengths"].tolist()
    assert [codec.frames(int(length)) for length in lengths] == counts
    codes = codec.encode(audio, lengths)
    assert codes.dtype == torch.int64
    assert codes.shape == expected.shape
    for clip, want, gap, count in zip(codes, expected, margin, counts, strict=True):
        # After a near tie the residual codes of that frame may differ correctly.
        sure = gap[:, :count].cummin(0).values > TIE
        assert sure.float().mean() > 0.9
        assert torch.equal(clip[:, :count][sure], want[:, :count][sure])
        assert not clip[:, count:].any()


@pytest.mark.parametrize("case", CASES)
def test_golden_latents(codec: Codec, golden: dict[str, Tensor], case: str) -> None:
    z, before_quantizers = latents(codec, inputs(golden, case)[0])
    compared = 0
    for name, actual in (("z", z), ("z_tail48", z[..., -48:]), ("z_pre_vq", before_quantizers)):
        if (expected := golden.get(f"{case}.{name}")) is not None:
            assert_near(actual, expected, 1e-4)
            compared += 1
    assert compared


@pytest.mark.parametrize("case", [*CASES, "random_codes"])
def test_golden_audio(codec: Codec, golden: dict[str, Tensor], case: str) -> None:
    if f"{case}.decoded" not in golden:
        pytest.skip("no decoded audio is stored for it")
    codes = golden[f"{case}.codes"]
    audio = codec.decode(codes.reshape(-1, *codes.shape[-2:]))
    assert_near(audio, golden[f"{case}.decoded"], 5e-4)


def test_golden_input_of_the_decoder(codec: Codec, golden: dict[str, Tensor]) -> None:
    z = codec.quantizer.decode(golden["random_codes.codes"][None], Past())
    assert_near(z.transpose(1, 2), golden["random_codes.z"], 1e-4)
