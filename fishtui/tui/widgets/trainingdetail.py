"""The details of a training, for wide screens: the losses as bars, and the paths of its files."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from textual.content import Content

from fishtui.errors import FishtuiError
from fishtui.glyphs import RECOMMENDED
from fishtui.results.trainings import Training
from fishtui.sanitize import harmless
from fishtui.tui.evaluations import Evaluated

WIDTH = 20
MOST = 12
MUTED = "dim"


def describe(training: Training | None, step: int | None, root: Path) -> Content:
    """Return the details of a training, with the checkpoint of `step` in bold and paths relative to `root`."""
    if training is None:
        return Content()
    parts: list[tuple[str, str]] = []
    losses = {
        each.saved.step: each.saved.validation_loss
        for each in training.checkpoints
        if each.saved.validation_loss is not None and math.isfinite(each.saved.validation_loss)
    }
    if losses:
        parts.append(("validation loss\n", MUTED))
        for at, bar in _bars(losses).items():
            parts.append((f"{at:>8,} {bar} {losses[at]:.3f}\n", "bold" if at == step else ""))
        parts.append(("\n", ""))
    parts += [(f"{relative(merged.folder, root)}\n", "") for merged in training.merged]
    for each in training.checkpoints:
        if each.saved.step == step:
            path = each.saved.path
            parts.append((f"{relative(path.parent, root)}/\n  {path.name}\n", MUTED))
    return Content.assemble(*parts)


def describe_evaluation(found: Evaluated | FishtuiError) -> Content:
    """Return the verdict of an evaluation in one sentence, or why it cannot be read."""
    if isinstance(found, FishtuiError):
        return Content.assemble((f"✗ {harmless(found.problem)}  {harmless(found.remedy)}", "$text-error"))
    sign = (f"{RECOMMENDED} ", "$text-success") if found.verdict.recommended is not None else ("▲ ", "$text-warning")
    return Content.assemble(sign, harmless(found.sentence), ("  enter: table", "dim"))


def recommended(evaluated: Mapping[str, Evaluated | FishtuiError]) -> dict[str, int]:
    """Return the steps that evaluations recommend, by training."""
    return {
        name: each.verdict.recommended
        for name, each in evaluated.items()
        if isinstance(each, Evaluated) and each.verdict.recommended is not None
    }


def relative(path: Path, root: Path) -> str:
    """Return `path` relative to `root` if it is inside, without access to the disk."""
    return str(path.relative_to(root) if path.is_relative_to(root) else path)


def _bars(losses: dict[int, float]) -> dict[int, str]:
    """A bar for each of the newest losses; the lowest loss has the shortest bar."""
    newest = dict(list(losses.items())[-MOST:])
    low, high = min(newest.values()), max(newest.values())
    span = (high - low) or 1.0
    return {step: "▇" * (2 + round((WIDTH - 2) * (value - low) / span)) for step, value in newest.items()}
