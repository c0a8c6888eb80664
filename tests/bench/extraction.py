"""Encode clips of mixed lengths with a codec of the published size and random weights.

The plain implementation runs the same network on whole padded batches, layer by layer over all of the audio, with
torch's conv1d.
"""

from __future__ import annotations

import time

import torch
from torch import Tensor
from torch.nn import functional

from fishtui.codec import model
from fishtui.codec.config import OFFICIAL
from fishtui.codec.layers import CausalConv, Past
from fishtui.devices import keep_freed_memory

UNIT = "audio s/s"
CLIPS = {1: [8.0], 8: [10.0, 2.0, 4.0, 1.0, 3.0, 5.0, 2.0, 3.0]}
WHOLE = 1 << 30
DTYPES = ["float32"] + ["bfloat16"] * torch.ops.mkldnn._is_mkldnn_bf16_supported()
CASES = [f"{dtype} batch {batch}" for dtype in DTYPES for batch in CLIPS]


def measure(case: str, plain: bool) -> float:
    """Return the seconds of audio encoded per second."""
    dtype, _, batch = case.split()
    if plain:
        model.CPU_PIECE = model.SPAN = WHOLE
        model.rows_together = lambda batch, device: batch
        CausalConv.forward = plain_convolution
        CausalConv.arrange = lambda layer: None
    else:
        keep_freed_memory()
    codec = random_codec(getattr(torch, dtype))
    seconds = CLIPS[int(batch)]
    lengths = torch.tensor([round(length * codec.sample_rate) for length in seconds])
    audio = torch.rand(len(seconds), 1, int(lengths.max())) - 0.5
    codec.encode(audio[:1, :, : codec.sample_rate])
    started = time.perf_counter()
    codec.encode(audio, lengths)
    return sum(seconds) / (time.perf_counter() - started)


def random_codec(dtype: torch.dtype) -> model.Codec:
    with torch.device("meta"):
        codec = model.Codec(OFFICIAL)
    codec.to_empty(device="cpu")
    for parameter in codec.parameters():
        parameter.data.uniform_(0.5, 1.0)
        if parameter.dim() > 1:
            parameter.data.sub_(0.75).mul_(parameter[0].numel() ** -0.5)
    return codec.prepare(dtype)


def plain_convolution(layer: CausalConv, x: Tensor, past: Past) -> Tensor:
    return layer.conv(functional.pad(x.transpose(1, 2), (layer.context, 0))).transpose(1, 2)
