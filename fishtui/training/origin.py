"""The origin that each checkpoint records: its base, its training method and its position in the data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from fishtui.errors import CheckpointError
from fishtui.families.registry import known_templates
from fishtui.reading import Damaged, guarded
from fishtui.training.preset import LoraSpec
from fishtui.weights import read_file

KEY = "fishtui"
VERSION = 1


class DataPosition(msgspec.Struct, frozen=True):
    """The next batch: `index` of `epoch`, both from 0, in the data of this fingerprint with this order.

    `first` is the epoch from which the clips that were trained on are counted: the epoch in which this data was new,
    or in which its order changed before every clip had been trained on.
    """

    epoch: int = 0
    index: int = 0
    data: str = ""
    order: dict[str, float] = {}
    first: int = 0


class Origin(msgspec.Struct, frozen=True):
    """The base, method and position of a checkpoint; stored in it under the key `fishtui`."""

    base: str
    base_sha256: str
    method: str
    template: str
    lora: LoraSpec | None
    step: int
    position: DataPosition
    version: int = VERSION


def read_checkpoint(path: Path) -> tuple[Origin, dict[str, Any]]:
    """Return the origin and the whole content of a checkpoint that fishtui trained.

    Raises CheckpointError if it is damaged or comes from another tool.
    """
    content = read_file(path)
    if KEY not in content:
        raise CheckpointError(
            f"{path}: not a checkpoint of `fishtui train`",
            "Give a checkpoint from results/NAME/checkpoints.",
            code="not-a-checkpoint",
        )
    try:
        with guarded():
            origin = msgspec.convert(content[KEY], Origin)
        if not isinstance(content.get("state_dict"), dict):
            raise Damaged("no tensors")
    except Damaged as error:
        raise CheckpointError(
            f"{path}: not a complete checkpoint: {error}", "Update fishtui if a newer version wrote it.", code="damaged"
        ) from error
    if origin.template not in known_templates():
        raise CheckpointError(
            f"{path}: unknown prompt template {origin.template!r}",
            f"Use a checkpoint trained with {' or '.join(known_templates())}.",
            code="unknown-template",
        )
    if origin.version > VERSION:
        raise CheckpointError(f"{path}: written by a newer version of fishtui", "Update fishtui.", code="newer-version")
    return origin, content
