"""`python -m tests.bench kernels`: the work of a GPU, counted on one that does not exist; see `tests.fakedevice.gpu`.

A kernel is an operation of torch that computes something; attention counts as one. Bytes are what these kernels read
and write if none is fused with another. Waits are those of the CPU for the GPU. The models have the published sizes.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch

from fishtui.codec.config import OFFICIAL as CODEC
from fishtui.codec.model import Codec
from fishtui.distributed import Group, Place
from fishtui.families.registry import FAMILIES
from fishtui.lm import generate
from fishtui.lm.config import ModelConfig
from fishtui.lm.generate import Batch, Continuation
from fishtui.lm.model import DualAR
from fishtui.settings import TrainSettings
from fishtui.stages.encoding import DecodedClip, Encoder, EncodeTask
from fishtui.training.batches import PlannedSequence
from fishtui.training.dataset import Example, collate
from fishtui.training.forecast import meta_model
from fishtui.training.module import FineTuning
from tests.fakedevice.gpu import CUDA, Gpu, fake_gpu
from tests.fakedevice.models import OFFICIAL, TINY, Prompts, on_gpu

# Rows of a batch, sequences in a row, and frames of each: 4 × 4,096 tokens, nearly all of them frames.
ROWS, SEQUENCES, FRAMES = 4, 16, 250
# Recordings of a batch and the seconds of each.
CLIPS, SECONDS = 16, 7.5
SAMPLING = next(iter(FAMILIES.values())).sampling()


@dataclass
class Count:
    """The kernels, waits, copies and bytes of one unit of work."""

    operations: Counter[str]
    bytes: Counter[str]
    kernels: float
    waits: float
    uploads: float
    gigabytes: float

    @classmethod
    def of(cls, gpu: Gpu, units: float = 1) -> Count:
        """Return the counts of a GPU divided by the units of work that it did, and start the GPU again from zero."""
        totals = gpu.kernels.total(), gpu.waits.total(), gpu.uploads, gpu.bytes.total() / 1e9
        count = cls(gpu.kernels.copy(), gpu.bytes.copy(), *(total / units for total in totals))
        for counter in (gpu.kernels, gpu.waits, gpu.bytes):
            counter.clear()
        gpu.uploads = 0
        return count


Row = tuple[str, str, Callable[[Gpu], Count]]


def training_step(read: Callable[[], ModelConfig], chosen: dict[str, Any], gpu: Gpu) -> Count:
    """Count a step of training in bfloat16."""
    settings, config = TrainSettings(**chosen), read()
    model = on_gpu(meta_model(settings, config, torch.bfloat16)).train()
    model.gradient_checkpointing = settings.gradient_checkpointing == "on"
    module = FineTuning(model, settings, lambda: None, Group(Place()))  # type: ignore[arg-type,return-value]
    module._device = CUDA
    codes = np.ones((config.num_codebooks, FRAMES), np.int16)
    rows = [[PlannedSequence([0])] * SEQUENCES] * ROWS
    batch = collate(rows, [Example("A/1", "A", "some words", codes, FRAMES)], Prompts(config))  # type: ignore[arg-type]
    optimizer = module.configure_optimizers()["optimizer"]
    # The optimizer makes its state in its first step.
    for parameter in optimizer.param_groups[0]["params"]:
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    optimizer.zero_grad()
    Count.of(gpu)
    batch = module.transfer_batch_to_device(batch, CUDA, 0)
    with torch.autocast("cuda", torch.bfloat16):
        loss = module.training_step(batch, 0)
    loss.backward()
    module.configure_gradient_clipping(optimizer)
    optimizer.step()
    optimizer.zero_grad()
    module.average.take()
    return Count.of(gpu)


def frame(read: Callable[[], ModelConfig], rows: int, compile: bool, gpu: Gpu) -> Count:
    """Count a frame of each of `rows` texts in bfloat16; a captured graph is one kernel."""
    config = read()

    def captured(work: Callable[[], torch.Tensor]) -> Callable[[], torch.Tensor]:
        frames = work()

        def replay() -> torch.Tensor:
            gpu.kernels["graph"] += 1
            return frames

        return replay

    with torch.device("meta"):
        model = DualAR(config, semantic_begin=config.vocab_size - config.codebook_size - 1, im_end=1)
    batch = Batch(on_gpu(model.to(torch.bfloat16)).eval(), SAMPLING, rows=rows, compile=compile)
    for _ in range(rows):
        prompt = torch.zeros(1 + config.num_codebooks, 20, dtype=torch.long)
        batch.add(Continuation(prompt, 50, torch.Generator(CUDA)))
    with mock.patch.object(generate, "_captured", captured):
        batch.step()
        Count.of(gpu)
        batch.step()
    return Count.of(gpu)


def extraction(dtype: torch.dtype, gpu: Gpu) -> Count:
    """Count a second of audio in a batch of recordings."""
    with torch.device("meta"):
        codec = Codec(CODEC)
    length = round(SECONDS * CODEC.sample_rate)
    task = EncodeTask("A/1", Path("a.wav"), Path("a.npy"), SECONDS, CODEC.sample_rate, "best")
    clips = [DecodedClip(task, length=length, samples=np.zeros(length, np.float32))] * CLIPS
    encoder = Encoder(on_gpu(codec).prepare(dtype))
    Count.of(gpu)
    encoder.encode(clips)
    return Count.of(gpu, CLIPS * SECONDS)


def table(models: dict[str, Callable[[], ModelConfig]]) -> Iterator[Row]:
    """Yield name, unit and count of each row."""
    for name, read in models.items():
        for chosen, title in (
            ({"method": "lora", "gradient_checkpointing": "off"}, "LoRA step"),
            ({"method": "lora", "gradient_checkpointing": "on"}, "LoRA step, gradient checkpointing"),
            ({"method": "full", "gradient_checkpointing": "off"}, "full fine-tuning step"),
        ):
            yield f"{name}, {title}", "step", partial(training_step, read, chosen)
        for rows in (1, 8):
            for compile, more in ((False, ""), (True, ", captured graph")):
                yield f"{name}, synthesis, {rows} at once{more}", "frame", partial(frame, read, rows, compile)
    for dtype in (torch.float32, torch.bfloat16):
        yield f"extraction, {str(dtype).removeprefix('torch.')}", "audio s", partial(extraction, dtype)


def main(arguments: list[str]) -> int:
    """Print the table; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench kernels")
    parser.add_argument("--small", action="store_true", help="tiny models, to test the rows")
    parser.add_argument("--only", default="", help="part of the names of the rows to count")
    parser.add_argument("--operations", type=int, default=0, help="most frequent operations to list for each row")
    given = parser.parse_args(arguments)
    print("| what | per | kernels | waits | copies from the CPU | GB |\n|---|---|---:|---:|---:|---:|")
    for name, unit, count in table(TINY if given.small else OFFICIAL):
        if given.only not in name:
            continue
        with fake_gpu() as gpu:
            took = count(gpu)
        print(
            f"| {name} | {unit} | {took.kernels:,.1f} | {took.waits:,.2f} | {took.uploads:,.2f}"
            f" | {took.gigabytes:,.3f} |",
            flush=True,
        )
        for operation, times in took.operations.most_common(given.operations):
            print(f"    {operation} {times:,}, {took.bytes[operation] / 1e9:,.1f} GB")
    return 0
