"""slice: clips from long recordings, cut at pauses of the speech."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from fishtui.audio.source import length_of
from fishtui.catalog.cuts import (
    Cut,
    CutClip,
    Source,
    clips_of_source,
    earlier_contents,
    forget_cuts,
    record_cuts,
    recorded_cuts,
)
from fishtui.catalog.filechanges import changing
from fishtui.catalog.scan import scan
from fishtui.catalog.store import Catalog, catalog_exists, path_in
from fishtui.dataset import Clip, clip_named
from fishtui.errors import DataError, FishtuiError
from fishtui.files import refuse_full_disk
from fishtui.gauges import Gauges, gauges_of
from fishtui.names import part_name, safe_name, speaker_folders
from fishtui.project import Project
from fishtui.runs.command import PREVIEW
from fishtui.runs.ledger import Ledger
from fishtui.runs.reporter import Reporter
from fishtui.settings import Settings
from fishtui.stages.recordings import find_recordings, find_subtitled
from fishtui.stages.recut import Plan, plan_cuts
from fishtui.stages.slicework import Job, Task, Written, analyze, crashed, crashed_writing, write_clips
from fishtui.wording import cannot_remove, clock, counted, reason_of
from fishtui.workers import ordered_map, worker_count

# The number of threads of NumPy's library of matrices: the workers have one processor each.
THREADS = "OPENBLAS_NUM_THREADS"
SIDES = ("left", "right")
# In bytes: the times of a clip follow.
LONGEST_STEM = 150
# Speakers that a warning names.
MOST_SHOWN = 3
SUBTITLED = "has subtitles: `fishtui import` makes clips with their text; to cut it here, name the file, not its folder"


def slice_recordings(
    project: Project,
    values: Settings,
    reporter: Reporter,
    *,
    sources: Sequence[Path],
    speaker: str | None = None,
    recut: bool = False,
    dry_run: bool = False,
) -> Ledger:
    """Cut recordings, or all below folders, into clips in the dataset, and record the place of each clip.

    `speaker` is the speaker of all clips; by default that of the folder of each recording. Recordings in a folder that
    have subtitles are left out, because their text would be lost. Clips that were cut before
    are skipped. If other settings would cut them differently, that is only reported, unless `recut` replaces those that
    nobody has worked on. Raises FishtuiError if the disk is full or the catalog cannot be written.
    """
    data = project.path(values.paths.data)
    listed = dict(find_recordings(sources))
    folders = speaker_folders([speaker] if speaker else listed.values())
    subtitled = find_subtitled(listed) - {Path(os.path.abspath(source)) for source in sources}
    # The interface shows it while a form is filled in.
    is_quick = dry_run and PREVIEW in os.environ
    found = [
        Task(path, folders[speaker or own], values.slice, project.activities, dry_run, is_quick)
        for path, own in listed.items()
        if path not in subtitled
    ]
    if not speaker and (shared := sorted({own for own in listed.values() if "/" in own})):
        names = ", ".join(shared[:MOST_SHOWN])
        reporter.warning(f"folders of one name with different parents stay apart: {names}; --speaker joins them")
    ledger = Ledger()
    for path in sorted(subtitled):
        ledger.skip(project.shown(path), SUBTITLED)
    os.environ.setdefault(THREADS, "1")
    work = _Slicing(project, values, reporter, ledger, data, recut, dry_run)
    if dry_run and not catalog_exists(project):
        work.run(found, None)
        return ledger
    if not dry_run:
        _make(data)
    with Catalog(project, data) as catalog:
        if not dry_run:
            scan(catalog, values, reporter)
        work.run(found, catalog)
        if work.has_changed:
            scan(catalog, values, reporter)
            reporter.artifact("dataset", data)
    if ledger.done and not dry_run:
        places = {task.speaker for task in found}
        place = data / places.pop() if len(places) == 1 else data
        clips = f"{counted(ledger.done, 'clip')} in {project.shown(place)}"
        reporter.note(f"{clips}: draft their transcripts with `fishtui transcribe`, then review them")
    return ledger


@dataclass
class _Slicing:
    """One run of the stage."""

    project: Project
    values: Settings
    reporter: Reporter
    ledger: Ledger
    data: Path
    recut: bool
    dry_run: bool
    has_changed: bool = False
    obsolete: list[tuple[str, str, list[CutClip]]] = field(default_factory=list)
    """Clips to replace: the hash of the recording that replaces them, that of theirs, and the clips."""
    incomplete: set[str] = field(default_factory=set)
    """Hashes of recordings of which not all clips could be written."""

    def run(self, tasks: list[Task], catalog: Catalog | None) -> None:
        """Analyze and cut each recording; without a catalog, nothing was cut before."""
        workers = worker_count(self.values.slice.workers)
        with gauges_of(len(tasks)) as gauges:
            tasks = [replace(task, gauge=gauges.gauge(number)) for number, task in enumerate(tasks)]
            progress = _Progress(self.reporter, gauges, tasks)
            jobs = self._jobs(tasks, workers, catalog, progress)
            for written in ordered_map(write_clips, jobs, workers, workers, crashed_writing, waits=progress.show):
                if catalog is not None:
                    self._record(written, catalog)
            progress.end()
        if catalog is not None and self.recut and not self.dry_run:
            self._remove(catalog)

    def _jobs(self, tasks: list[Task], workers: int, catalog: Catalog | None, progress: _Progress) -> Iterator[Job]:
        """Analyze each recording, and yield the clips to write."""
        names = _Names(catalog)
        seconds = 0.0
        few = min(workers, max(len(tasks), 1))
        analyzed = ordered_map(analyze, tasks, few, 2 * workers, crashed, waits=progress.show)
        progress.show()
        for number, (task, found) in enumerate(zip(tasks, analyzed, strict=True)):
            progress.finish(number)
            shown = self.project.shown(task.path)
            for note in found.notes:
                self.reporter.warning(note, shown)
            if found.source is None:
                self._fail(shown, found.problem, found.error)
                continue
            if found.is_unknown:
                self.ledger.skip(shown, f"{clock(length_of(task.path))} not analyzed yet; the run finds its pauses")
                continue
            seconds += found.source.seconds
            for start, end in found.unbroken:
                self.ledger.skip(
                    f"{shown} {clock(start)}-{clock(end)}",
                    f"speech without a pause for more than {self.values.slice.max_seconds:g} s",
                )
            if not found.wanted and not found.unbroken:
                self.ledger.skip(shown, "no speech found")
            yield from self._plan(task, found.source, found.wanted, names, catalog)
        self.ledger.counts = {"recordings": len(tasks), "seconds_read": round(seconds, 1), **self.ledger.counts}

    def _plan(
        self, task: Task, source: Source, wanted: list[Cut], names: _Names, catalog: Catalog | None
    ) -> Iterator[Job]:
        shown = self.project.shown(task.path)
        recorded = recorded_cuts(catalog, source.hash) if catalog else []
        plan = plan_cuts(wanted, recorded, clips_of_source(catalog, source.hash) if catalog else [])
        earlier = [(old, clips_of_source(catalog, old)) for old in earlier_contents(catalog, source)] if catalog else []
        if clips := sum(len(there) for _, there in earlier):
            if not self.recut:
                reason = f"changed since it was cut into {counted(clips, 'clip')}; --recut replaces them"
                self.ledger.skip(shown, reason)
                return
            self.obsolete += [
                (source.hash, old, [each for each in there if not each.is_decided]) for old, there in earlier
            ]
        stem = names.stem(source)
        if catalog is not None and recorded and not self.dry_run:
            # The recording may have another place now.
            record_cuts(catalog, source, [])
        self._skip(plan, stem, shown)
        write = plan.new + (plan.removed + plan.pending if self.recut else [])
        self.obsolete.append((source.hash, source.hash, plan.obsolete))
        if self.dry_run or catalog is None:
            self.ledger.done += len(write)
            return
        for channel in dict.fromkeys(cut.channel for cut in write):
            cuts = [cut for cut in write if cut.channel == channel]
            folder = self.data / (task.speaker if channel is None else f"{task.speaker}-{SIDES[channel]}")
            yield Job(shown, source, cuts, [folder / f"{_name(stem, cut)}.flac" for cut in cuts])

    def _skip(self, plan: Plan, stem: str, shown: str) -> None:
        """Enter the cuts that are not written in the ledger, and report what --recut would do."""
        for cut in plan.known:
            self.ledger.skip(_name(stem, cut), "already cut")
        for cut in () if self.recut else plan.removed:
            self.ledger.skip(_name(stem, cut), "cut before, and removed or changed since; --recut restores it")
        for cut in plan.taken:
            self.ledger.skip(_name(stem, cut), "a clip that was worked on covers part of it")
        if not (plan.pending or plan.obsolete):
            return
        change = f"{counted(len(plan.obsolete), 'clip')} by {len(plan.pending):,}"
        if self.recut:
            self.reporter.note(f"{shown}: {'would replace' if self.dry_run else 'replaces'} {change}")
            return
        for cut in plan.pending:
            self.ledger.skip(_name(stem, cut), "would be cut differently now; --recut replaces the clips")
        self.reporter.warning(f"with these settings, --recut would replace {change}", shown)

    def _record(self, written: Written, catalog: Catalog) -> None:
        """Put clips that were written on record, and enter them in the ledger."""
        job = written.job
        done = [(content, job.cuts[index]) for index, content in written.hashes]
        if done:
            # Also if a later clip failed: clips on record are not written again.
            record_cuts(catalog, job.source, done)
            self.has_changed = True
        self.ledger.done += len(done)
        for index in written.taken:
            self.ledger.skip(job.targets[index].stem, "another file of this name is there")
        if written.error is not None:
            self.incomplete.add(job.source.hash)
            refuse_full_disk(written.error, self.ledger.done)
            known = {index for index, _ in written.hashes} | set(written.taken)
            for index in set(range(len(job.cuts))) - known:
                self.ledger.fail(f"{job.shown} {clock(job.cuts[index].start)}", written.error.problem)

    def _remove(self, catalog: Catalog) -> None:
        """Remove obsolete clips that nobody has worked on, with their codes, where the new ones are written."""
        removed = 0
        with changing(catalog):
            for replacing, source, clips in self.obsolete:
                if replacing in self.incomplete:
                    continue
                # Someone may have worked on one of them while the recording was read; a scan may not have seen that.
                still = {clip.id for clip in clips_of_source(catalog, source) if not clip.is_decided}
                gone = [clip for clip in clips if clip.id in still and not self._files(clip).has_text]
                for clip in gone:
                    path = path_in(catalog, clip.name).with_name(clip.files)
                    try:
                        path.unlink(missing_ok=True)
                        self._files(clip).codes.unlink(missing_ok=True)
                    except OSError as error:
                        raise cannot_remove(path, error) from error
                forget_cuts(catalog, source, [clip.audio_hash for clip in gone])
                removed += len({clip.id for clip in gone})
        if removed:
            self.has_changed = True
            self.ledger.counts["replaced"] = removed

    def _files(self, clip: CutClip) -> Clip:
        return clip_named(self.data, clip.name, self.values.pack.text_extension)

    def _fail(self, shown: str, problem: str, error: FishtuiError | None) -> None:
        if error is not None:
            refuse_full_disk(error, self.ledger.done)
        self.ledger.fail(shown, problem)


class _Progress:
    """The seconds of all recordings that were analyzed, also of those that are being read."""

    def __init__(self, reporter: Reporter, gauges: Gauges, tasks: Sequence[Task]) -> None:
        self._reporter = reporter
        self._gauges = gauges
        self._tasks = tasks
        self._lengths = [max(length_of(task.path), 1.0) for task in tasks]
        self._finished = 0

    def show(self) -> None:
        """Report what was analyzed, and the recording that is read."""
        read = self._gauges.read()[self._finished :]
        known = sum(self._lengths[: self._finished])
        known += sum(min(done, length) for done, length in zip(read, self._lengths[self._finished :], strict=True))
        note = self._tasks[self._finished].path.name if self._finished < len(self._tasks) else "writing clips"
        if 0 < self._finished < len(self._tasks):
            note = f"{self._finished + 1} of {len(self._tasks)}: {note}"
        # The last second is reported when all clips are written.
        self._report(min(int(known), max(self._total - 1, 0)), note)

    def finish(self, number: int) -> None:
        """Report that a recording was analyzed, and all before it."""
        self._finished = number + 1
        self.show()

    def end(self) -> None:
        """Report that all is done."""
        self._report(self._total)

    @property
    def _total(self) -> int:
        return int(sum(self._lengths))

    def _report(self, done: int, note: str = "") -> None:
        self._reporter.progress(done, self._total, "seconds", note)


class _Names:
    """The beginnings of the names of clips: those of two recordings with one name differ."""

    def __init__(self, catalog: Catalog | None) -> None:
        self._owners: dict[str, set[str]] = defaultdict(set)
        for row in catalog.query("SELECT hash, path FROM sources") if catalog else ():
            self._owners[_stem(Path(row["path"]))].add(row["hash"])

    def stem(self, source: Source) -> str:
        """Return the beginning of the names of a recording's clips."""
        stem = _stem(source.path)
        self._owners[stem].add(source.hash)
        return stem if self._owners[stem] == {source.hash} else f"{stem}-{source.hash[:8]}"


def _stem(path: Path) -> str:
    return safe_name(path.stem, "clip", LONGEST_STEM)


def _name(stem: str, cut: Cut) -> str:
    return part_name(stem, cut.start, cut.end)


def _make(data: Path) -> None:
    try:
        data.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(
            f"{data}: cannot create: {reason_of(error)}", "Choose another folder with paths.data.", code="cannot-write"
        ) from error
