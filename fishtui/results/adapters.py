"""Exported adapters: peft folders on disk."""

from __future__ import annotations

from pathlib import Path

from fishtui.errors import CheckpointError, MisuseError
from fishtui.wording import exists

PEFT_CONFIG = "adapter_config.json"
GIVE_ADAPTER = "Give a checkpoint from results/NAME/checkpoints, or a peft folder."


def is_peft_folder(path: Path) -> bool:
    """Return True if `path` is a folder that holds a peft adapter."""
    return (path / PEFT_CONFIG).exists()


def check_adapter(path: Path) -> None:
    """Raise CheckpointError unless `path` is a file, or a folder that holds a peft adapter."""
    if not path.exists():
        raise CheckpointError(f"{path}: no such adapter", GIVE_ADAPTER, code="no-adapter")
    if path.is_dir() and not is_peft_folder(path):
        raise CheckpointError(f"{path}: no {PEFT_CONFIG} in the folder", GIVE_ADAPTER, code="not-a-peft-adapter")


def check_export(output: Path, force: bool = False) -> None:
    """Raise MisuseError unless `output` is new, empty, or has a peft adapter and `force` replaces it."""
    if is_peft_folder(output):
        if not force:
            raise exists(output)
    elif output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise MisuseError(f"{output}: not empty, and not a peft adapter", "Use a new folder.", code="output-in-use")
