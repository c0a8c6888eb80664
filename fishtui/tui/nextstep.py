"""The next step of a project, for a person who does not know what to do with it now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fishtui import wording
from fishtui.tui.widgets.steps import PipelineStep

# Imported later, to keep the first paint fast.
if TYPE_CHECKING:
    from fishtui.catalog.summary import Summary

# States of steps that the pipeline would run.
DUE = frozenset({"due", "never", "failed", "lost"})


def due_steps(steps: Sequence[PipelineStep]) -> list[str]:
    """Return the names of the steps that the pipeline would run."""
    return [step.name for step in steps if step.state in DUE]


def is_running(steps: Sequence[PipelineStep]) -> bool:
    """Return True if the run of a step has not ended."""
    from fishtui.runs.record import ACTIVE

    return any(step.state in ACTIVE for step in steps)


def next_step(steps: Sequence[PipelineStep], data: Summary | None, has_model: bool, has_run: bool) -> str:
    """Return what the user can do next, as a sentence. `has_run` is true if any run is active, such as an import."""
    if has_run or is_running(steps):
        return "Runs continue after you quit; press 3 to see them."
    if data is None:
        return "Next: s scans the clips in data/, i imports others, x cuts long recordings."
    if not data.totals.clips:
        return "Next: add data/SPEAKER/clip.wav with clip.lab and press s; or i to import, x to cut."
    due = due_steps(steps)
    stages = " → ".join(due if len(due) < 4 else [due[0], "…", due[-1]])
    without = next((number for code, _, number in data.codes if code == "missing-transcript"), 0)
    drafts = data.way.drafts if data.way is not None else 0
    reviewed = (drafts, "draft") if drafts else (data.totals.doubtful, "flagged clip")
    todo = [
        f"c to check {wording.counted(data.unmeasured, 'clip')}" if data.unmeasured else "",
        # A few are reviewed with the other findings.
        f":transcribe to draft {wording.counted(without, 'transcript')}" if 2 * without > data.totals.clips else "",
        f"2 to review {wording.counted(*reviewed)}" if reviewed[0] else "",
        "" if has_model else ":download to get the model",
        f"r to run {stages}" if due else "",
    ]
    # The first two, because a line has no room for more.
    keys = "; ".join([*filter(None, todo)][:2])
    return f"Next: press {keys}." if keys else "Everything is up to date; press 5 to compare and listen to the models."
