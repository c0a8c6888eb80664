"""normalize: copies of all clips at one loudness, in another folder."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np

from fishtui.audio.decode import mix
from fishtui.audio.encode import write_blocks
from fishtui.audio.loudness import LoudnessMeter, exceeds, gain_to, scaled
from fishtui.audio.recording import Recording, open_recording
from fishtui.catalog.copies import keeping_marks
from fishtui.dataset import AUDIO_EXTENSIONS, CODES_EXTENSION, PACKED_FOLDER, TEXT_EXTENSIONS, Clip
from fishtui.errors import DataError, FishtuiError, MisuseError
from fishtui.files import (
    check_no_overlap,
    hash_file,
    keep_unknown,
    read_if_present,
    refuse_full_disk,
    write_bytes,
)
from fishtui.project import Project
from fishtui.reading import NOTE, Damaged, read_bounded
from fishtui.runs.ledger import Ledger
from fishtui.runs.reporter import Reporter
from fishtui.settings import NormalizeSettings, Settings
from fishtui.stages.excluded import find_recordings
from fishtui.wording import cannot_remove, reason_of
from fishtui.workers import ordered_map, worker_count

CLEANED = "Name the folder of a dataset: --clean empties it."


@dataclass(frozen=True)
class _Task:
    clip: Clip
    source: Path
    target: Path
    settings: NormalizeSettings
    made: Path
    kept: Path


@dataclass(frozen=True)
class _Outcome:
    problem: str = ""
    error: FishtuiError | None = None
    limited: bool = False
    kept_text: bool = False
    kept_audio: Path | None = None
    seconds: float = 0.0


def normalize(
    project: Project,
    values: Settings,
    reporter: Reporter,
    *,
    source: Path,
    target: Path,
    clean: bool,
    dry_run: bool = False,
) -> Ledger:
    """Write every clip of `source` to `target` at the target loudness, with transcripts, in the same folders.

    The loudness is that of the mean of the channels, which the model hears. Format, channels and sample rate stay the
    same; if one channel would exceed the peak limit, all get the mean. `source` is only read. A different transcript in
    `target` is kept, since it may be a correction. A copy is kept of a recording that normalize did not write, or that
    was changed since. Copies keep the marks of drafts and cuts. `clean` empties `target` first. Raises MisuseError if
    the two folders overlap, or `target` has more in it than a dataset, FishtuiError if the disk takes no more files.
    """
    check_no_overlap(source, target)
    ledger = Ledger()
    clips = find_recordings(source, values.pack.text_extension, ledger)
    _refuse_links(source, target, [audio for _, audio in clips])
    if clean:
        _refuse_emptying(target, project, values.pack.text_extension)
    settings = values.normalize
    tasks = [
        _Task(clip, audio, target / audio.relative_to(source), settings, project.normalized, project.kept)
        for clip, audio in clips
    ]
    if dry_run:
        ledger.done = len(tasks)
        return ledger
    if clean:
        _empty(target)
    workers = worker_count(settings.workers)
    limited, seconds = 0, 0.0
    outcomes = ordered_map(_normalize_clip, tasks, workers, 4 * workers, _crashed)
    with keeping_marks(project, values) as keep:
        for number, (task, outcome) in enumerate(zip(tasks, outcomes, strict=True)):
            if outcome.problem:
                if outcome.error is not None:
                    refuse_full_disk(outcome.error, ledger.done)
                ledger.fail(task.clip.name, outcome.problem)
            else:
                keep(task.source, task.target)
                ledger.done += 1
                seconds += outcome.seconds
            limited += outcome.limited
            for warning in _warnings(project, task, outcome):
                reporter.warning(warning, task.clip.name)
            reporter.progress(number + 1, len(tasks))
    ledger.counts = {"limited": limited, "seconds": round(seconds, 3)}
    reporter.artifact("dataset", target)
    return ledger


def _warnings(project: Project, task: _Task, outcome: _Outcome) -> Iterator[str]:
    if outcome.limited:
        yield f"limited to {task.settings.peak:g} dBFS: quieter than {task.settings.loudness:g} LUFS"
    if outcome.kept_text:
        yield f"kept the transcript in {task.target.parent}, which differs from the source (--clean replaces it)"
    if outcome.kept_audio is not None:
        yield f"{task.target.name} was not made by normalize; kept as {project.shown(outcome.kept_audio)}"


def _normalize_clip(task: _Task) -> _Outcome:
    try:
        with open_recording(task.source) as recording:
            header = recording.header
            loudness, highest, highest_mean = _measure(recording)
            if not math.isfinite(loudness):
                return _Outcome("silent: it has no loudness")
            gain = gain_to(loudness, highest_mean, task.settings.loudness, task.settings.peak)
            mixed = exceeds(gain, highest, task.settings.peak)
            # The transcript is written first, so that a clip in the target always has one.
            kept = False
            if task.clip.has_text:
                kept = not _carry(task.clip.transcript, task.target.with_name(task.clip.transcript.name))
            blocks = (scaled(block, gain, mixed) for block in recording.blocks())
            kept_audio = keep_unknown(task.target, _made_before(task.made).__contains__, task.kept)
            note = partial(_note_made, task.made)
            write_blocks(task.target, blocks, header.rate, header.channels, header.format, header.subtype, note)
    except FishtuiError as error:
        return _Outcome(error.problem, error)
    except (MemoryError, RuntimeError, ValueError) as error:
        return _Outcome(f"cannot measure or write: {reason_of(error)}")
    return _Outcome(limited=gain.limited, kept_text=kept, kept_audio=kept_audio, seconds=header.seconds)


@cache
def _made_before(made: Path) -> frozenset[str]:
    """The hashes of the recordings that this project's normalize had written when this process began."""
    return frozenset((read_if_present(made) or b"").decode(errors="replace").split())


def _note_made(made: Path, recording: Path) -> None:
    """Note that normalize writes a recording; one line is one write, so that processes do not mix them."""
    found = hash_file(recording)
    if found not in _made_before(made):
        made.parent.mkdir(parents=True, exist_ok=True)
        with made.open("ab", buffering=0) as file:
            file.write(f"{found}\n".encode())


def _measure(recording: Recording) -> tuple[float, float, float]:
    """Loudness of the mean of the channels in LUFS, and the highest samples of all channels and of the mean."""
    meter = LoudnessMeter(recording.header.rate)
    highest = highest_mean = 0.0
    for block in recording.blocks():
        mono = mix(block)
        meter.add(mono)
        highest = max(highest, float(np.abs(block).max()))
        highest_mean = max(highest_mean, float(np.abs(mono).max()))
    return meter.loudness(), highest, highest_mean


def _crashed(task: _Task) -> _Outcome:
    return _Outcome("the worker process crashed: the file is damaged, or memory ran out")


def _carry(source: Path, target: Path) -> bool:
    """Copy a transcript; return False if the target has a different one, which is kept."""
    try:
        content = read_bounded(source, NOTE)
        if target.exists():
            return read_bounded(target, NOTE) == content
    except (OSError, Damaged) as error:
        raise DataError(
            f"cannot read the transcript: {reason_of(error)}",
            f"Check the permissions of {source.name}.",
            code="cannot-read",
        ) from error
    write_bytes(target, content)
    return True


def _refuse_links(source: Path, target: Path, recordings: list[Path]) -> None:
    """Raise MisuseError if, through links, a recording is in the target or a target folder in the source."""
    # `resolve` fails on circular links, which decoding reports.
    originals = {Path(os.path.realpath(path)) for path in recordings}
    kept, emptied = Path(os.path.realpath(source)), Path(os.path.realpath(target))
    for path in recordings:
        landing = Path(os.path.realpath((target / path.relative_to(source)).parent), path.name)
        if emptied in Path(os.path.realpath(path)).parents or landing in originals or kept in landing.parents:
            raise MisuseError(
                f"{path}: {source} and {target} overlap through links",
                "Name a target that shares no folder with the source.",
                code="linked-overlap",
            )


def _refuse_emptying(target: Path, project: Project, text_extension: str) -> None:
    """Raise MisuseError if `target` has more in it than a dataset."""
    resolved = target.resolve()
    if resolved == project.root or resolved in project.root.parents or Project(resolved).settings_file.exists():
        raise MisuseError(f"{target}: a whole project", CLEANED, code="not-a-dataset")
    if resolved in (project.checkpoints, project.results, project.state) or resolved.parent in (
        project.state,
        project.checkpoints,
    ):
        raise MisuseError(f"{target}: not a dataset", CLEANED, code="not-a-dataset")
    if (other := next(_other_files(target, text_extension), None)) is not None:
        raise MisuseError(f"{other}: not a file of a dataset", f"Move it away first. {CLEANED}", code="not-a-dataset")


def _other_files(target: Path, text_extension: str) -> Iterator[Path]:
    """Yield the files below `target`, apart from hidden ones, that are not of clips and shards."""
    # Normalize writes no foreign formats, so those are not its own.
    usual = {*AUDIO_EXTENSIONS, *TEXT_EXTENSIONS, text_extension.lower()}
    for folder, _, names in os.walk(target):
        clips = {os.path.splitext(name)[0] for name in names if os.path.splitext(name)[1].lower() in usual}
        for name in names:
            stem, extension = os.path.splitext(name)
            is_codes = extension == CODES_EXTENSION and stem in clips
            is_packed = PACKED_FOLDER in Path(folder).relative_to(target).parts
            if not (name.startswith(".") or extension.lower() in usual or is_codes or is_packed):
                yield Path(folder, name)


def _empty(target: Path) -> None:
    if not target.is_dir():
        return
    try:
        for entry in os.scandir(target):
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path)
            else:
                os.unlink(entry.path)
    except OSError as error:
        raise cannot_remove(error.filename or target, error) from error
