"""How fast the codec of the published size turns speech into codes: `python -m tests.bench.codec`.

Each measurement runs in a process of its own, and beside it a plain run of the same network: whole padded batches,
one layer after the other over all of the audio, torch's own conv1d. The weights are random; speed does not see them.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time

import torch
from torch import Tensor
from torch.nn import functional

from fishtui.codec import model
from fishtui.codec.config import OFFICIAL
from fishtui.codec.layers import CausalConv, Past

CLIPS = {1: [8.0], 8: [10.0, 2.0, 4.0, 1.0, 3.0, 5.0, 2.0, 3.0]}
WHOLE = 1 << 30


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


def measure(seconds: list[float], dtype: torch.dtype, plain: bool) -> dict[str, float]:
    """Seconds of audio encoded in one second, and the process's largest memory in bytes."""
    if plain:
        model.CPU_PIECE = model.SPAN = WHOLE
        model.rows_together = lambda batch, device: batch
        CausalConv.forward = plain_convolution
        CausalConv.arrange = lambda layer: None
    codec = random_codec(dtype)
    lengths = torch.tensor([round(length * codec.sample_rate) for length in seconds])
    audio = torch.rand(len(seconds), 1, int(lengths.max())) - 0.5
    codec.encode(audio[:1, :, : codec.sample_rate])
    started = time.perf_counter()
    codec.encode(audio, lengths)
    elapsed = time.perf_counter() - started
    return {"speed": sum(seconds) / elapsed, "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}


def measured_apart(batch: int, dtype: str, plain: bool) -> dict[str, float]:
    arguments = json.dumps({"batch": batch, "dtype": dtype, "plain": plain})
    output = subprocess.run([sys.executable, "-m", __spec__.name, arguments], check=True, stdout=subprocess.PIPE).stdout
    return json.loads(output)


def main() -> None:
    if len(sys.argv) > 1:
        arguments = json.loads(sys.argv[1])
        clips = CLIPS[arguments["batch"]]
        print(json.dumps(measure(clips, getattr(torch, arguments["dtype"]), arguments["plain"])))
        return
    dtypes = ["float32"]
    if torch.ops.mkldnn._is_mkldnn_bf16_supported():
        dtypes.append("bfloat16")
    else:
        print("This CPU has no bfloat16 arithmetic: float32 only.")
    print(f"{'':<18}{'audio s per s':>14}{'plain':>8}{'ratio':>7}{'peak GB':>10}{'plain':>8}")
    for dtype in dtypes:
        for batch in CLIPS:
            ours, plain = (measured_apart(batch, dtype, way) for way in (False, True))
            print(
                f"{dtype + f', batch {batch}':<18}{ours['speed']:>14.2f}{plain['speed']:>8.2f}"
                f"{ours['speed'] / plain['speed']:>7.2f}{ours['memory'] / 1e9:>10.2f}{plain['memory'] / 1e9:>8.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
