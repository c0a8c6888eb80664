"""The machine's GPUs, from NVML, with ids that CUDA accepts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fishtui.wording import missing_device

VISIBLE = "CUDA_VISIBLE_DEVICES"
# The order in which CUDA numbers GPUs; NVML numbers them by PCI bus id.
NUMBERED = "CUDA_DEVICE_ORDER"
# Of the drivers of AMD, of Windows below WSL, and of NVIDIA's Tegra: torch may find GPUs there that NVML does not know.
OTHER_DRIVERS = tuple(map(Path, ("/dev/kfd", "/dev/dxg", "/dev/nvmap")))


@dataclass(frozen=True)
class Gpu:
    """A GPU: `id` for CUDA_VISIBLE_DEVICES, `free` and `total` memory in bytes, `busy` the share of time in use."""

    id: str
    name: str = ""
    free: int = 0
    total: int = 0
    busy: float | None = None


def list_visible_gpus(environment: Mapping[str, str], there: list[Gpu] | None = None) -> list[Gpu]:
    """Return the GPUs that a process with this environment may use, in its order, of the machine's or those `there`.

    The list is empty without a driver.
    """
    there = list_gpus() if there is None else there
    if VISIBLE not in environment:
        return there
    found = []
    for word in (word.strip() for word in environment[VISIBLE].split(",")):
        gpu = _named(word, there)
        if gpu is None:
            # CUDA ignores everything after an invalid name.
            break
        found.append(gpu)
    return found


def check_device(setting: str, environment: Mapping[str, str]) -> None:
    """Raise MisuseError if a `cuda` device is certainly absent. This does not load torch, which decides later."""
    kind, _, number = setting.partition(":")
    if kind != "cuda":
        return
    there = list_visible_gpus(environment)
    if int(number or 0) >= len(there) and not any(path.exists() for path in OTHER_DRIVERS):
        raise missing_device(setting, len(there))


def _named(word: str, there: list[Gpu]) -> Gpu | None:
    if word.isdecimal():
        return there[int(word)] if int(word) < len(there) else None
    if word.startswith("MIG-"):
        # A slice of a GPU: NVML lists whole ones only.
        return Gpu(word) if there else None
    return next((gpu for gpu in there if word and gpu.id.startswith(word)), None)


def list_gpus() -> list[Gpu]:
    """Return all GPUs of this machine; an empty list without a driver."""
    with _nvml() as nvml:
        if nvml is None:
            return []
        return [_describe(nvml, nvml.nvmlDeviceGetHandleByIndex(index)) for index in range(nvml.nvmlDeviceGetCount())]


def _describe(nvml: Any, handle: Any) -> Gpu:
    memory = nvml.nvmlDeviceGetMemoryInfo(handle)
    try:
        busy = nvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100
    except nvml.NVMLError:
        # Not available for a GPU that is divided by MIG.
        busy = None
    return Gpu(nvml.nvmlDeviceGetUUID(handle), nvml.nvmlDeviceGetName(handle), memory.free, memory.total, busy)


@contextmanager
def _nvml() -> Iterator[Any]:
    """Yield NVML, initialized; None without a driver."""
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
