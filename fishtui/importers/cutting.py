"""Write clips that are parts of recordings, or in foreign formats, into files of their own before the transfer."""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from fishtui.dataset import FOREIGN_EXTENSIONS
from fishtui.errors import DataError, FishtuiError
from fishtui.files import refuse_full_disk
from fishtui.importers.destination import LocatedClip
from fishtui.importers.extracting import extract
from fishtui.importers.parts import Part, convert, cut_parts
from fishtui.importers.source import FoundClip
from fishtui.names import part_name, safe_name
from fishtui.runs.ledger import Ledger
from fishtui.wording import cannot_write, reason_of

# In bytes: the times of a part follow.
LONGEST_STEM = 150


@contextmanager
def cut_clips(
    clips: Sequence[FoundClip], speakers: Sequence[str], folder: Path, ledger: Ledger
) -> Iterator[list[tuple[str, LocatedClip]]]:
    """Give the body the place and the recording of each clip; parts are cut into `folder`, which is removed at the end.

    Recordings in foreign formats become flac there. Clips whose recording cannot be cut are entered in the ledger.
    Raises FishtuiError if the disk is full.
    """
    located: dict[int, LocatedClip] = {}
    parts: dict[Path, list[tuple[int, Part | None]]] = defaultdict(list)
    for index, clip in enumerate(clips):
        if not is_written(clip):
            located[index] = LocatedClip(clip.audio, speakers[index], clip.text)
        else:
            parts[clip.member.archive if clip.member else clip.audio].append((index, clip.part))
    try:
        for number, (audio, own) in enumerate(parts.items()):
            # One folder for each recording, since several may have one name.
            target = _emptied(folder, number)
            if clips[own[0][0]].member:
                found = extract(audio, {index: clips[index] for index, _ in own}, target, ledger)
                for index, path in found.items():
                    located[index] = LocatedClip(path, speakers[index], clips[index].text, is_cut=True)
                continue
            stem = safe_name(audio.stem, "clip", LONGEST_STEM)
            targets = [
                target / str(index) / (f"{part_name(stem, *part)}.wav" if part else f"{stem}.flac")
                for index, part in own
            ]
            problem = _write(audio, [part for _, part in own], targets)
            for (index, part), path in zip(own, targets, strict=True):
                clip = clips[index]
                if path.exists():
                    located[index] = LocatedClip(
                        path,
                        speakers[index],
                        clip.text,
                        is_cut=True,
                        origin=audio,
                        part=part,
                        confidence=clip.confidence,
                    )
                else:
                    ledger.fail(clip.where, problem)
        yield [(clips[index].where, located[index]) for index in sorted(located)]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def is_written(clip: FoundClip) -> bool:
    """Return True if a clip needs a file of its own: it is a part, in an archive, or in a foreign format."""
    return clip.part is not None or clip.member is not None or clip.audio.suffix.lower() in FOREIGN_EXTENSIONS


def _write(audio: Path, parts: Sequence[Part | None], targets: Sequence[Path]) -> str:
    """Write parts of a recording, None for the whole, into their targets; return why some of these do not exist.

    Raises FishtuiError if the disk is full.
    """
    cut = [(part, target) for part, target in zip(parts, targets, strict=True) if part is not None]
    try:
        if cut:
            cut_parts(audio, [part for part, _ in cut], [target for _, target in cut])
        for part, target in zip(parts, targets, strict=True):
            if part is None:
                convert(audio, target)
    except FishtuiError as error:
        refuse_full_disk(error, 0)
        return error.problem
    except (MemoryError, RuntimeError, ValueError) as error:
        return f"cannot cut: {reason_of(error)}"
    return ""


def _emptied(folder: Path, number: int) -> Path:
    """Return the folder for a recording's parts; remove what a killed import left."""
    if number == 0 and folder.exists():
        shutil.rmtree(folder, ignore_errors=True)
    target = folder / str(number)
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(target, error, DataError) from error
    return target
