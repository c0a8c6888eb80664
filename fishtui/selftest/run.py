"""Run the checks of a model one after the other, as long as there is time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from fishtui.checkpoint import CheckpointFolder
from fishtui.devices import is_small, one_thread, out_of_memory
from fishtui.errors import FishtuiError
from fishtui.runs.record import installed_versions
from fishtui.selftest.clips import Clip
from fishtui.selftest.codec import check_codec
from fishtui.selftest.files import check_files
from fishtui.selftest.line import Line
from fishtui.selftest.loss import check_loss
from fishtui.selftest.precision import check_precision
from fishtui.selftest.speaking import check_speaking
from fishtui.selftest.speed import check_speed
from fishtui.selftest.step import check_step
from fishtui.selftest.store import Store, key_of
from fishtui.selftest.subject import Clock, OutOfTime, Subject
from fishtui.settings import Settings
from fishtui.speech import Voice

# In seconds.
BUDGET = 120.0
# The step changes the model, so it is the last one that computes.
CHECKS: Mapping[str, Callable[[Subject], Line]] = {
    "codec": check_codec,
    "loss": check_loss,
    "precision": check_precision,
    "speaking": check_speaking,
    "step": check_step,
}
NAMES = ("files", *CHECKS, "speed")


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The self-test of a checkpoint: its name, family, files and template, the machine, and the lines."""

    checkpoint: str
    family: str
    sha256: dict[str, str]
    device: str
    precision: str
    versions: dict[str, str]
    clips: list[str]
    lines: list[Line]

    @property
    def has_failed(self) -> bool:
        return any(line.state == "fail" for line in self.lines)

    def as_dict(self) -> dict[str, Any]:
        """Return the report as JSON-ready data."""
        return {"kind": "model-test", **msgspec.to_builtins(self)}


def run_selftest(
    folder: Path,
    clips: Sequence[Clip],
    settings: Settings,
    budget: float = BUDGET,
    again: bool = False,
    show: Callable[[Line], None] = lambda line: None,
) -> Report:
    """Test the checkpoint in `folder` and return the report; `show` gets each line when it is known.

    Lines that have passed with the same files, clips, code, settings and device are not repeated, unless `again`. After
    `budget` seconds the lines that are left are open; the next call continues with them. Raises CheckpointError if the
    folder is not a complete checkpoint, MisuseError if the device is not available.
    """
    checkpoint = CheckpointFolder(folder)
    checkpoint.check()
    store, clock = Store(), Clock(budget)
    train = settings.train
    voice = Voice(folder, device=train.device, precision=train.precision, resampler=settings.extract.resampler)
    subject = Subject(voice, clips, clock, settings)
    since = time.monotonic()
    hashes = {path.name: store.sha256(path) for path in checkpoint.files if path.is_file()}
    precision = str(subject.voice.precision).removeprefix("torch.")
    versions = installed_versions()
    parts = msgspec.json.encode([versions, train, settings.synthesize, settings.extract]).decode()
    others = [*(clip.sha256 for clip in clips), subject.device_name, precision, parts]
    lines: dict[str, Line] = {}

    def add(line: Line) -> None:
        lines[line.name] = line
        show(line)

    add(_timed(check_files(checkpoint, hashes), since))
    with one_thread(subject.device.type == "cpu" and _is_tiny(subject)):
        for name, check in CHECKS.items():
            key = key_of(name, hashes, others)
            if not again and (found := store.find(key)):
                add(found)
                continue
            line = _run(name, check, subject)
            store.keep(key, line)
            add(line)
    add(check_speed(lines, subject.device_name))
    return Report(
        checkpoint=folder.resolve().name,
        family=checkpoint.family.title,
        sha256=hashes,
        device=subject.device_name,
        precision=precision,
        versions=versions,
        clips=[clip.name for clip in clips],
        lines=list(lines.values()),
    )


def _run(name: str, check: Callable[[Subject], Line], subject: Subject) -> Line:
    """Return the line of a check. An error of the model, and memory that runs out, are results too."""
    since = time.monotonic()
    try:
        subject.clock.check()
        line = check(subject)
    except OutOfTime:
        line = Line(
            name=name,
            state="open",
            found="the time is over",
            remedy="Run the command again: it continues here. On a CPU, a large model can take too long.",
        )
    except FishtuiError as error:
        line = Line(name=name, state="fail", found=error.problem, remedy=error.remedy)
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        line = Line(name=name, state="warn", found="out of memory", remedy="Free memory, or use a smaller model.")
    return _timed(line, since)


def _timed(line: Line, since: float) -> Line:
    # JSON has no infinity and no NaN.
    figures = {name: value for name, value in line.figures.items() if math.isfinite(value)}
    return msgspec.structs.replace(line, figures=figures, seconds=round(time.monotonic() - since, 2))


def _is_tiny(subject: Subject) -> bool:
    try:
        return is_small(subject.model)
    except FishtuiError:
        # The checks report it.
        return False
