"""The action that merges a checkpoint into the base model."""

from __future__ import annotations

from textual import work
from textual.binding import Binding

from fishtui.errors import FishtuiError
from fishtui.results.trainings import Training, launch_merge
from fishtui.tui.dialogs import Confirm
from fishtui.tui.screen import MainScreen, Snapshot
from fishtui.tui.widgets.checkpoints import CheckpointId
from fishtui.tui.widgets.trainingdetail import relative

MERGE = Binding("m", "merge", "merge", tooltip="merge the checkpoint into the base model")


class MergeActions(MainScreen[Snapshot]):
    """A screen with checkpoints to merge."""

    @property
    def mergeable(self) -> CheckpointId | None:
        """The checkpoint to merge."""
        raise NotImplementedError

    def training_of(self, checkpoint: CheckpointId | None) -> Training | None:
        """Return the training of a checkpoint."""
        raise NotImplementedError

    def action_merge(self) -> None:
        """Merge the checkpoint, after a question: it writes a whole model, and may replace another."""
        checkpoint = self.mergeable
        training = self.training_of(checkpoint)
        if training is None or checkpoint is None or checkpoint.step is None:
            self.fishtui.report("choose a checkpoint: the base model needs no merge")
            return
        if self.is_busy("merge"):
            self.fishtui.report("a merge is starting")
            return
        step = checkpoint.step
        if training.merging is not None and not training.merging.ended:
            self.fishtui.report(f"a merge of {training.name} is already {training.merging.state}")
            return
        target = self.fishtui.project.merged(training.base, training.name)
        previous = next((each for each in training.merged if each.folder == target), None)
        folder = relative(target, self.fishtui.project.root)
        consequence = f"This writes a complete model into {folder}."
        if previous is not None:
            replaced = f"the merge of step {previous.step:,}" if previous.step else "the previous merge"
            consequence = f"This replaces {replaced} in {folder}. Checkpoints are kept."
        self.app.push_screen(
            Confirm(f"Merge step {step:,} of {training.name}?", consequence),
            lambda confirmed: self._merge(training.name, step) if confirmed else None,
        )

    @work(thread=True, group="merge", exit_on_error=False)
    def _merge(self, training: str, step: int) -> None:
        try:
            run = launch_merge(self.fishtui.project, self.fishtui.loaded, training, step)
        except FishtuiError as error:
            self.app.call_from_thread(self.fishtui.report_error, error)
            return
        self.app.call_from_thread(self.fishtui.report, f"merge of step {step:,} is {run.state}; press 3 to see it")
        self.app.call_from_thread(self.reload)
