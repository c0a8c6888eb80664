"""Which device and precision a setting stands for on this machine."""

from __future__ import annotations

import torch

from fishtui.errors import MisuseError


def choose_device(setting: str) -> torch.device:
    """The device that `auto`, `cpu`, `cuda` or `cuda:N` stands for. Raises MisuseError if it is not there."""
    if setting == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(setting)
    if device.type == "cuda" and (not torch.cuda.is_available() or (device.index or 0) >= torch.cuda.device_count()):
        raise MisuseError(
            f"there is no GPU {setting} here: torch sees {torch.cuda.device_count()}",
            "Take --set …device=auto, or look at `fishtui doctor`.",
        )
    return device


def choose_precision(setting: str, device: torch.device) -> torch.dtype:
    """float32 or bfloat16; `auto` is bfloat16 on a GPU that computes in it, else float32."""
    if setting == "auto":
        return torch.bfloat16 if device.type == "cuda" and torch.cuda.is_bf16_supported() else torch.float32
    return {"float32": torch.float32, "bfloat16": torch.bfloat16}[setting]
