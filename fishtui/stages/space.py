"""Disk space that a stage needs at least, from sizes of files, so that a plan that cannot fit is refused at once.

Estimates are low, because a stage whose disk fills up stops cleanly, and one that would fit must not be refused.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from fishtui.audio.outputs import FORMATS
from fishtui.checkpoint import CheckpointFolder
from fishtui.dataset import AUDIO_EXTENSIONS, CODES_EXTENSION, PACKED_FOLDER, walk
from fishtui.evaluation.lines import choose_held_out, read_own_lines
from fishtui.evaluation.record import Step, recording_folder
from fishtui.results.checkpoints import Checkpoint, list_checkpoints
from fishtui.results.samples import BASE
from fishtui.settings import EvaluateSettings, TrainSettings
from fishtui.shards.packed import ManifestEntry
from fishtui.training.preset import adapter_parameters, parse_preset

# File systems store small files in blocks of this many bytes.
BLOCK = 4096
# Codes have at least this share of the size of a recording: of 48 kHz, 32 bits and two channels.
CODES_SHARE = 0.004
# A code has 8 bytes in a file of codes, and at least one in a shard.
PACKED_SHARE = 1 / 8
# A parameter of an adapter in float32, with the two moments that the optimizer keeps of it.
TRAINED_BYTES = 3 * 4
# Seconds per character of the fastest speech; bytes per second at 44.1 kHz; the least share that compression leaves.
FASTEST = 0.03
SPEECH_BYTES = 2 * 44_100
COMPRESSED_SHARE = 1 / 20


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

    Earlier checkpoints show their size; the first has the weights of the base, or an adapter and its optimizer's state.
    """
    saved = [each.path.stat().st_size for each in list_checkpoints(folder) if each.path.exists()]
    if settings.method == "full":
        first = sum(path.stat().st_size for path in base.weight_files)
    else:
        first = TRAINED_BYTES * adapter_parameters(base.config(), parse_preset(settings.lora, settings.targets))
    count = min(settings.keep + 1, max(1, settings.max_steps // settings.validate_every))
    return max(0, count - len(saved)) * (saved[-1] if saved else first)


def for_speech(texts: Iterable[str], extension: str = ".wav", longest: float = math.inf) -> int:
    """Return bytes for files with the speech of each text, of at most `longest` seconds."""
    kind, subtype = FORMATS[extension.lower()]
    share = 1 if subtype == "PCM_16" and kind != "FLAC" else COMPRESSED_SHARE
    seconds = (min(FASTEST * len(text), longest) for text in texts)
    return sum(max(BLOCK, int(share * SPEECH_BYTES * each)) for each in seconds)


def for_evaluation(
    results: Path,
    checkpoints: Sequence[Checkpoint],
    entries: Iterable[ManifestEntry],
    own: Path,
    settings: EvaluateSettings,
) -> int:
    """Return bytes for the recordings of an evaluation that the base and the checkpoints of `results` lack.

    Hard lines do not count, because the language of the speakers is not known yet. `own` is the file of the user's.
    """
    texts = [entry["text"] for entry in choose_held_out(entries, settings.lines)] + read_own_lines(own)
    wanted = for_speech(texts)
    steps: list[Step] = [BASE, *(each.step for each in checkpoints)]
    folders = [results / recording_folder(step) for step in steps]
    return sum(max(0, wanted - sum(path.stat().st_size for path in folder.glob("*.wav"))) for folder in folders)


def _recordings(folder: Path) -> Iterator[Path]:
    return _files(folder, AUDIO_EXTENSIONS)


def _files(folder: Path, extensions: frozenset[str]) -> Iterator[Path]:
    for path, names in walk([folder], skipped=(PACKED_FOLDER,)):
        for name in names:
            # A link may lead nowhere.
            if os.path.splitext(name)[1].lower() in extensions and (path / name).is_file():
                yield path / name
