"""What a checkpoint says of itself: of which base it is, how it was made, and where in the data it stands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from fishtui.errors import CheckpointError
from fishtui.lm.prompt import Template
from fishtui.training.lora import LoraSpec
from fishtui.weights import read_file

KEY = "fishtui"
VERSION = 1


class Position(msgspec.Struct, frozen=True):
    """The next batch: `index` of `epoch`, both from 0, in data of this fingerprint in this order.

    `first` is the epoch in which that data was first trained on, or its order last changed before all were seen.
    """

    epoch: int = 0
    index: int = 0
    data: str = ""
    order: dict[str, int] = {}
    first: int = 0


class Origin(msgspec.Struct, frozen=True):
    """Kept in each checkpoint under `fishtui`."""

    base: str
    base_sha256: str
    method: str
    template: Template
    lora: LoraSpec | None
    step: int
    position: Position
    version: int = VERSION


def read_checkpoint(path: Path) -> tuple[Origin, dict[str, Any]]:
    """A checkpoint of ours: its origin, and all that it holds. Raises CheckpointError if it is another's or damaged."""
    content = read_file(path)
    if KEY not in content:
        raise CheckpointError(f"{path} was not written by fishtui", "Give a checkpoint from results/NAME/checkpoints.")
    try:
        origin = msgspec.convert(content[KEY], Origin)
    except msgspec.ValidationError as error:
        raise CheckpointError(f"{path} can't be used: {error}", "It may come from a newer fishtui; update.") from error
    if origin.version > VERSION:
        raise CheckpointError(f"{path} comes from a newer fishtui", "Update fishtui.")
    return origin, content
