"""Tests of the whole codec: batches, pieces, lengths, precision."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fishtui.codec import model
from fishtui.codec.config import OFFICIAL
from tests.codec.builders import TINY, noise, tiny_codec

CODEC = tiny_codec()
FRAME = TINY.frame_length


@settings(deadline=None, max_examples=30)
@given(lengths=st.lists(st.integers(0, 9 * FRAME), min_size=1, max_size=5), together=st.booleans())
def test_a_clips_codes_are_the_same_alone_and_in_any_batch(lengths, together):
    clips = [noise(1, 1, length, seed=length) for length in lengths]
    # The padding is noise too, because its values must not matter.
    batch = noise(len(clips), 1, max(lengths), seed=99)
    for row, clip in zip(batch, clips, strict=True):
        row[:, : clip.shape[-1]] = clip[0]
    with pytest.MonkeyPatch.context() as patch:
        if together:
            patch.setattr(model, "rows_together", lambda batch, device: batch)
        codes = CODEC.encode(batch, torch.tensor(lengths))
    assert codes.shape == (len(clips), len(TINY.codebook_sizes), CODEC.frames(max(lengths)))
    for row, clip in zip(codes, clips, strict=True):
        frames = CODEC.frames(clip.shape[-1])
        assert torch.equal(row[:, :frames], CODEC.encode(clip)[0])
        assert not row[:, frames:].any()


@settings(deadline=None, max_examples=20)
@given(frames=st.integers(1, 40), piece=st.integers(1, 9), span=st.integers(1, 12))
def test_codes_and_audio_do_not_depend_on_the_pieces(frames, piece, span):
    audio = noise(1, 1, frames * FRAME, seed=frames)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model, "CPU_PIECE", frames)
        patch.setattr(model, "SPAN", frames)
        codes = CODEC.encode(audio)
        decoded = CODEC.decode(codes)
        patch.setattr(model, "CPU_PIECE", piece)
        patch.setattr(model, "SPAN", span)
        assert torch.equal(CODEC.encode(audio), codes)
        assert torch.equal(CODEC.encode_blocks(audio[0, 0].split(3 * FRAME // 2)), codes[0])
        torch.testing.assert_close(CODEC.decode(codes), decoded, rtol=1e-4, atol=1e-4)


def test_frames_round_up():
    assert [CODEC.frames(n) for n in (0, 1, FRAME, FRAME + 1)] == [0, 1, 1, 2]


def test_codes_are_in_their_codebooks_and_differ():
    codes = CODEC.encode(noise(1, 1, 200 * FRAME))
    for row, size in zip(codes[0], TINY.codebook_sizes, strict=True):
        assert row.min() >= 0
        assert row.max() < size
        assert len(row.unique()) > size / 4


def test_decode_reads_a_code_beyond_its_codebook_as_the_last_entry():
    sizes = torch.tensor(TINY.codebook_sizes)[None, :, None]
    last = (sizes - 1).expand(1, -1, 5)
    assert torch.equal(CODEC.decode(last + 7), CODEC.decode(last))


def test_the_nearest_entry_is_the_first_one_on_a_tie():
    quantizer = tiny_codec().quantizer.semantic_quantizer.quantizers[0]
    entries = quantizer.codebook.weight
    entries[9], entries[20] = entries[4] * 2, entries[4]
    z = noise(1, 300, TINY.latent_dim)
    codes = quantizer.encode(z)
    # Only directions matter, not lengths: entries 4, 9 and 20 have the same direction.
    assert not torch.isin(codes, torch.tensor([9, 20])).any()
    point = torch.nn.functional.normalize(z @ quantizer.in_proj.weight[..., 0].T + quantizer.in_proj.bias, dim=-1)
    distance = torch.cdist(point, torch.nn.functional.normalize(entries, dim=-1)[None])
    distance[..., [9, 20]] = torch.inf
    assert torch.equal(codes, distance.argmin(-1))


def test_bfloat16_keeps_the_signal_and_most_semantic_codes():
    half = tiny_codec().prepare(torch.bfloat16)
    audio = noise(1, 1, 60 * FRAME)
    codes = CODEC.encode(audio)
    assert (half.encode(audio)[:, 0] == codes[:, 0]).float().mean() > 0.8
    decoded, rounded = CODEC.decode(codes), half.decode(codes)
    assert rounded.dtype == torch.float32
    assert (decoded - rounded).square().mean() < 0.01 * decoded.square().mean()


def test_quantizers_and_activations_stay_exact_in_bfloat16():
    half = tiny_codec().prepare(torch.bfloat16)
    kept = {name for name, value in half.named_parameters() if value.dtype == torch.float32}
    assert kept == {name for name, _ in half.named_parameters() if ".quantizers." in name or name.endswith("alpha")}


def test_the_official_sizes_give_the_published_rates():
    assert (OFFICIAL.hop_length, OFFICIAL.frame_length) == (512, 2048)
    assert OFFICIAL.codebook_sizes == (4096, *[1024] * 9)


def test_the_published_sizes_that_no_tensor_shows():
    """Wrong ones load without an error, and compute other codes."""
    encoder, quantizer = OFFICIAL.encoder_transformer, OFFICIAL.quantizer_transformer
    assert (OFFICIAL.sample_rate, OFFICIAL.hop_length, OFFICIAL.frame_length) == (44_100, 512, 2048)
    assert (encoder.heads, encoder.head_dim, encoder.window) == (16, 64, 512)
    assert (quantizer.heads, quantizer.head_dim, quantizer.window) == (16, 64, 128)
    assert {(each.rope_base, each.norm_eps) for each in (encoder, quantizer)} == {(10_000.0, 1e-5)}
