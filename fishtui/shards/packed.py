"""A folder of packed shards: its manifest, and its replacement by a new packing."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TypedDict

from fishtui.errors import DataError, MisuseError
from fishtui.files import discard, read_if_present, write_bytes, write_text
from fishtui.reading import Damaged, parse_json, read_lines
from fishtui.shards.split import VALIDATION
from fishtui.wording import cannot_read

MANIFEST = "manifest.jsonl"
# The folder in which the next packing is written before it replaces the last one.
STAGING = ".packing"
# Exists while one packing replaces another: the folder then contains shards of both.
MARKER = ".installing"
# Names the project whose shards they are, in a folder outside of it.
OWNER = ".project"


class ManifestEntry(TypedDict):
    """The position of a clip (shard, message in it, sentence in that, all from 0), and its split."""

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
    """Return the manifest of a folder of shards, empty if it has none. Raises DataError if it is damaged."""
    path = folder / MANIFEST
    try:
        return [parse_json(line or b"", ManifestEntry) for line in read_lines(path)]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise cannot_read(path, error, DataError) from error
    except Damaged as error:
        raise DataError(
            f"{path}: damaged: {error}", "Pack again with `fishtui pack`.", code="damaged-manifest"
        ) from error


def no_manifest(folder: Path) -> MisuseError:
    """Return the error for a folder whose manifest lists no clips, such as one with shards of another tool."""
    return MisuseError(f"{folder}: no manifest of packed clips", "Pack them with `fishtui pack`.", code="no-manifest")


def shard_paths(folder: Path) -> list[Path]:
    """Return the shards of a folder, in order. Raises DataError if it has none, or those of two packings."""
    if (folder / MARKER).exists():
        raise DataError(
            f"{folder}: the packing is not complete", "Run `fishtui pack` again.", code="incomplete-packing"
        )
    paths = sorted(folder.glob("*.protos"))
    if not paths:
        raise DataError(f"{folder}: no shards", "Create them with `fishtui pack`.", code="no-shards")
    return paths


def previous_validation(folder: Path) -> frozenset[str]:
    """Return the validation clips of the last packing; none if its manifest is missing or damaged."""
    try:
        return frozenset(entry["clip"] for entry in read_manifest(folder) if entry["split"] == VALIDATION)
    except DataError:
        return frozenset()


def refuse_foreign(folder: Path) -> None:
    """Raise MisuseError, code `output-in-use`, if a folder has shards or a manifest of another tool."""
    if (folder / MARKER).exists():
        return
    has_shards, has_manifest = any(folder.glob("*.protos")), (folder / MANIFEST).exists()
    foreign = "shards" if has_shards and not has_manifest else ""
    if has_manifest and not has_shards:
        try:
            read_manifest(folder)
        except (DataError, OSError):
            foreign = MANIFEST
    if foreign:
        raise MisuseError(
            f"{folder}: has {foreign} of another tool",
            "Move them to another folder, or give another folder with --output.",
            code="output-in-use",
        )


def refuse_shared(folder: Path, project: Path) -> None:
    """Raise MisuseError, code `output-in-use`, if a folder has shards of another project that still exists."""
    owner = Path(os.fsdecode((read_if_present(folder / OWNER) or b"").strip()))
    if owner.is_absolute() and owner != project.resolve() and owner.is_dir() and any(folder.glob("*.protos")):
        raise MisuseError(
            f"{folder}: has the shards of the project {owner}",
            "Give another folder with --output, or set paths.protos; or remove these shards.",
            code="output-in-use",
        )


def claim(folder: Path, project: Path) -> None:
    """Note in a folder outside of the project whose shards it has. Raises FishtuiError."""
    project = project.resolve()
    if not folder.resolve().is_relative_to(project):
        write_bytes(folder / OWNER, os.fsencode(project) + b"\n")


def install(folder: Path) -> list[Path]:
    """Replace the last packing by the complete one in the staging folder, its manifest last; return the shards.

    Meanwhile a marker exists, and readers refuse the mixture.
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
