"""`results/NAME/evaluation.jsonl`: the plan of an evaluation, and a record of each line that a checkpoint spoke.

The file is only appended to, and later entries win (`schemas/evaluation.schema.json`). The recordings are in
`results/NAME/evaluation/STEP/`.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, Literal, NamedTuple

import msgspec

from fishtui.dataset import is_inside
from fishtui.evaluation.lines import Line
from fishtui.files import LineAppender
from fishtui.reading import Damaged, PathText, parse_json, read_lines
from fishtui.results.samples import BASE
from fishtui.runs.ledger import Moment
from fishtui.wording import cannot_read, cannot_write

FILE = "evaluation.jsonl"
FOLDER = "evaluation"
# Bytes; a record with the words of a paragraph has some thousands.
LONGEST = 1 << 20
Step = Annotated[int, msgspec.Meta(ge=0)] | Literal["base"]
"""A checkpoint by its step, or the base model."""


class Key(NamedTuple):
    """The identity of a spoken line: a later record with the same key replaces an earlier one."""

    step: Step
    with_reference: bool
    line: str


class JudgeState(msgspec.Struct, frozen=True):
    """A judge in use: figures of another `key`, which changes with its weights, cannot be compared."""

    version: str
    key: str = ""


class MissingJudge(msgspec.Struct, frozen=True):
    """The reason why a judge was not used, and what to do about it."""

    problem: str
    remedy: str = ""


class Plan(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="plan"):
    """The things that an evaluation compares: ids of lines in their order, the recipe of the sound, and the judges."""

    version: Literal[1] = 1
    time: Moment
    lines: tuple[str, ...]
    recipe: str
    judges: dict[str, JudgeState]
    missing: dict[str, MissingJudge] = {}


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """The findings of a judge: figures by name, failures as pairs of a code and a detail, the words that were heard."""

    version: str
    key: str = ""
    figures: dict[str, float] = {}
    failures: tuple[tuple[str, str], ...] = ()
    heard: str = ""


class SpokenLine(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="line"):
    """A line that a checkpoint, or the base model, spoke with the speaker's reference or without one.

    `wav` is a path below the results folder. `sound` is a hash of everything that decided the sound (`hash_sound`);
    `recipe` of all of it except line and weights, `adapter` of the adapter, empty for the base. `stopped` is false if
    the model was cut off.
    """

    version: Literal[1] = 1
    time: Moment
    step: Step
    with_reference: bool
    line: Line
    wav: PathText
    seconds: Annotated[float, msgspec.Meta(ge=0)]
    stopped: bool
    recipe: str
    adapter: str
    sound: str
    judges: dict[str, Outcome] = {}

    @property
    def key(self) -> Key:
        return Key(self.step, self.with_reference, self.line.id)

    @property
    def failures(self) -> list[tuple[str, str]]:
        """The failures that any judge found."""
        return [failure for outcome in self.judges.values() for failure in outcome.failures]


def hash_parts(**parts: Any) -> str:
    """Return a hash of values of JSON types by name: of a recipe, such as model, sampling, seed and code."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def hash_sound(recipe: str, adapter: str, line: Line, with_reference: bool) -> str:
    """Return a hash of everything that decides a sound; `line` has the hash of its reference."""
    return hash_parts(recipe=recipe, adapter=adapter, line=line.id, with_reference=with_reference)


def recording_folder(step: Step) -> str:
    """Return the path of the folder with the recordings of a checkpoint or the base, below the results folder."""
    return f"{FOLDER}/{BASE if step == BASE else f'step_{step:09d}'}"


def recording_name(step: Step, line: Line, sound: str) -> str:
    """Return the path of a spoken line below the results folder.

    It names the sound, so that a file whose record was never written is not taken for an earlier sound of the line.
    """
    return f"{recording_folder(step)}/{line.id}-{sound[:12]}.wav"


def finite(figures: Mapping[str, float]) -> dict[str, float]:
    """Return the figures that are finite, as floats: others cannot be stored, and count as missing."""
    found = {name: float(value) for name, value in figures.items()}
    return {name: value for name, value in found.items() if math.isfinite(value)}


def order_of(step: Step) -> int:
    """Return a key to sort steps by: the base comes first."""
    return -1 if step == BASE else int(step)


@dataclass(frozen=True)
class Evaluation:
    """All that a results folder has on its evaluation: the newest plan, and the newest record of each spoken line.

    `remarks` name entries that were skipped.
    """

    results: Path
    plan: Plan | None = None
    spoken: Mapping[Key, SpokenLine] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()

    @cached_property
    def records(self) -> dict[Key, SpokenLine]:
        """The records that can be compared: of the plan's lines and recipe, each step by its newest adapter.

        Their outcomes are those of the judges of the plan.
        """
        plan = self.plan
        if plan is None:
            return {}
        order = {line: place for place, line in enumerate(plan.lines)}
        current = [each for each in self.spoken.values() if each.recipe == plan.recipe and each.line.id in order]
        newest: dict[Step, SpokenLine] = {}
        for each in current:
            if each.step not in newest or each.time >= newest[each.step].time:
                newest[each.step] = each
        found = (each for each in current if each.adapter == newest[each.step].adapter)
        ordered = sorted(found, key=lambda each: (order_of(each.step), not each.with_reference, order[each.line.id]))
        return {each.key: _of_judges(each, plan.judges) for each in ordered}

    @cached_property
    def steps(self) -> list[Step]:
        """The base, if it spoke, and the steps of the checkpoints that did, in ascending order."""
        return sorted({key.step for key in self.records}, key=order_of)

    @cached_property
    def lines(self) -> list[Line]:
        """The lines that were spoken, in the order of the plan."""
        by_id = {record.line.id: record.line for record in self.records.values()}
        return [by_id[line] for line in (self.plan.lines if self.plan else ()) if line in by_id]

    def adapter(self, step: Step) -> str:
        """Return the hash of the adapter that spoke the lines of a step; empty without any."""
        return next((record.adapter for key, record in self.records.items() if key.step == step), "")

    def path(self, record: SpokenLine) -> Path:
        """Return the path of a spoken line's recording."""
        return self.results / record.wav

    def reusable(self, key: Key, sound: str) -> SpokenLine | None:
        """Return the record of a line if its recording exists and has this sound."""
        record = self.spoken.get(key)
        return record if record is not None and record.sound == sound and self.path(record).is_file() else None


def _of_judges(record: SpokenLine, judges: Mapping[str, JudgeState]) -> SpokenLine:
    """Return a record with the outcomes of these judges, in their order; those of other versions are left out."""
    found = {name: record.judges[name] for name in judges if name in record.judges}
    comparable = {
        name: outcome for name, outcome in found.items() if (outcome.version, outcome.key) == _state(judges[name])
    }
    return msgspec.structs.replace(record, judges=comparable)


def _state(judge: JudgeState) -> tuple[str, str]:
    return judge.version, judge.key


def needs_judging(record: SpokenLine, judges: Mapping[str, JudgeState]) -> list[str]:
    """Return the names of the judges whose outcome a record lacks, or has of another version."""
    comparable = _of_judges(record, judges).judges
    return [name for name in judges if name not in comparable]


def read_evaluation(results: Path) -> Evaluation:
    """Return the evaluation in a training's results, an empty one without a file.

    Entries that are damaged, or name a file outside, are skipped and counted in the remarks. Raises FishtuiError, code
    `cannot-read`.
    """
    path = results / FILE
    plan: Plan | None = None
    spoken: dict[Key, SpokenLine] = {}
    remarks: list[str] = []
    try:
        for number, entry in enumerate(_entries(path), start=1):
            if isinstance(entry, Plan):
                plan = entry
            elif isinstance(entry, SpokenLine):
                # Removed first, so that the order is that of the newest records.
                spoken.pop(entry.key, None)
                spoken[entry.key] = entry
            elif entry:
                remarks.append(f"{FILE}: line {number} was skipped: {entry}")
    except FileNotFoundError:
        return Evaluation(results)
    except OSError as error:
        raise cannot_read(path, error) from error
    return Evaluation(results, plan or _plan_of(spoken.values()), spoken, tuple(remarks))


def evaluated_names(results: Path) -> list[str]:
    """Return the names of the trainings that have an evaluation, in order; `results` is the folder of all trainings."""
    with suppress(OSError):
        return sorted(folder.name for folder in results.iterdir() if (folder / FILE).is_file())
    return []


def _entries(path: Path) -> Iterator[Plan | SpokenLine | str]:
    """Yield what each line of the file holds; for a line that cannot be used the reason, empty for an empty line."""
    for line in read_lines(path, LONGEST):
        if line is None:
            yield "too long"
        elif not line.strip():
            yield ""
        else:
            yield _entry(line)


def _entry(line: bytes) -> Plan | SpokenLine | str:
    try:
        entry = parse_json(line, Plan | SpokenLine)
    except Damaged as error:
        return "torn" if not line.endswith(b"\n") else f"damaged: {error}"
    if isinstance(entry, SpokenLine) and not (is_inside(entry.wav) and entry.wav.startswith(f"{FOLDER}/")):
        return "its recording is outside of the folder of the evaluation"
    if isinstance(entry, SpokenLine) and not entry.line.is_inside:
        return "its clip is outside of the dataset"
    return entry


def _plan_of(records: Collection[SpokenLine]) -> Plan | None:
    """Return a plan that fits the newest record, for a file whose own plan is damaged; None without records."""
    newest = max(records, key=lambda each: each.time, default=None)
    if newest is None:
        return None
    lines = tuple(dict.fromkeys(each.line.id for each in records if each.recipe == newest.recipe))
    judges = {name: JudgeState(outcome.version, outcome.key) for name, outcome in newest.judges.items()}
    return Plan(time=newest.time, lines=lines, recipe=newest.recipe, judges=judges)


class EvaluationWriter:
    """Appends entries to the evaluation of a training, each completely or not at all; a context manager.

    Only one process may write to it at a time.
    """

    def __init__(self, results: Path) -> None:
        """Open or create the file. Raises FishtuiError, code `cannot-write`."""
        path = results / FILE
        try:
            results.mkdir(parents=True, exist_ok=True)
            self._lines = LineAppender(path)
        except OSError as error:
            raise cannot_write(path, error) from error

    def __enter__(self) -> EvaluationWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._lines.close()

    def write(self, entry: Plan | SpokenLine) -> None:
        """Append an entry. Raises FishtuiError if the disk is full."""
        self._lines.write(json.dumps(msgspec.to_builtins(entry), allow_nan=False).encode())


def new_plan(
    lines: Iterable[Line],
    recipe: str,
    judges: Mapping[str, JudgeState],
    missing: Mapping[str, MissingJudge] | None = None,
) -> Plan:
    """Return a plan made now. Write it before the first record, and when anything in it changes."""
    ids = tuple(line.id for line in lines)
    return Plan(time=time.time(), lines=ids, recipe=recipe, judges=dict(judges), missing=dict(missing or {}))


def new_record(
    step: Step,
    line: Line,
    *,
    with_reference: bool,
    seconds: float,
    stopped: bool,
    recipe: str,
    adapter: str,
    judges: Mapping[str, Outcome],
) -> SpokenLine:
    """Return the record of a line that was spoken now, with its recording at `recording_name`."""
    sound = hash_sound(recipe, adapter, line, with_reference)
    return SpokenLine(
        time=time.time(),
        step=step,
        with_reference=with_reference,
        line=line,
        wav=recording_name(step, line, sound),
        seconds=seconds,
        stopped=stopped,
        recipe=recipe,
        adapter=adapter,
        sound=sound,
        judges={name: msgspec.structs.replace(each, figures=finite(each.figures)) for name, each in judges.items()},
    )
