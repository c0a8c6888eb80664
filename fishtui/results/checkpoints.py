"""The checkpoints of a training on disk: listed, compared and pruned without loading them."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from fishtui.errors import MisuseError
from fishtui.files import discard, write_text
from fishtui.reading import Damaged, guarded, read_text

NAME = re.compile(r"step_(\d{9})\.ckpt")
# A validation loss within this share of the best counts as equal: the earlier checkpoint generalizes better.
TOLERANCE = 0.01
LOSSES = ("train_loss", "validation_loss")
# The losses of the model that a training begins with, next to its checkpoints.
START = "start.json"


@dataclass(frozen=True)
class Checkpoint:
    """One checkpoint; a loss is None if it was not measured."""

    path: Path
    step: int
    train_loss: float | None = None
    validation_loss: float | None = None


def checkpoint_path(folder: Path, step: int) -> Path:
    """Return the path of the checkpoint of `step` in `folder`."""
    return folder / f"step_{step:09d}.ckpt"


def write_losses(path: Path, train_loss: float | None, validation_loss: float | None) -> None:
    """Write a checkpoint's losses to a small file next to it. Raises FishtuiError."""
    losses = {"train_loss": train_loss, "validation_loss": validation_loss}
    write_text(path.with_suffix(".json"), json.dumps(losses) + "\n")


def write_start_loss(folder: Path, validation_loss: float) -> None:
    """Write the validation loss of a training before its first step. Raises FishtuiError."""
    write_losses(folder / START, None, validation_loss)


def read_start_loss(folder: Path) -> float | None:
    """Return the validation loss of a training before its first step, None if it was not measured."""
    return _read_losses(folder / START).get("validation_loss")


def list_checkpoints(folder: Path) -> list[Checkpoint]:
    """Return the checkpoints in `folder`, by step."""
    found = []
    for path in folder.glob("step_*.ckpt"):
        if match := NAME.fullmatch(path.name):
            found.append(Checkpoint(path, int(match[1]), **_read_losses(path.with_suffix(".json"))))
    return sorted(found, key=lambda saved: saved.step)


def _read_losses(path: Path) -> dict[str, float | None]:
    try:
        text = read_text(path)
        with guarded():
            # Python's own reader, because the loss of a training that failed is NaN or infinite.
            losses = msgspec.convert(json.loads(text), dict[str, float | None])
        return {name: losses[name] for name in LOSSES}
    except (OSError, Damaged, KeyError):
        # A checkpoint copied from another place has no such file and is usable.
        return {}


def check_name(name: str) -> None:
    """Raise MisuseError, code `invalid-name`, unless a training can have this name, which is that of its folder."""
    if name in ("", ".", "..") or Path(name).name != name or "\0" in name:
        raise MisuseError(
            f"{name!r}: not a valid name of a training", "Choose a name without slashes.", code="invalid-name"
        )


def check_no_checkpoints(results: Path, resume: bool, restart: bool) -> None:
    """Raise MisuseError, code `has-checkpoints`, if the folder has checkpoints and neither option is given."""
    saved = list_checkpoints(results / "checkpoints")
    if saved and not (resume or restart):
        raise MisuseError(
            f"{results}: has checkpoints up to step {saved[-1].step}",
            "Continue with --resume, or start again with --restart, which moves them to another folder.",
            code="has-checkpoints",
        )


def best_checkpoint(saved: Sequence[Checkpoint]) -> Checkpoint | None:
    """Return the checkpoint with the lowest validation loss, the earliest of equal ones; None if none was validated."""
    validated = [each for each in saved if each.validation_loss is not None and math.isfinite(each.validation_loss)]
    return min(validated, key=lambda each: (each.validation_loss, each.step), default=None)


def earliest_good_checkpoint(saved: Sequence[Checkpoint], tolerance: float = TOLERANCE) -> Checkpoint | None:
    """Return the earliest checkpoint with a validation loss within `tolerance` of the best; None without any."""
    lowest = best_checkpoint(saved)
    if lowest is None or lowest.validation_loss is None:
        return None
    limit = lowest.validation_loss * (1 + tolerance)
    return next(each for each in saved if each.validation_loss is not None and each.validation_loss <= limit)


def choose_checkpoint(results: Path, step: int | None) -> Checkpoint:
    """Return the checkpoint of `step` in a training's results; by default the best, or the newest if none is validated.

    Raises MisuseError, code `no-checkpoints` or `no-such-step`.
    """
    saved = list_checkpoints(results / "checkpoints")
    if not saved:
        raise MisuseError(
            f"{results}: no checkpoints", f"Run `fishtui train {results.name}` first.", code="no-checkpoints"
        )
    if step is None:
        return best_checkpoint(saved) or saved[-1]
    for each in saved:
        if each.step == step:
            return each
    steps = ", ".join(str(each.step) for each in saved)
    raise MisuseError(f"{results}: no checkpoint of step {step}", f"Use one of {steps}.", code="no-such-step")


def prune_checkpoints(folder: Path, keep: int) -> None:
    """Remove all checkpoints except the newest `keep` and the best."""
    saved = list_checkpoints(folder)
    kept = {*saved[-keep:], best_checkpoint(saved)}
    for each in saved:
        if each not in kept:
            discard(each.path)
    for note in folder.glob("step_*.json"):
        if not note.with_suffix(".ckpt").exists():
            discard(note)


def next_backup(results: Path) -> Path:
    """Return the folder to which a restart moves the earlier results: `voice.1`, `voice.2` …"""
    number = 1
    while (renamed := results.with_name(f"{results.name}.{number}")).exists():
        number += 1
    return renamed
