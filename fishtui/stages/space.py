"""Disk space that a stage needs at least, from sizes of files, so that a plan that cannot fit is refused at once.

Estimates are low, because a stage whose disk fills up stops cleanly, and one that would fit must not be refused.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from fishtui.checkpoint import CheckpointFolder
from fishtui.dataset import AUDIO_EXTENSIONS, CODES_EXTENSION, PACKED_FOLDER, walk
from fishtui.results.checkpoints import list_checkpoints
from fishtui.settings import TrainSettings

# File systems store small files in blocks of this many bytes.
BLOCK = 4096
# Codes have at least this share of the size of a recording: of 48 kHz, 32 bits and two channels.
CODES_SHARE = 0.004
# A code has 8 bytes in a file of codes, and at least one in a shard.
PACKED_SHARE = 1 / 8


def for_normalized(source: Path, target: Path) -> int:
    """Return bytes for the recordings of `source` that are not in `target` yet: they keep format and length."""
    return sum(
        os.path.getsize(path) for path in _recordings(source) if not (target / path.relative_to(source)).exists()
    )


def for_codes(data: Path) -> int:
    """Return bytes for the codes of recordings that have none."""
    missing = (path for path in _recordings(data) if not path.with_suffix(CODES_EXTENSION).exists())
    return sum(max(BLOCK, int(CODES_SHARE * os.path.getsize(path))) for path in missing)


def for_shards(data: Path) -> int:
    """Return bytes for all codes in shards, which are written before earlier shards are removed."""
    return int(PACKED_SHARE * sum(os.path.getsize(path) for path in _files(data, frozenset({CODES_EXTENSION}))))


def for_checkpoints(folder: Path, base: CheckpointFolder, settings: TrainSettings) -> int:
    """Return bytes for the checkpoints of a training that will be kept: the newest, and one that is being written.

    Earlier checkpoints show their size; without them, those of a full training have the weights of the base.
    """
    saved = [each.path.stat().st_size for each in list_checkpoints(folder) if each.path.exists()]
    full = sum(path.stat().st_size for path in base.weight_files) if settings.method == "full" else 0
    count = min(settings.keep + 1, max(1, settings.max_steps // settings.validate_every))
    return max(0, count - len(saved)) * max([full, *saved[-1:]])


def _recordings(folder: Path) -> Iterator[Path]:
    return _files(folder, AUDIO_EXTENSIONS)


def _files(folder: Path, extensions: frozenset[str]) -> Iterator[Path]:
    for path, names in walk([folder], skipped=(PACKED_FOLDER,)):
        for name in names:
            # A link may lead nowhere.
            if os.path.splitext(name)[1].lower() in extensions and (path / name).is_file():
                yield path / name
