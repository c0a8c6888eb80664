"""The actions on evaluations that Models and the screen of one evaluation share."""

from __future__ import annotations

from textual import work
from textual.binding import Binding

from fishtui.errors import FishtuiError, MisuseError
from fishtui.evaluation.record import FILE
from fishtui.results.trainings import launch_evaluation
from fishtui.tui.dialogs import Confirm
from fishtui.tui.screen import READING, MainScreen, Snapshot
from fishtui.tui.widgets.checkpoints import CheckpointId

# Each screen puts them among its own keys, in its own order.
BLIND = Binding("b", "compare", "blind", tooltip="compare two marked checkpoints, or this one and the base, blindly")
EVALUATE = Binding("e", "evaluate", "evaluate", tooltip="let all checkpoints of the training speak, and judge them")
NO_CHECKPOINT = "no checkpoint yet; press 4 to launch a training"


class EvaluationActions(MainScreen[Snapshot]):
    """A screen with checkpoints to choose from, which may have been evaluated."""

    @property
    def chosen(self) -> list[CheckpointId]:
        """The checkpoints that the next action is about: the marked ones, or the one under the cursor."""
        raise NotImplementedError

    @property
    def evaluable(self) -> str | None:
        """The name of the training to evaluate."""
        raise NotImplementedError

    def action_evaluate(self) -> None:
        """Evaluate the training in a run, after a question: it may take long."""
        training = self.evaluable
        if training is None:
            self.fishtui.report(NO_CHECKPOINT if self.has_read else READING)
        elif self.is_busy("evaluate"):
            self.fishtui.report("an evaluation is starting")
        else:
            self.app.push_screen(
                Confirm(
                    f"Evaluate {training}?",
                    "The base model and all checkpoints speak the same lines, and the speech is judged. Lines that are"
                    " up to date are kept.",
                ),
                lambda confirmed: self._evaluate(training) if confirmed else None,
            )

    @work(thread=True, group="evaluate", exit_on_error=False)
    def _evaluate(self, training: str) -> None:
        try:
            run = launch_evaluation(self.fishtui.project, self.fishtui.loaded, training)
        except FishtuiError as error:
            self.app.call_from_thread(self.fishtui.report_error, error)
            return
        self.app.call_from_thread(self.fishtui.report, f"evaluation of {training} is {run.state}; press 3 to see it")
        self.app.call_from_thread(self.reload)

    def action_compare(self) -> None:
        """Compare the two marked checkpoints, or the chosen one and the base."""
        chosen = self.chosen
        named = [each for each in chosen if each.step is not None]
        if len(chosen) == 1 and named:
            chosen = [*chosen, CheckpointId(named[0].training, None)]
        if len(chosen) != 2 or not named or len({each.training for each in named}) > 1:
            self.fishtui.report("mark two checkpoints of one training with x, or choose one to compare with the base")
        elif not self.is_busy("blind"):
            self._compare(named[0].training, *(each.step for each in chosen))

    @work(thread=True, group="blind", exit_on_error=False)
    def _compare(self, training: str, one: int | None, other: int | None) -> None:
        # Imported here, because most trainings have no evaluation.
        from fishtui.tui.blindsession import BlindSession
        from fishtui.tui.comparison import BlindComparison

        results = self.fishtui.project.results / training
        try:
            if not (results / FILE).exists():
                raise MisuseError(
                    f"{training} has no evaluation: its checkpoints have spoken no lines to compare",
                    "Press e to evaluate it.",
                    code="nothing-to-compare",
                )
            session = BlindSession.open(results, one, other)
        except FishtuiError as error:
            self.app.call_from_thread(self.fishtui.report_error, error)
            return
        self.app.call_from_thread(self.app.push_screen, BlindComparison(session))
