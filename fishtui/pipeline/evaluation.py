"""The step evaluate: its inputs and outputs, and how much it will speak."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from fishtui.errors import FishtuiError
from fishtui.evaluation.lines import OWN_LINES, Line, choose_lines, no_lines, read_own_lines
from fishtui.evaluation.record import read_evaluation
from fishtui.evaluation.table import is_usual
from fishtui.judges.needs import Setup
from fishtui.judges.registry import available, cache_key
from fishtui.pipeline.hashes import Sum, sum_of
from fishtui.pipeline.state import ProjectState
from fishtui.results.samples import BASE
from fishtui.runs.gpus import list_visible_gpus
from fishtui.wording import counted

# Bytes of weights from which speaking on a CPU is slower than real time.
LARGE = 500_000_000


def inputs(state: ProjectState) -> dict[str, Sum]:
    """Return the sums of all that decides what is spoken, how it sounds, and who judges it."""
    packed = {entry["clip"] for entry in state.manifest}
    return {
        "shards": state.shards(),
        "excluded clips": sum_of((name, "") for name in state.unwanted(tolerated=["missing-audio"]) & packed),
        "checkpoints": state.files(each.path for each in state.checkpoints()),
        "pretrained model": state.files([*state.base.model_files, *state.base.codec_files]),
        OWN_LINES: state.files([state.project.root / OWN_LINES]),
        "judges": _judges(state),
    }


def _judges(state: ProjectState) -> Sum:
    """Return the sum of the judges that are ready, with their weights: one that is installed later judges too."""
    setup = Setup(state.project.root, state.settings.evaluate)
    with suppress(FishtuiError, OSError):
        return sum_of((each.name, cache_key(each.name, setup)) for each in available(setup) if each.is_ready)
    return sum_of([])


def outputs(state: ProjectState) -> dict[str, Sum]:
    """Return the sum of the lines that the base and the present checkpoints spoke as usual, and of their judgements."""
    try:
        evaluation = read_evaluation(state.results)
    except FishtuiError:
        # Unreadable records count as lost; the stage reports the reason.
        return {"spoken lines": sum_of([])}
    steps = {BASE, *(each.step for each in state.checkpoints())}
    return {
        "spoken lines": sum_of(
            (repr(key), repr((record.sound, sorted(record.judges))))
            for key, record in evaluation.records.items()
            if is_usual(record) and key.step in steps and evaluation.path(record).is_file()
        )
    }


def arguments(state: ProjectState) -> dict[str, Any]:
    """Return the arguments of the step's run."""
    return {"name": state.settings.run.name, "steps": [], "no_base": False, "no_reference": False, "report": None}


def is_done_by(state: ProjectState, given: Mapping[str, Any]) -> bool:
    """Return True for an evaluation of all checkpoints and the base; more recordings and a report do not matter."""
    return given["name"] == state.settings.run.name and not given["steps"] and not given["no_base"]


def idle(state: ProjectState) -> str:
    """Return why nothing can be spoken with the packed clips, or an empty string."""
    if not state.manifest or _lines(state) != ():
        return ""
    error = no_lines()
    return f"{error.problem}; {error.remedy}".rstrip(".")


def effect(state: ProjectState, command: list[str], pending: bool) -> str:
    """Return how much is spoken by how many models, and a warning if that takes long on this machine."""
    lines = _lines(state) if state.manifest else None
    spoken = "each line" if lines is None else counted(len(lines), "line")
    models = 1 + (_expected_checkpoints(state) if pending else len(state.checkpoints()))
    by = f"by the base model and {'up to ' if pending else ''}{counted(models - 1, 'checkpoint')}"
    total = f" ({'up to ' if pending else ''}{counted(models * len(lines), 'recording')})" if lines else ""
    return f"speaks {spoken} {by}{total}{_slow(state)}"


def _lines(state: ProjectState) -> tuple[Line, ...] | None:
    """Return the lines without their references; None if the user's own lines cannot be read."""
    wanted = state.settings.evaluate
    without = state.unwanted(tolerated=["missing-audio"])
    with suppress(FishtuiError):
        own = read_own_lines(state.project.root / OWN_LINES)
        entries = [entry for entry in state.manifest if entry["clip"] not in without]
        found = choose_lines(entries, {}, own=own, count=wanted.lines, hard=wanted.hard_lines, language=wanted.language)
        return found.lines
    return None


def _expected_checkpoints(state: ProjectState) -> int:
    """Return how many checkpoints a training keeps at most."""
    train = state.settings.train
    return min(train.keep + 1, -(-train.max_steps // train.validate_every))


def _slow(state: ProjectState) -> str:
    device = state.settings.evaluate.device
    if device.startswith("cuda") or (device == "auto" and list_visible_gpus(os.environ)):
        return ""
    if _size(state.base.weight_files) < LARGE:
        return ""
    return "; without a GPU this can take hours: run.evaluate=false leaves it out, evaluate.lines speaks fewer"


def _size(paths: list[Path]) -> int:
    with suppress(OSError):
        return sum(path.stat().st_size for path in paths)
    return 0
