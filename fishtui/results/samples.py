"""Samples: the same sentence, with the same reference and settings, from several checkpoints of a training.

Each is a recording in `results/NAME/samples`, next to a JSON file with its request and the run that makes it.
"""

from __future__ import annotations

import hashlib
import json
import time
import wave
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import msgspec

from fishtui.bases import find_base
from fishtui.checkpoint import CheckpointFolder
from fishtui.files import discard, regular, write_text
from fishtui.project import Project
from fishtui.reading import Damaged, PathText, guarded, read_json
from fishtui.results.checkpoints import Checkpoint
from fishtui.results.reference import Reference
from fishtui.runs.launch import launch
from fishtui.runs.ledger import Moment
from fishtui.runs.record import FINAL, LOST, SUCCEEDED
from fishtui.runs.state import read_run
from fishtui.runs.table import RunSummary
from fishtui.settings import Loaded, Settings
from fishtui.stage import SYNTHESIZE
from fishtui.wording import cannot_remove

FOLDER = "samples"
BASE: Final = "base"


class SampleRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The request for a sample: `step` is None for the base model; samples with the same `row` can be compared.

    `asked` is the time of the request in seconds since 1970, `run` the id of the run that makes the sample.
    """

    row: Annotated[str, msgspec.Meta(pattern="^[0-9a-z]+$")]
    step: Annotated[int, msgspec.Meta(ge=0)] | None
    text: str
    reference: PathText
    run: Annotated[str, msgspec.Meta(pattern="^[0-9a-z-]*$")]
    asked: Moment


@dataclass(frozen=True)
class Sample:
    """A sample: `state` is that of its run, `seconds` the length of the recording, None until it exists."""

    path: Path
    note: SampleRequest
    state: str
    remark: str = ""
    seconds: float | None = None

    @property
    def training(self) -> str:
        """The name of the training in whose results the sample is."""
        return self.path.parent.parent.name

    @property
    def is_playable(self) -> bool:
        return self.seconds is not None


def list_samples(results: Path, runs: Mapping[str, RunSummary]) -> list[Sample]:
    """Return the samples in a training's results, in the order of their requests."""
    found = []
    for path in (results / FOLDER).glob("*.json"):
        # The file may be removed meanwhile, and other programs may write such files.
        with suppress(OSError, Damaged):
            note = read_json(path, SampleRequest)
            found.append(_sample(path.with_suffix(".wav"), note, runs.get(note.run)))
    return sorted(found, key=lambda each: (each.note.asked, each.note.step or 0))


def _sample(path: Path, note: SampleRequest, run: RunSummary | None) -> Sample:
    if run is not None and not run.ended:
        return Sample(path, note, run.state, run.text)
    seconds = _seconds(path)
    if seconds is not None and (run is None or run.state in FINAL):
        return Sample(path, note, SUCCEEDED, seconds=seconds)
    if run is None:
        return Sample(path, note, LOST, "its run was removed before the sample was finished")
    # A text that failed is in the ledger of a run that succeeded otherwise.
    return Sample(path, note, run.state if run.state != SUCCEEDED else LOST, run.text)


def _seconds(path: Path) -> float | None:
    """Return the length of a recording in seconds; None if it is missing or damaged."""
    try:
        regular(path)
        with guarded(), path.open("rb") as file, wave.open(file) as sound:
            return sound.getnframes() / sound.getframerate()
    except (OSError, Damaged):
        return None


def sample_path(results: Path, row: str, step: int | None) -> Path:
    """Return the path of the sample of a step, or of the base model."""
    return results / FOLDER / f"{f'step_{step:09d}' if step is not None else BASE}-{row}.wav"


def request_sample(
    project: Project, settings: Loaded, results: Path, saved: Checkpoint | None, text: str, reference: Reference | None
) -> Sample | None:
    """Launch a run in which a checkpoint, or the base model, speaks `text`; return the sample.

    Returns None if the sample exists or is being made. Raises FishtuiError.
    """
    values = settings.values
    row = row_id(values, text, reference)
    output = sample_path(results, row, saved.step if saved else None)
    base = find_base(project, results / "checkpoints", values.paths.checkpoint)
    adapter = saved.path if saved else None
    command = [SYNTHESIZE.name, "--project", str(project.root), "--checkpoint", str(base), f"--text={text}"]
    command += ["--adapter", str(adapter)] if adapter else []
    if reference is not None:
        command += ["--reference", str(reference.path), f"--reference-text={reference.text}"]
    command += ["--output", str(output), "--force"]
    arguments = {"checkpoint": base, "adapter": adapter, "texts": [text], "output": output}
    if _is_there(project, output, [adapter] if adapter else CheckpointFolder(base).weight_files):
        return None
    # A recording by an earlier checkpoint must not be taken for the new sample.
    discard(output)
    run = launch(project, SYNTHESIZE.name, command, settings, arguments)
    note = SampleRequest(
        row=row,
        step=saved.step if saved else None,
        text=text,
        reference=project.shown(reference.path) if reference else "",
        run=run.id,
        asked=time.time(),
    )
    write_note(output, note)
    return Sample(output, note, run.state, (run.record.error or "").partition("\n")[0])


def write_note(path: Path, note: SampleRequest) -> None:
    """Write the request for the sample at `path` next to it. Raises FishtuiError."""
    write_text(path.with_suffix(".json"), json.dumps(msgspec.to_builtins(note)) + "\n")


def _is_there(project: Project, output: Path, weights: list[Path]) -> bool:
    """Return True if `output` is newer than the `weights` that speak it, or a run that makes it is active."""
    with suppress(OSError, Damaged):
        note = read_json(output.with_suffix(".json"), SampleRequest)
        if not read_run(project.runs / note.run).ended:
            return True
        statuses = [path.stat() for path in weights]
        # A file that was put in the place of another can be older than it.
        newest = max(max(each.st_mtime, each.st_ctime) for each in statuses)
        return _seconds(output) is not None and output.stat().st_mtime > newest
    return False


def row_id(settings: Settings, text: str, reference: Reference | None) -> str:
    """Return an id of all inputs of a sample except the checkpoint: samples of one row can be compared."""
    use = settings.synthesize
    sampling = [use.temperature, use.top_p, use.top_k, use.repetition_penalty, use.seed, use.precision]
    limits = [use.max_seconds, use.seconds_per_character]
    inputs = [text, *map(str, reference or ()), *sampling, *limits, settings.extract.resampler]
    return hashlib.sha256(json.dumps(inputs).encode()).hexdigest()[:8]


def remove_row(results: Path, row: str) -> None:
    """Remove the samples of one row. Raises FishtuiError, code `cannot-remove`."""
    for path in (results / FOLDER).glob(f"*-{row}.*"):
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise cannot_remove(path, error) from error
