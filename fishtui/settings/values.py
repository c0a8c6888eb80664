"""The types of values that several settings have, and the base of the sections."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

Device = Annotated[
    str,
    Meta(
        pattern=r"^(auto|cpu|cuda(:\d+)?)$",
        description="device to compute on; auto takes a GPU if there is one",
        extra={"metavar": "auto|cpu|cuda|cuda:N"},
    ),
]
AtLeastOne = Annotated[int, Meta(ge=1)]
NotNegative = Annotated[int, Meta(ge=0)]
Share = Annotated[float, Meta(ge=0, le=1)]
# A path that must exist before a stage uses it.
Folder = Annotated[str, Meta(min_length=1, extra={"metavar": "DIRECTORY", "is_path": True})]
OptionalPath = Annotated[str, Meta(extra={"metavar": "PATH", "is_path": True})]
Positive = Annotated[float, Meta(gt=0)]
NotBelowZero = Annotated[float, Meta(ge=0)]


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of the settings file."""
