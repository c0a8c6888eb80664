"""Manifests of Lhotse: cuts, or recordings and supervisions, as JSON lines, also compressed."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from fishtui.errors import DataError
from fishtui.importers.layout import Clips, FolderLayout, ListedClip, Malformed
from fishtui.reading import LONGEST_LINE, Damaged, parse_json
from fishtui.wording import cannot_read, shortened

ENDINGS = (".jsonl.gz", ".jsonl")
# In kinds of sources of a recording: the others are commands, addresses and bytes.
FILE = "file"
Row = tuple[str, dict[str, Any]]


def is_lhotse(path: Path) -> bool:
    """Return True for a manifest of cuts or supervisions, or a folder with one."""
    return any(True for _ in _manifests(path))


def read_lhotse(path: Path) -> Clips:
    """Yield the supervisions of the manifests in a folder, or of one. Commands are never run. Raises DataError."""
    for manifest in _manifests(path):
        if _kind(manifest) == "cuts":
            yield from _of_cuts(manifest)
        else:
            yield from _of_supervisions(manifest)


def _manifests(path: Path) -> Iterator[Path]:
    """Yield the manifests of cuts; in a folder without one, those of supervisions."""
    if not path.is_dir():
        if path.name.lower().endswith(ENDINGS) and _kind(path):
            yield path
        return
    try:
        paths = sorted(each for each in path.iterdir() if each.name.lower().endswith(ENDINGS) and each.is_file())
    except OSError as error:
        raise cannot_read(path, error, DataError) from error
    kinds = {each: _kind(each) for each in paths}
    cuts = [each for each in paths if kinds[each] == "cuts"]
    yield from cuts or [each for each in paths if kinds[each] == "supervisions"]


def _kind(path: Path) -> str:
    """Return `cuts`, `supervisions` or an empty text, from the first row of a file."""
    try:
        first = next((row for row in _rows(path) if not isinstance(row, Malformed)), None)
    except DataError:
        return ""
    if first is None:
        return ""
    row = first[1]
    if isinstance(row.get("supervisions"), list) and "start" in row:
        return "cuts"
    return "supervisions" if {"recording_id", "start", "duration"} <= row.keys() else ""


def _of_cuts(manifest: Path) -> Clips:
    for row in _rows(manifest):
        if isinstance(row, Malformed):
            yield row
            continue
        where, cut = row
        supervisions = cut.get("supervisions")
        start = _time(cut, "start")
        if cut.get("type", "MonoCut") != "MonoCut" or not isinstance(supervisions, list) or start is None:
            yield Malformed(where, f"not a cut of one recording: {shortened(str(cut.get('type', '')))}")
        elif not supervisions:
            yield Malformed(where, "a cut without text", is_expected=True)
        else:
            for index, supervision in enumerate(supervisions):
                place = where if len(supervisions) == 1 else f"{where}.{index + 1}"
                yield _clip(place, cut.get("recording"), supervision, start)


def _of_supervisions(manifest: Path) -> Clips:
    recordings = _recordings(manifest)
    for row in _rows(manifest):
        if isinstance(row, Malformed):
            yield row
            continue
        where, supervision = row
        identity = supervision.get("recording_id")
        known = recordings.get(identity) if isinstance(identity, str) else None
        if known is None:
            yield Malformed(where, f"no recording {shortened(str(identity))}")
        else:
            yield _clip(where, known, supervision, 0.0)


def _recordings(manifest: Path) -> dict[str, dict[str, Any]]:
    """Return the recordings of the manifests next to one of supervisions, by their names."""
    own = manifest.name.replace("supervisions", "recordings")
    named = [manifest.with_name(own)] if own != manifest.name else []
    found: dict[str, dict[str, Any]] = {}
    for path in [each for each in named if each.is_file()] or _in_folder(manifest):
        for row in _rows(path):
            if not isinstance(row, Malformed) and isinstance(row[1].get("sources"), list):
                found[str(row[1].get("id"))] = row[1]
    return found


def _in_folder(manifest: Path) -> Iterable[Path]:
    return sorted(each for each in manifest.parent.iterdir() if each.name.lower().endswith(ENDINGS))


def _clip(where: str, recording: Any, supervision: Any, offset: float) -> ListedClip | Malformed:
    if not isinstance(recording, dict) or not isinstance(supervision, dict):
        return Malformed(where, "no recording or no text in it")
    sources = recording.get("sources")
    if not isinstance(sources, list) or len(sources) != 1 or not isinstance(sources[0], dict):
        return Malformed(where, "its recording is not one file")
    source, kind = sources[0].get("source"), sources[0].get("type")
    if kind != FILE or not isinstance(source, str):
        return Malformed(
            where, f"its recording is not a file but a {shortened(str(kind), 20)}, which is not run or read"
        )
    channels = sources[0].get("channels")
    if isinstance(channels, list) and len(channels) > 1:
        return Malformed(where, f"one of {len(channels)} channels: write each into a file of its own")
    if recording.get("transforms"):
        return Malformed(where, "its recording is changed by Lhotse: write the changed one into a file")
    start, duration = _time(supervision, "start"), _time(supervision, "duration")
    text, speaker = supervision.get("text"), supervision.get("speaker")
    if start is None or duration is None or not isinstance(text, str):
        return Malformed(where, "no start, duration and text")
    begin = offset + start
    # A cut may begin inside of a sentence.
    if start < 0:
        return Malformed(where, "the cut has only a part of the speech")
    # Times are summed up, so they differ by rounding from the end of the recording.
    return ListedClip(
        where, source, text, speaker if isinstance(speaker, str) else "", round(begin, 6), round(begin + duration, 6)
    )


def _time(row: dict[str, Any], key: str) -> float | None:
    value = row.get(key)
    return float(value) if isinstance(value, int | float) and abs(value) < 1e9 else None


def _rows(path: Path) -> Iterator[Row | Malformed]:
    """Yield place and content of each line. Raises DataError if the file cannot be read."""
    try:
        with gzip.open(path, "rb") if path.name.lower().endswith(".gz") else path.open("rb") as file:
            number = 0
            while line := file.readline(LONGEST_LINE + 1):
                number += 1
                where = f"{path.name}:{number}"
                if len(line) > LONGEST_LINE:
                    yield Malformed(where, "the line is too long")
                    return
                if not line.strip():
                    continue
                try:
                    row = parse_json(line)
                except Damaged as error:
                    yield Malformed(where, f"not JSON: {error}")
                    continue
                yield (where, row) if isinstance(row, dict) else Malformed(where, "not a JSON object")
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot read: {error}", "Copy it again.", code="cannot-read") from error


LHOTSE = FolderLayout(
    "lhotse",
    is_lhotse,
    read_lhotse,
    "Lhotse: cuts.jsonl.gz, or recordings and supervisions",
    takes_files=True,
    counts_unnamed=True,
)
