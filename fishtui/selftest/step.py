"""A LoRA step in memory."""

from __future__ import annotations

import math
import time

import msgspec
import torch
from torch import Tensor

from fishtui.lm.loss import losses
from fishtui.selftest.line import Line
from fishtui.selftest.subject import Subject
from fishtui.settings import TrainSettings
from fishtui.training import memory
from fishtui.training.forecast import meta_model
from fishtui.training.lora import attach, trainable
from fishtui.training.preset import parse_preset
from fishtui.wording import pace, size

# The estimate of the memory is within this share of a step.
TOLERANCE = 1.15
# On a CPU one short row shows the same faults, and takes seconds instead of minutes.
CPU_ROWS, CPU_LENGTH = 1, 256


def check_step(subject: Subject) -> Line:
    """Take two LoRA steps as `train` does, on rows of the clips; the second one is timed. The model keeps adapters."""
    subject.clock.check()
    device, precision = subject.device, subject.voice.precision
    wanted = msgspec.structs.replace(subject.settings.train, method="lora")
    if device.type == "cpu":
        wanted = msgspec.structs.replace(wanted, batch_size=CPU_ROWS, max_length=CPU_LENGTH)
    inputs, labels = _rows(subject, wanted)
    # The encoder is not needed, and the memory is measured.
    subject.voice.__dict__.pop("codec", None)
    if device.type == "cuda":
        torch.cuda.empty_cache()
    wanted = msgspec.structs.replace(wanted, max_length=inputs.shape[-1])
    choice = memory.choose(meta_model(wanted, subject.model.config, precision), wanted, device, precision)
    held = sum(parameter.numel() * parameter.element_size() for parameter in subject.model.parameters())
    if choice.needed - held > choice.free:
        return Line(
            name="step",
            state="warn",
            found=f"not done: a batch of {wanted.batch_size} × {wanted.max_length:,} tokens needs about"
            f" {size(choice.needed)}, and {size(choice.free + held)} may be used",
            remedy="Lower train.batch_size, and raise train.accumulate.",
            figures={"estimated_bytes": float(choice.needed)},
        )
    loss, norm, seconds, peak = _steps(subject, wanted, inputs, labels, choice.checkpointing)
    tokens = inputs.shape[0] * inputs.shape[-1]
    finite = math.isfinite(loss) and math.isfinite(norm)
    within = peak is None or peak <= TOLERANCE * choice.needed
    used = "memory is not measured on a CPU" if peak is None else f"{size(peak)} of an estimated {size(choice.needed)}"
    return Line(
        name="step",
        state="fail" if not finite else "pass" if within else "warn",
        found=f"loss {loss:.2f}, gradient norm {norm:.2g} on {inputs.shape[0]} × {inputs.shape[-1]:,} tokens,"
        f" {pace(tokens / seconds, 'tokens')}; {used}",
        remedy="Set train.precision=float32, and check the files of the model."
        if not finite
        else ""
        if within
        else "Leave more memory free than `train --dry-run` forecasts.",
        figures={"loss": loss, "estimated_bytes": float(choice.needed), "tokens_per_second": tokens / seconds}
        | ({} if peak is None else {"peak_bytes": float(peak)}),
    )


def _rows(subject: Subject, wanted: TrainSettings) -> tuple[Tensor, Tensor]:
    """Return inputs and labels, int64 (B, rows, S), that are filled with the clips again and again."""
    prompts = subject.voice.prompts
    clips = list(zip(subject.texts, subject.codes, strict=True))
    length = min(wanted.max_length, subject.model.config.max_seq_len)
    taken = clips[:1]
    while sum(prompts.sequence_length(each) for each in [*taken, clips[len(taken) % len(clips)]]) <= length:
        taken.append(clips[len(taken) % len(clips)])
    pair = prompts.training_sequence(taken)
    inputs, labels = (torch.from_numpy(each)[None].repeat(wanted.batch_size, 1, 1) for each in pair)
    return inputs.to(subject.device), labels.to(subject.device)


def _steps(
    subject: Subject, wanted: TrainSettings, inputs: Tensor, labels: Tensor, checkpointing: bool
) -> tuple[float, float, float, int | None]:
    """Return the first loss and gradient norm, the seconds of the second step, and on a GPU the peak in bytes."""
    device, model = subject.device, subject.model
    attach(model, parse_preset(wanted.lora, wanted.targets, wanted.dropout))
    model.train()
    model.gradient_checkpointing = checkpointing
    parameters = list(trainable(model).values())
    optimizer = torch.optim.AdamW(parameters, lr=wanted.learning_rate)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    found = []
    since = time.perf_counter()
    try:
        for _ in range(2):
            subject.clock.check()
            subject.wait()
            since = time.perf_counter()
            with torch.autocast(device.type, torch.bfloat16, enabled=subject.voice.precision == torch.bfloat16):
                part = losses(model, inputs, labels)
            part.total.backward()
            norm = float(torch.nn.utils.clip_grad_norm_(parameters, wanted.clip_norm))
            optimizer.step()
            optimizer.zero_grad()
            subject.wait()
            found.append((float(part.total.detach()), norm))
    finally:
        model.eval()
    seconds = time.perf_counter() - since
    peak = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None
    return *found[0], seconds, peak
