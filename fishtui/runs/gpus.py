"""The machine's GPUs as NVML tells of them, by names that CUDA understands too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

VISIBLE = "CUDA_VISIBLE_DEVICES"
# By which CUDA numbers GPUs; NVML does so by their place on the bus.
NUMBERED = "CUDA_DEVICE_ORDER"


@dataclass(frozen=True)
class Gpu:
    """A GPU: `id` as CUDA_VISIBLE_DEVICES takes it, `free` and `total` memory in bytes, `busy` the share of time."""

    id: str
    name: str = ""
    free: int = 0
    total: int = 0
    busy: float | None = None


def list_visible_gpus(environment: Mapping[str, str], there: list[Gpu] | None = None) -> list[Gpu]:
    """The GPUs that a process of this environment may use, in its order; of the machine's, or those `there`.

    There are none without a driver.
    """
    there = list_gpus() if there is None else there
    if VISIBLE not in environment:
        return there
    found = []
    for word in (word.strip() for word in environment[VISIBLE].split(",")):
        gpu = _named(word, there)
        if gpu is None:
            # As CUDA has it: what follows a name that is none doesn't count.
            break
        found.append(gpu)
    return found


def _named(word: str, there: list[Gpu]) -> Gpu | None:
    if word.isdecimal():
        return there[int(word)] if int(word) < len(there) else None
    if word.startswith("MIG-"):
        # A slice of a GPU, of which NVML's list of whole ones knows nothing.
        return Gpu(word) if there else None
    return next((gpu for gpu in there if word and gpu.id.startswith(word)), None)


def list_gpus() -> list[Gpu]:
    """All GPUs of this machine; none where there is no driver."""
    with _nvml() as nvml:
        if nvml is None:
            return []
        return [_describe(nvml, nvml.nvmlDeviceGetHandleByIndex(index)) for index in range(nvml.nvmlDeviceGetCount())]


def _describe(nvml: Any, handle: Any) -> Gpu:
    memory = nvml.nvmlDeviceGetMemoryInfo(handle)
    try:
        busy = nvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100
    except nvml.NVMLError:
        # Where the GPU is sliced.
        busy = None
    return Gpu(nvml.nvmlDeviceGetUUID(handle), nvml.nvmlDeviceGetName(handle), memory.free, memory.total, busy)


@contextmanager
def _nvml() -> Iterator[Any]:
    """NVML, ready to be asked; None without a driver."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        yield None
        return
    try:
        yield pynvml
    finally:
        pynvml.nvmlShutdown()
