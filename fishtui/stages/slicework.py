"""The work of slice on one recording, in worker processes: choose its cuts, and write its clips."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from fishtui.audio.activity import activity_of, activity_path
from fishtui.audio.cuts import CutRules, choose_cuts
from fishtui.audio.cutting import encode_parts
from fishtui.audio.source import length_of, open_source
from fishtui.catalog.cuts import Cut, Source, identify
from fishtui.errors import DataError, FishtuiError
from fishtui.files import read_if_present, state_of, write_bytes
from fishtui.gauges import Gauge
from fishtui.settings import SliceSettings
from fishtui.wording import reason_of
from fishtui.workers import quiet_stderr

# The longest recording that is analyzed for a preview, in seconds.
MOST_QUICK_S = 120.0


@dataclass(frozen=True)
class Task:
    """A recording to analyze; `activities` is the folder of stored activities.

    Nothing is written there if the task `is_dry`. If it `is_quick`, a long recording that is not analyzed yet is left
    out. The `gauge` shows the seconds that were analyzed.
    """

    path: Path
    speaker: str
    settings: SliceSettings
    activities: Path
    is_dry: bool = False
    is_quick: bool = False
    gauge: Gauge | None = None


@dataclass(frozen=True)
class Analyzed:
    """A recording with the cuts that the settings give, and the speech that cannot be cut."""

    source: Source | None = None
    wanted: list[Cut] = field(default_factory=list)
    unbroken: list[tuple[float, float]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    problem: str = ""
    error: FishtuiError | None = None
    is_unknown: bool = False
    """True if the recording was not analyzed, because the task is quick."""


@dataclass(frozen=True)
class Job:
    """Clips of one channel of a recording to write; `shown` names the recording to the user."""

    shown: str
    source: Source
    cuts: list[Cut]
    targets: list[Path]


@dataclass(frozen=True)
class Written:
    """The hash of each clip of a job that was written, or is there already; those taken by other files; an error."""

    job: Job
    hashes: list[tuple[int, str]] = field(default_factory=list)
    taken: list[int] = field(default_factory=list)
    error: FishtuiError | None = None


def analyze(task: Task) -> Analyzed:
    """Return the cuts that the settings give for a recording."""
    quiet_stderr()
    try:
        source = identify(task.path, 0.0)
        channels: list[int | None] = [None]
        notes: list[str] = []
        wanted: list[Cut] = []
        unbroken: list[tuple[float, float]] = []
        seconds = 0.0
        if task.settings.channels == "separate":
            with open_source(task.path) as recording:
                channels = [0, 1] if recording.channels == 2 else [None]
        if task.is_quick and length_of(task.path) > MOST_QUICK_S:
            files = (activity_path(source.hash, task.activities, channel) for channel in channels)
            if not all(path.exists() for path in files):
                return Analyzed(source, is_unknown=True)
        for number, channel in enumerate(channels):
            hears = partial(_show, task, number * seconds, len(channels))
            activity, note = activity_of(task.path, source.hash, task.activities, channel, hears, not task.is_dry)
            notes += [note] if note else []
            cuts = choose_cuts(activity, _rules(task.settings))
            wanted += [Cut(source.hash, start, end, channel) for start, end in cuts.clips]
            unbroken += cuts.unbroken
            seconds = activity.seconds
            if channel is None and activity.has_sides:
                notes.append("its channels have different voices: --channels separate makes a speaker of each")
        if state_of(os.stat(task.path)) != source.state:
            return Analyzed(problem="changed while it was read")
        return Analyzed(Source(source.hash, source.path, source.state, seconds), wanted, unbroken, notes)
    except FishtuiError as error:
        return Analyzed(problem=error.problem, error=error)
    except (MemoryError, RuntimeError, ValueError, OSError) as error:
        return Analyzed(problem=f"cannot analyze: {reason_of(error)}")


def _show(task: Task, before: float, passes: int, seconds: float) -> None:
    """Show how much of a recording was read, which is read once for each channel that is cut by itself."""
    if task.gauge is not None:
        task.gauge.set((before + seconds) / passes)


def _rules(settings: SliceSettings) -> CutRules:
    names = ("min_seconds", "max_seconds", "min_pause", "max_pause", "padding", "threshold")
    return CutRules(**{name: getattr(settings, name) for name in names})


def crashed(task: Task) -> Analyzed:
    """Return the result of a recording whose worker crashed."""
    return Analyzed(problem="the worker process crashed: the file is damaged, or memory ran out")


def write_clips(job: Job) -> Written:
    """Write the clips of a job that are not there yet."""
    quiet_stderr()
    hashes: list[tuple[int, str]] = []
    taken: list[int] = []
    try:
        if state_of(os.stat(job.source.path)) != job.source.state:
            raise DataError("changed while it was cut", "Run slice again.", code="source-changed")
        parts = [(cut.start, cut.end) for cut in job.cuts]
        for index, content in encode_parts(job.source.path, parts, job.cuts[0].channel):
            target = job.targets[index]
            present = read_if_present(target)
            if present is None:
                write_bytes(target, content)
            if present in (None, content):
                hashes.append((index, hashlib.sha256(content).hexdigest()))
            else:
                taken.append(index)
    except FishtuiError as error:
        return Written(job, hashes, taken, error)
    except (MemoryError, RuntimeError, ValueError, OSError) as error:
        return Written(job, hashes, taken, DataError(f"cannot cut: {reason_of(error)}", code="cannot-cut"))
    return Written(job, hashes, taken)


def crashed_writing(job: Job) -> Written:
    """Return the result of a job whose worker crashed."""
    return Written(job, error=DataError("the worker process crashed while it cut", code="cannot-cut"))
