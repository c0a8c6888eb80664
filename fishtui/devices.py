"""The device and precision that a setting selects on this machine."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import torch
from torch import Tensor, nn

from fishtui.wording import missing_device

# From glibc's malloc.h.
M_TRIM_THRESHOLD = -1
M_MMAP_MAX = -4
# Parameters of a model from which the products of one frame are large enough to share between threads.
LARGE_MODEL = 20_000_000


def choose_device(setting: str) -> torch.device:
    """Return the device for `auto`, `cpu`, `cuda` or `cuda:N`. Raises MisuseError if this machine lacks it."""
    if setting == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(setting)
    if device.type == "cuda" and (not torch.cuda.is_available() or (device.index or 0) >= torch.cuda.device_count()):
        raise missing_device(setting, torch.cuda.device_count())
    return device


def choose_precision(setting: str, device: torch.device) -> torch.dtype:
    """Return float32 or bfloat16; `auto` is bfloat16 on a GPU that supports it, otherwise float32."""
    if setting == "auto":
        able = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if able else torch.float32
    return {"float32": torch.float32, "bfloat16": torch.bfloat16}[setting]


def allow_tf32(allowed: bool) -> None:
    """Allow or forbid GPUs to round products to ten bits of mantissa, which is faster but changes codes."""
    torch.backends.cuda.matmul.allow_tf32 = allowed
    torch.backends.cudnn.allow_tf32 = allowed


@contextmanager
def one_thread(wanted: bool = True) -> Iterator[None]:
    """Compute with one thread if `wanted`: small steps gain nothing by more, and wait for them on a busy machine."""
    if not wanted:
        yield
        return
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def is_small(model: nn.Module) -> bool:
    """Return True if a model is on the CPU, and its frames are computed best with one thread."""
    return 0 < sum(each.numel() for each in model.parameters() if each.device.type == "cpu") < LARGE_MODEL


def keep_freed_memory() -> None:
    """Let glibc reuse the memory of freed tensors, for work on the CPU.

    By default each large tensor is mapped and unmapped, and the kernel clears its pages every time, which takes a
    quarter of a training step. Without `mallopt` in the C library this does nothing.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def upload(tensor: Tensor, device: torch.device) -> Tensor:
    """Return the tensor on the device, without waiting for what a GPU does now.

    Copies from memory that is not pinned begin when the GPU has done all earlier work, and the CPU waits for that.
    """
    if device.type == "cuda" and tensor.device.type == "cpu":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)


def free_memory(device: torch.device) -> int:
    """Return the bytes that are free on the device now."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return psutil.virtual_memory().available


def out_of_memory(error: BaseException) -> bool:
    """Return True if an exception means that memory ran out, on the GPU or in the process."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
