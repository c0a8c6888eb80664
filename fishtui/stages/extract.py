"""extract: compute the codec's codes of every clip, as `clip.npy` next to `clip.wav`."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np

from fishtui import distributed
from fishtui.audio.probe import probe_seconds
from fishtui.checkpoint import codec_files
from fishtui.codec.config import read_config, sizes_file
from fishtui.codehash import code_hash
from fishtui.codes import Journal, Source, is_current, keep_foreign, part_of, store
from fishtui.dataset import Clip
from fishtui.distributed import Group, Place
from fishtui.errors import CheckpointError, FishtuiError
from fishtui.filehashes import FileHashes
from fishtui.files import refuse_full_disk
from fishtui.memory import without_collecting
from fishtui.project import Project
from fishtui.runs.ledger import Ledger
from fishtui.runs.reporter import Reporter
from fishtui.settings import ExtractSettings, Settings
from fishtui.stages.encoding import CODE, DecodedClip, EncodeTask, decode_batches, load_encoder
from fishtui.stages.excluded import excluded, find_recordings
from fishtui.stages.refresh import refresh_catalog
from fishtui.wording import cannot_read, missing_checkpoint_file
from fishtui.workers import worker_count

# The names that journals have for versions of the code: versions with one name compute the same codes. A version that
# is not listed has its hash as its name, so that codes of any other version are out of date.
VERSIONS = {
    "426f152de1caf729cd60d2a3c19cb2e819548269b90a9ded45d487dc9d14718a": "1",
    "27a3ad5ffcd7725121dde84bcb07653b6251983d9198eabde2826e3bc126c4c2": "1",
    "68e0172b1ae206d9442f6276c69b96e7c6910c3ec810272e6539cbbb7e67027a": "1",
    "8420405f405fb2418ef0226e070c140d9b74f134367c99ad1da271422b5f05b8": "1",
    "20252385f4933ea82c769e10a5628649c05c25f219ff649eab4ce33264d70ee1": "1",
    "afa81e99a2b52eb3aed05730cc1ed15799d6c4ebfadac7083497f8d6982d37e9": "1",
    "05a09fa5683f6c695a10760b851f9bb7b1c942c930ebed0ceeb90d7f52ce6644": "1",
}

# Threads that write codes: a disk confirms several files in about the time of one.
WRITERS = 4
# Processes that decode for one GPU: it encodes several hundred times as fast as the audio is long.
GPU_DECODERS = 8

Item = TypeVar("Item")


def extract(
    project: Project,
    values: Settings,
    reporter: Reporter,
    *,
    data: Path,
    checkpoint: Path,
    dry_run: bool = False,
) -> Ledger:
    """Write the codes of every clip in `data` whose codes are missing, damaged or out of date.

    In the project's own dataset, clips that are rejected or have errors are excluded. `checkpoint` is the codec's
    file. Raises FishtuiError if `data` holds no audio, or the disk is full; CheckpointError if the codec is missing or
    damaged.

    Under torchrun or srun the processes share the clips. The first process decides which clips to encode, and returns
    the ledger of all processes.
    """
    if dry_run:
        job = ExtractionJob(project, values, reporter, data, checkpoint, Group(Place()), Journal(project.codes_journal))
        plan = _plan(job, dry_run=True)
        plan.ledger.done = len(plan.tasks)
        return plan.ledger
    place = distributed.read_place()
    distributed.check_processes(place, "extract", values.extract.devices, values.extract.nodes)
    with distributed.join_group(place) as group:
        reporter = reporter if group.first else Reporter()
        journal = Journal(part_of(project.codes_journal, place.rank), tidy=group.first)
        job = ExtractionJob(project, values, reporter, data, checkpoint, group, journal)
        if group.first:
            refresh_catalog(project, values, reporter, data)
        plan = group.share(_plan(job) if group.first else ExtractionPlan())
        ledgers = group.gather(_encode(job, plan, deal(plan.tasks, place)))
        if group.first and place.world > 1:
            # Merges the journals of the other processes.
            Journal(project.codes_journal, tidy=True)
            reporter.progress(len(plan.tasks), len(plan.tasks))
        return _merge_ledgers(plan, ledgers, reporter)


@dataclass(frozen=True)
class ExtractionJob:
    """One extraction, as one of its processes sees it; only the first process has a reporter that records."""

    project: Project
    values: Settings
    reporter: Reporter
    data: Path
    checkpoint: Path
    group: Group
    journal: Journal

    @property
    def settings(self) -> ExtractSettings:
        return self.values.extract


_Written = tuple[DecodedClip, Future[int] | str]
"""A recording, and the number of frames once its codes are written, or the problem with it."""


@dataclass(frozen=True)
class ExtractionPlan:
    """The clips to encode, the longest first, and the ledger of all other clips."""

    tasks: list[EncodeTask] = field(default_factory=list)
    ledger: Ledger = field(default_factory=Ledger)
    codec_hash: str = ""
    recipe: str = ""


def recipe(settings: ExtractSettings) -> str:
    """Return what codes depend on besides audio and codec: the version of the code, the filter and the precision."""
    code = code_hash(*CODE)
    return f"{VERSIONS.get(code, code)}/{settings.resampler}/{settings.precision}"


def deal(tasks: Sequence[Item], place: Place) -> Sequence[Item]:
    """Return every n-th of the tasks, longest first, so that n processes have about as much audio each."""
    return tasks[place.rank :: place.world]


@without_collecting()
def _plan(job: ExtractionJob, dry_run: bool = False) -> ExtractionPlan:
    """Return the clips to encode, according to the catalog; with `dry_run`, the codec's file may be missing."""
    checkpoint, settings = job.checkpoint, job.settings
    ledger = Ledger()
    without = excluded(job.project, job.values, job.data)
    clips = find_recordings(job.data, job.values.pack.text_extension, ledger, without)
    if not checkpoint.is_file() and not dry_run:
        raise missing_checkpoint_file(checkpoint)
    sizes = read_config(sizes_file(checkpoint))
    codec_hash = _hash_codec(job)
    made_by = codec_hash, recipe(settings), sizes.codebook_sizes

    tasks: list[EncodeTask] = []
    for number, (clip, audio) in enumerate(clips):
        current = partial(is_current, job.journal, clip.name, audio, clip.codes, *made_by, renew=not dry_run)
        if clip.has_codes and current():
            ledger.skip(clip.name, "up to date")
        elif clip.has_codes and not dry_run and not _keep_foreign(job, clip, ledger):
            continue
        else:
            seconds = probe_seconds(audio)
            tasks.append(EncodeTask(clip.name, audio, clip.codes, seconds, sizes.sample_rate, settings.resampler))
        job.reporter.progress(number + 1, len(clips), note="finding new clips")
    return ExtractionPlan(sorted(tasks, key=lambda each: -each.seconds), ledger, codec_hash, recipe(settings))


def _hash_codec(job: ExtractionJob) -> str:
    """Return the SHA-256 of the codec's files, which are read only if the pipeline does not know them."""
    hashes = FileHashes(job.project.file_hashes)
    try:
        return "".join(hashes.hash(path) for path in codec_files(job.checkpoint) if path.is_file())
    except OSError as error:
        raise cannot_read(job.checkpoint, error, CheckpointError) from error


def _keep_foreign(job: ExtractionJob, clip: Clip, ledger: Ledger) -> bool:
    """Keep a copy of another tool's file in the place of a clip's codes; return False if that fails."""
    try:
        kept = keep_foreign(job.journal, clip.name, clip.codes, job.project.kept)
    except FishtuiError as error:
        refuse_full_disk(error, 0)
        ledger.fail(clip.name, error.problem)
        return False
    if kept is not None:
        job.reporter.warning(f"{clip.codes.name} was not made by fishtui; kept as {job.project.shown(kept)}", clip.name)
    return True


def _encode(job: ExtractionJob, plan: ExtractionPlan, tasks: Sequence[EncodeTask]) -> Ledger:
    """Encode this process's share of the plan; return the ledger of it, but report the progress of all processes."""
    ledger = Ledger(counts={"seconds": 0.0, "frames": 0, "batches_halved": 0})
    if not tasks:
        return ledger
    total = len(plan.tasks)
    job.reporter.progress(0, total, note="loading the codec")
    encoder = load_encoder(job.checkpoint, job.settings, job.group.place)
    # The codes of a batch are written while the model computes those of the next.
    with ThreadPoolExecutor(WRITERS) as writers:
        before: list[_Written] = []
        for batch in decode_batches(tasks, job.settings, _decoders(job.settings, encoder.device.type == "cuda")):
            intact = [item for item in batch if not item.problem]
            encoded = encoder.encode(intact)
            _account(job, before, ledger, total)
            before = [(item, item.problem) for item in batch if item.problem]
            for item, codes in zip(intact, encoded, strict=True):
                written = codes if isinstance(codes, str) else writers.submit(_write, job, plan, item, codes)
                before.append((item, written))
        _account(job, before, ledger, total)
    ledger.counts["batches_halved"] = encoder.halved
    return ledger


def _decoders(settings: ExtractSettings, is_gpu: bool) -> int:
    """Return the number of processes that decode for this one."""
    if settings.workers:
        return settings.workers
    return max(1, min(GPU_DECODERS, worker_count(0) // settings.devices)) if is_gpu else 1


def _write(job: ExtractionJob, plan: ExtractionPlan, item: DecodedClip, codes: np.ndarray) -> int:
    """Write the codes of one recording; return the number of frames. Raises FishtuiError."""
    source = Source(
        clip=item.task.clip,
        audio=item.sha256,
        codec=plan.codec_hash,
        recipe=plan.recipe,
        **item.state._asdict(),
    )
    store(job.journal, source, item.task.codes, codes)
    return codes.shape[1]


def _account(job: ExtractionJob, batch: Sequence[_Written], ledger: Ledger, total: int) -> None:
    """Enter a batch in the ledger once its codes are written, and report the progress. Raises FishtuiError."""
    if not batch:
        return
    milliseconds = 0
    for item, written in batch:
        if isinstance(written, str):
            ledger.fail(item.task.clip, written)
            continue
        try:
            ledger.counts["frames"] += written.result()
        except FishtuiError as error:
            refuse_full_disk(error, ledger.done)
            ledger.fail(item.task.clip, error.problem)
            continue
        seconds = item.length / item.task.rate
        ledger.done += 1
        ledger.counts["seconds"] += seconds
        milliseconds += round(1000 * seconds)
    finished = job.group.count("finished", len(batch))
    written_seconds = job.group.count("milliseconds", milliseconds) / 1000
    job.reporter.progress(finished, total, note=f"{written_seconds:,.0f} s of audio")


def _merge_ledgers(plan: ExtractionPlan, ledgers: Sequence[Ledger], reporter: Reporter) -> Ledger:
    """Return the ledger of all processes, the same as from one process."""
    merged = plan.ledger
    order = {each.clip: number for number, each in enumerate(plan.tasks)}
    merged.done = sum(each.done for each in ledgers)
    failed = [entry for each in ledgers for entry in each.failed]
    merged.failed += failed if len(ledgers) == 1 else sorted(failed, key=lambda entry: order[entry.item])
    if plan.tasks:
        merged.counts = {name: round(sum(each.counts[name] for each in ledgers), 3) for name in ledgers[0].counts}
        halved = merged.counts["batches_halved"]
        if halved:
            reporter.warning(f"memory ran out {halved} times and the batch was halved: lower extract.batch_seconds")
    return merged
