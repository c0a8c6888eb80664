"""What wide screens say of a training beside its checkpoints: the losses as bars, and where things lie."""

from __future__ import annotations

import math
from pathlib import Path

from rich.text import Text

from fishtui.results.trainings import Training
from fishtui.sanitize import harmless

WIDTH = 20
MOST = 12


def describe(training: Training | None, step: int | None, root: Path) -> Text:
    """A training, with the checkpoint of `step` standing out; paths as from the project's `root`."""
    text = Text()
    if training is None:
        return text
    losses = {
        each.saved.step: each.saved.validation_loss
        for each in training.checkpoints
        if each.saved.validation_loss is not None and math.isfinite(each.saved.validation_loss)
    }
    if losses:
        text.append("validation loss\n", style="dim")
        for at, bar in _bars(losses).items():
            text.append(f"{at:>8,} {bar} {losses[at]:.3f}\n", style="bold" if at == step else "")
        text.append("\n")
    for merged in training.merged:
        text.append(f"{harmless(shown(merged.folder, root))}\n")
    for each in training.checkpoints:
        if each.saved.step == step:
            path = each.saved.path
            text.append(f"{harmless(shown(path.parent, root))}/\n  {path.name}\n", style="dim")
    return text


def shown(path: Path, root: Path) -> str:
    """A path as one would write it in the project, without a look at the disk."""
    return str(path.relative_to(root) if path.is_relative_to(root) else path)


def _bars(losses: dict[int, float]) -> dict[int, str]:
    """A bar for each of the newest losses, the lowest of them the shortest."""
    newest = dict(list(losses.items())[-MOST:])
    low, high = min(newest.values()), max(newest.values())
    span = (high - low) or 1.0
    return {step: "▇" * (2 + round((WIDTH - 2) * (value - low) / span)) for step, value in newest.items()}
