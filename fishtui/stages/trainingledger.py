"""The ledger of a training: what became of each clip."""

from __future__ import annotations

from collections.abc import Mapping

from fishtui.project import Project
from fishtui.runs.ledger import Ledger
from fishtui.settings import Settings
from fishtui.stages.excluded import Exclusion, drafts_in
from fishtui.training.batches import Plan
from fishtui.training.dataset import Example, Examples
from fishtui.training.origin import DataPosition


def full_ledger(project: Project, settings: Settings, examples: Examples, without: Mapping[str, Exclusion]) -> Ledger:
    """Return the ledger of a training that reaches every clip, with the number of transcripts that are drafts."""
    ledger = Ledger(done=len(examples.train))
    drafts = drafts_in(project, settings, project.path(settings.paths.data))
    ledger.counts["drafts"] = sum(example.name in drafts for example in examples.train)
    for name in examples.excluded:
        ledger.skip(name, without[name].reason)
    for example in examples.validation:
        ledger.skip(example.name, "held out for validation")
    for name in examples.empty:
        ledger.skip(name, "no text or no codes in its shard")
    for name in examples.too_long:
        ledger.skip(name, f"longer than train.max_length of {settings.train.max_length} tokens")
    return ledger


def skip_unreached(ledger: Ledger, plan: Plan, clips: list[Example], position: DataPosition) -> None:
    """Count the clips that come after `position` in its epoch as skipped instead of done."""
    rows = [row for batch in plan.epoch(clips, position.epoch)[: position.index] for row in batch]
    reached = {clip for row in rows for sequence in row for clip in sequence.clips}
    for number, clip in enumerate(clips):
        if number not in reached:
            ledger.skip(clip.name, "not reached: the training ended within its first epoch of these clips")
    ledger.done = len(reached)
