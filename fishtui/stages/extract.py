"""extract: the codec's codes of every clip, as `clip.npy` beside `clip.wav`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from fishtui import distributed
from fishtui.audio.decode import SAMPLE_RATE, read_audio
from fishtui.audio.probe import probe_seconds
from fishtui.audio.resample import Filter, resample
from fishtui.codes import Journal, Source, check_codec, is_current, part_of, store
from fishtui.dataset import Clip
from fishtui.distributed import Group, Place
from fishtui.errors import CheckpointError, DataError, FishtuiError
from fishtui.files import hash_file
from fishtui.project import Project
from fishtui.runs.ledger import Ledger
from fishtui.runs.reporter import Reporter
from fishtui.settings import ExtractSettings, Settings
from fishtui.stages.excluded import excluded, find_recordings
from fishtui.stages.refresh import refresh_catalog
from fishtui.wording import reason_of
from fishtui.workers import ordered_map

if TYPE_CHECKING:
    from fishtui.codec.model import Codec

# Rises when the same audio and codec give other codes than before.
RECIPE_VERSION = 1
# Batches that are decoded before the model asks for them.
BATCHES_AHEAD = 2

Item = TypeVar("Item")


@dataclass(frozen=True)
class _Task:
    clip: Clip
    audio: Path
    seconds: float
    filter: Filter


@dataclass(frozen=True)
class _Decoded:
    """A clip at the codec's rate, float32 of shape (samples,), or what is wrong with it."""

    task: _Task
    problem: str = ""
    samples: np.ndarray = field(default_factory=lambda: np.empty(0, np.float32))
    sha256: str = ""
    size: int = 0
    modified: int = 0


def extract(
    project: Project,
    values: Settings,
    reporter: Reporter,
    *,
    data: Path,
    checkpoint: Path,
    dry_run: bool = False,
) -> Ledger:
    """Write the codes of every clip below `data` whose codes are missing, damaged or stale.

    Of the project's own dataset clips that are rejected or have errors are left out. `checkpoint` is the codec's
    file. Raises FishtuiError if there is no audio, or the codec can't be loaded.

    Under torchrun or srun the processes share the clips out; the first of them decides which there are to do, and
    gives the account of all.
    """
    settings = values.extract
    if dry_run:
        journal = Journal(project.codes_journal)
        plan = _plan(project, values, reporter, data, checkpoint, journal, dry_run=True)
        plan.ledger.done = len(plan.tasks)
        return plan.ledger
    place = distributed.place()
    distributed.check_processes(place, "extract", settings.devices, settings.nodes)
    with distributed.joined(place) as group:
        reporter = reporter if group.first else Reporter()
        journal = Journal(part_of(project.codes_journal, place.rank), tidy=group.first)
        plan = _Plan()
        if group.first:
            refresh_catalog(project, values, reporter, data)
            plan = _plan(project, values, reporter, data, checkpoint, journal, dry_run=False)
        plan = group.share(plan)
        mine = deal(plan.tasks, place)
        made = group.gather(_work(plan, mine, settings, reporter, checkpoint, journal, group))
        if group.first and place.world > 1:
            # Takes in what the others wrote down.
            Journal(project.codes_journal, tidy=True)
            reporter.progress(len(plan.tasks), len(plan.tasks))
        return _merged(plan, made, reporter)


@dataclass(frozen=True)
class _Plan:
    """What is to be done, and what needs nothing or can't be done; the longest task first."""

    tasks: list[_Task] = field(default_factory=list)
    ledger: Ledger = field(default_factory=Ledger)
    codec_hash: str = ""
    recipe: str = ""


def _plan(
    project: Project,
    values: Settings,
    reporter: Reporter,
    data: Path,
    checkpoint: Path,
    journal: Journal,
    dry_run: bool,
) -> _Plan:
    """The clips to encode according to the catalog; with `dry_run`, the codec's file may be missing."""
    settings = values.extract
    ledger = Ledger()
    clips = find_recordings(data, ledger, excluded(project, values, data))
    if not checkpoint.is_file() and not dry_run:
        raise CheckpointError(f"{checkpoint} does not exist", "Fetch the checkpoint with `fishtui download`.")
    sizes = checkpoint.with_name("codec.json")
    codec_hash = "".join(hash_file(path) for path in (checkpoint, sizes) if path.is_file())
    recipe = f"{RECIPE_VERSION}/{settings.resampler}/{settings.precision}"

    tasks: list[_Task] = []
    for number, (clip, audio) in enumerate(clips):
        if clip.has_codes and is_current(journal, clip.name, audio, clip.codes, codec_hash, recipe):
            ledger.skip(clip.name, "up to date")
        else:
            tasks.append(_Task(clip, audio, probe_seconds(audio), settings.resampler))
        reporter.progress(number + 1, len(clips), note="looking for what is new")
    return _Plan(sorted(tasks, key=lambda task: -task.seconds), ledger, codec_hash, recipe)


def deal(tasks: Sequence[Item], place: Place) -> Sequence[Item]:
    """The share of `tasks`, longest first, of the process at `place`: in turn, so that all have about as much audio."""
    return tasks[place.rank :: place.world]


def _merged(plan: _Plan, made: Sequence[Ledger], reporter: Reporter) -> Ledger:
    """The account of all processes, as if it were one's."""
    ledger = plan.ledger
    order = {task.clip.name: number for number, task in enumerate(plan.tasks)}
    ledger.done = sum(each.done for each in made)
    failed = [entry for each in made for entry in each.failed]
    ledger.failed += failed if len(made) == 1 else sorted(failed, key=lambda entry: order[entry.item])
    if plan.tasks:
        ledger.counts = {name: round(sum(each.counts[name] for each in made), 3) for name in made[0].counts}
        halved = ledger.counts["batches_halved"]
        if halved:
            reporter.warning(f"memory ran out {halved} times and the batch was halved: lower extract.batch_seconds")
    return ledger


def _work(
    plan: _Plan,
    tasks: Sequence[_Task],
    settings: ExtractSettings,
    reporter: Reporter,
    checkpoint: Path,
    journal: Journal,
    group: Group,
) -> Ledger:
    """Do some of the plan's tasks; the account of these alone, but progress of all."""
    ledger = Ledger(counts={"seconds": 0.0, "frames": 0, "batches_halved": 0})
    if not tasks:
        return ledger
    total = len(plan.tasks)
    reporter.progress(0, total, note="loading the codec")
    encoder = _Encoder(_load(checkpoint, settings, group.place))
    for batch in _batches(tasks, settings):
        sound = [item for item in batch if not item.problem]
        for item in batch:
            if item.problem:
                ledger.fail(item.task.clip.name, item.problem)
        milliseconds = 0
        for item, codes in zip(sound, encoder.encode(sound), strict=True):
            if codes is None:
                ledger.fail(item.task.clip.name, "too long for this machine's memory: split it")
                continue
            clip = item.task.clip
            source = Source(
                clip=clip.name,
                size=item.size,
                modified=item.modified,
                audio=item.sha256,
                codec=plan.codec_hash,
                recipe=plan.recipe,
            )
            try:
                store(journal, source, clip.codes, codes)
            except FishtuiError as error:
                ledger.fail(clip.name, error.problem)
                continue
            seconds = len(item.samples) / SAMPLE_RATE
            ledger.done += 1
            ledger.counts["seconds"] += seconds
            ledger.counts["frames"] += codes.shape[1]
            milliseconds += round(1000 * seconds)
        finished = group.count("finished", len(batch))
        seconds = group.count("milliseconds", milliseconds) / 1000
        reporter.progress(finished, total, note=f"{seconds:,.0f} s of audio")
    ledger.counts["batches_halved"] = encoder.halved
    return ledger


def _load(checkpoint: Path, settings: ExtractSettings, place: Place) -> Codec:
    import torch

    from fishtui.codec.load import load_codec
    from fishtui.devices import allow_tf32, keep_freed_memory

    allow_tf32(settings.precision == "tf32")
    dtype = torch.bfloat16 if settings.precision == "bfloat16" else torch.float32
    device = distributed.own_device(settings.device, place)
    if device.type == "cpu":
        keep_freed_memory()
    codec = load_codec(checkpoint, device, dtype)
    check_codec(codec.config, checkpoint)
    return codec


def _batches(tasks: Sequence[_Task], settings: ExtractSettings) -> Iterator[list[_Decoded]]:
    """Decoded clips in batches of similar length, the longest first, so that memory runs out at once or never."""
    plan = list(plan_batches([task.seconds for task in tasks], settings.batch_size, settings.batch_seconds))
    in_order = [tasks[index] for batch in plan for index in batch]
    ahead = BATCHES_AHEAD * max((len(batch) for batch in plan), default=1)
    decoded = ordered_map(_decode, in_order, settings.workers, ahead, _died)
    for batch in plan:
        yield [next(decoded) for _ in batch]


def plan_batches(seconds: Sequence[float], size: int, budget: float) -> Iterable[list[int]]:
    """Indices of clips in batches of at most `size` clips and `budget` seconds, padding included.

    A clip that is longer than the budget goes alone.
    """
    batch: list[int] = []
    for index in sorted(range(len(seconds)), key=lambda index: -seconds[index]):
        # Clips come longest first, so the first of a batch sets the padded length of all.
        if batch and (len(batch) == size or seconds[batch[0]] * (len(batch) + 1) > budget):
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def _decode(task: _Task) -> _Decoded:
    try:
        status = task.audio.stat()
        audio = read_audio(task.audio)
        samples = resample(audio.mono(), audio.rate, SAMPLE_RATE, task.filter)
    except DataError as error:
        return _Decoded(task, error.problem)
    except OSError as error:
        return _Decoded(task, f"cannot read: {reason_of(error)}")
    except (MemoryError, RuntimeError, ValueError) as error:
        return _Decoded(task, f"can't be decoded or resampled: {error or type(error).__name__}")
    return _Decoded(task, "", samples, audio.sha256, status.st_size, status.st_mtime_ns)


def _died(task: _Task) -> _Decoded:
    return _Decoded(task, "decoding it ended the process that did: it is damaged, or memory ran out")


class _Encoder:
    """Runs the codec over batches, and over halves of a batch that memory is too small for."""

    def __init__(self, codec: Codec) -> None:
        self.halved = 0
        self._codec = codec

    def encode(self, batch: Sequence[_Decoded]) -> list[np.ndarray | None]:
        """The codes (10, T) of each clip; None for one that doesn't fit into memory even alone."""
        if not batch:
            return []
        import torch

        from fishtui.devices import out_of_memory

        try:
            return self._encode(batch)
        except (MemoryError, RuntimeError) as error:
            if not out_of_memory(error):
                raise
        # Outside the handler: the exception's frames hold the tensors of the failed attempt.
        torch.cuda.empty_cache()
        if len(batch) == 1:
            return [None]
        self.halved += 1
        middle = len(batch) // 2
        return self.encode(batch[:middle]) + self.encode(batch[middle:])

    def _encode(self, batch: Sequence[_Decoded]) -> list[np.ndarray | None]:
        import torch

        lengths = [len(item.samples) for item in batch]
        audio = torch.zeros(len(batch), 1, max(lengths))
        for row, item in enumerate(batch):
            audio[row, 0, : lengths[row]] = torch.from_numpy(item.samples)
        device = next(self._codec.parameters()).device
        codes = self._codec.encode(audio.to(device), torch.tensor(lengths)).cpu().numpy()
        return [codes[row, :, : self._codec.frames(length)] for row, length in enumerate(lengths)]
