"""All about an evaluation on the whole screen: the verdict with its reasons, and the meaning of each column."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen

from fishtui.sanitize import harmless
from fishtui.tui.ascii import spell_keys
from fishtui.tui.dialogs import SCROLL
from fishtui.tui.evaluations import Evaluated
from fishtui.tui.host import host_of
from fishtui.tui.widgets.evaluationcolumns import HEADINGS, LEGEND, LINES, LOSS
from fishtui.tui.widgets.line import Line
from fishtui.tui.widgets.scrollpane import ScrollPane

# By the names of the columns.
MEANINGS = {
    LINES: "lines spoken, of those that every checkpoint is to speak",
    LOSS: "validation loss on held-out clips; lower is better",
    "failures": "lines that did not stop, stopped early, repeated themselves or fell silent; lower is better",
    "errors": "characters or words that a recognizer hears otherwise than in the text; lower is better",
    "similarity": "likeness of the voice to the speaker's own clips, 1 is equal; higher is better",
    "percentile": "the speaker's own pairs of clips that are less alike than this; higher is better",
    "similarity_alone": "the same without a reference, so how far the voice itself was learned; higher is better",
    "percentile_alone": "the same without a reference; higher is better",
    "distance": "difference between the average spectrum and the speaker's, in dB; lower is better",
    "quality": "DNSMOS, 1 to 5; higher is better",
}


class EvaluationDetails(ModalScreen[None]):
    """The verdict, the reasons against each checkpoint, and the columns."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,i,q", "leave", "back"),
    ]

    def __init__(self, evaluated: Evaluated) -> None:
        super().__init__()
        self.evaluated = evaluated

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog tall"):
            with ScrollPane():
                yield Line(details(self.evaluated))
            yield Line(spell_keys(SCROLL, host_of(self).ascii), classes="keys")

    def action_leave(self) -> None:
        self.dismiss()


def details(evaluated: Evaluated) -> Content:
    """Return all that is known about an evaluation, as text."""
    parts: list[str | tuple[str, str]] = []
    missing = ["`fishtui doctor` shows how to install what is missing."] if evaluated.table.missing else []
    is_chosen = evaluated.verdict.recommended is not None
    for title, lines in (
        ("Verdict", [*evaluated.verdict.sentences, *missing]),
        ("Why not the others" if is_chosen else "Why none", [*_reasons(evaluated)]),
        ("Remarks", evaluated.evaluation.remarks),
        ("Columns", [*_columns(evaluated), LEGEND]),
    ):
        if lines:
            parts.append((f"{title}\n", "bold"))
            parts += [f"{harmless(each)}\n" for each in lines]
            parts.append("\n")
    return Content.assemble(*parts)


def _reasons(evaluated: Evaluated) -> Iterator[str]:
    for step, remark in evaluated.remarks.items():
        yield f"step {step:,}: {remark}" if isinstance(step, int) else remark
    for step, reasons in evaluated.verdict.against.items():
        if reasons:
            yield f"step {step:,}: {'; '.join(reasons)}"


def _columns(evaluated: Evaluated) -> Iterator[str]:
    table = evaluated.table
    if any(not table.is_complete(row) for row in table.rows):
        yield f"LINES: {MEANINGS[LINES]}"
    if any(row.loss is not None for row in table.rows):
        yield f"LOSS: {MEANINGS[LOSS]}"
    for column in table.columns:
        yield f"{HEADINGS.get(column.name, column.title.upper())}: {MEANINGS.get(column.name, column.title)}"
