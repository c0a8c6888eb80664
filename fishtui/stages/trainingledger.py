"""The ledger of a training: what became of each clip."""

from __future__ import annotations

from collections.abc import Mapping

from fishtui.runs.ledger import Ledger
from fishtui.settings import TrainSettings
from fishtui.stages.excluded import Exclusion
from fishtui.training.batches import Plan
from fishtui.training.dataset import Example, Examples
from fishtui.training.origin import DataPosition


def full_ledger(examples: Examples, settings: TrainSettings, without: Mapping[str, Exclusion]) -> Ledger:
    """Return the ledger of a training that reaches every clip."""
    ledger = Ledger(done=len(examples.train))
    for name in examples.excluded:
        ledger.skip(name, without[name].reason)
    for example in examples.validation:
        ledger.skip(example.name, "held out for validation")
    for name in examples.empty:
        ledger.skip(name, "no text or no codes in its shard")
    for name in examples.too_long:
        ledger.skip(name, f"longer than train.max_length of {settings.max_length} tokens")
    return ledger


def skip_unreached(ledger: Ledger, plan: Plan, clips: list[Example], position: DataPosition) -> None:
    """Count the clips that come after `position` in its epoch as skipped instead of done."""
    rows = [row for batch in plan.epoch(clips, position.epoch)[: position.index] for row in batch]
    reached = {clip for row in rows for sequence in row for clip in sequence.clips}
    for number, clip in enumerate(clips):
        if number not in reached:
            ledger.skip(clip.name, "not reached: the training ended within its first epoch of these clips")
    ledger.done = len(reached)
