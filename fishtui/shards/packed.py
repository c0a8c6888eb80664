"""A folder of packed shards: its manifest, and whether it is whole."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TypedDict

import msgspec

from fishtui.errors import DataError
from fishtui.files import discard, write_text
from fishtui.shards.split import VALIDATION

MANIFEST = "manifest.jsonl"
# Where the next packing is written before it takes the place of the last one.
STAGING = ".packing"
# There while one packing takes the place of another: the folder then holds some of both.
MARKER = ".installing"


class ManifestEntry(TypedDict):
    """Where a clip went: numbers from 0 of the shard, the message in it and the sentence in that; its split."""

    clip: str
    speaker: str
    shard: int
    message: int
    sentence: int
    frames: int
    text: str
    split: str


def write_manifest(path: Path, entries: Iterable[ManifestEntry]) -> None:
    """Write one JSON line per clip. Raises FishtuiError."""
    write_text(path, "".join(json.dumps(entry) + "\n" for entry in entries))


def read_manifest(folder: Path) -> list[ManifestEntry]:
    """The manifest of a folder of shards, empty if it has none. Raises DataError if it is damaged."""
    path = folder / MANIFEST
    try:
        # Not msgspec's own reader: names that aren't UTF-8 stand as lone surrogates, which it refuses.
        return [msgspec.convert(json.loads(line), ManifestEntry) for line in path.read_bytes().splitlines()]
    except FileNotFoundError:
        return []
    except (msgspec.MsgspecError, ValueError) as error:
        raise DataError(f"{path} is damaged", "Pack again with `fishtui pack`.") from error


def shard_paths(folder: Path) -> list[Path]:
    """The shards of a folder, in order. Raises DataError if there are none, or two packings are mixed."""
    if (folder / MARKER).exists():
        raise DataError(f"packing into {folder} was broken off", "Finish it with `fishtui pack`.")
    paths = sorted(folder.glob("*.protos"))
    if not paths:
        raise DataError(f"{folder} holds no shards", "Make them with `fishtui pack`.")
    return paths


def held_out_before(folder: Path) -> frozenset[str]:
    """The clips that the last packing held out; none if it left no manifest that can be read."""
    try:
        return frozenset(entry["clip"] for entry in read_manifest(folder) if entry["split"] == VALIDATION)
    except DataError:
        return frozenset()


def install(folder: Path) -> list[Path]:
    """Put the complete packing in the staging folder in place of the last one, its manifest last.

    While this goes on a marker tells readers, who then refuse the mixture.
    """
    staging, marker = folder / STAGING, folder / MARKER
    marker.touch()
    new = sorted(staging.glob("*.protos"))
    for path in new:
        os.replace(path, folder / path.name)
    kept = {path.name for path in new}
    for path in folder.glob("*.protos"):
        if path.name not in kept:
            discard(path)
    os.replace(staging / MANIFEST, folder / MANIFEST)
    staging.rmdir()
    marker.unlink()
    return [folder / name for name in sorted(kept)]
