"""A blind comparison: two versions of a line without their names, and which is better."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen

from fishtui.errors import FishtuiError
from fishtui.evaluation.blind import ENOUGH, Decision, step_name
from fishtui.listen.blindtest import describe_tally
from fishtui.sanitize import harmless
from fishtui.tui.ascii import spell_keys
from fishtui.tui.blindsession import BlindSession
from fishtui.tui.host import host_of
from fishtui.tui.widgets.line import Line

NAMES = ("version 1", "version 2")
HALF_HEARD = "listen to both versions first; → plays the second"
UNHEARD = "not heard: no page is open; press L for its address, then space"
KEYS = "space both again   ← first   → second   u previous line   esc leave"
KEYS_ON_LOW_SCREEN = "space both  ← →  u back  esc leave"
# On a lower screen, only the last line of the tally fits between the text and the keys.
LEAST_HEIGHT = 18
KEYS_AT_END = "u previous line   esc leave"


class BlindComparison(ModalScreen[None]):
    """One trial after the other; each decision is stored at once, so that leaving loses none."""

    VERTICAL_BREAKPOINTS = [(0, "-low"), (LEAST_HEIGHT, "-high")]  # noqa: RUF012
    DEFAULT_CSS = """
    BlindComparison .gap { margin-top: 1; }
    BlindComparison #text { margin-top: 1; max-height: 5; }
    BlindComparison .keys { height: auto; }
    BlindComparison.-low .dialog { padding: 0 1; }
    BlindComparison.-low #text { max-height: 2; }
    BlindComparison.-low .gap, BlindComparison.-low #text, BlindComparison.-low .keys { margin-top: 0; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("1", "decide(1)", "first", tooltip="the first version is better"),
        Binding("2", "decide(2)", "second", tooltip="the second version is better"),
        Binding("0", "decide(0)", "no difference", tooltip="no difference"),
        Binding("space,enter", "listen", "both again", tooltip="play both versions again"),
        Binding("left,h", "listen(0)", "play first", tooltip="play the first version"),
        Binding("right,l", "listen(1)", "play second", tooltip="play the second version"),
        Binding("L", "serve", "serve", tooltip="listen in a browser, also on another computer"),
        Binding("u,backspace", "undo", "previous line", tooltip="return to the trial before, to decide again"),
        Binding("escape,q", "leave", "leave", tooltip="leave; decisions are kept"),
    ]

    def __init__(self, session: BlindSession) -> None:
        super().__init__()
        self.session = session

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Line(id="title")
            yield Line(id="text")
            yield Line(id="question", classes="gap")
            yield Line(id="tally", classes="gap")
            yield Line(KEYS, id="keys", classes="keys")

    def on_mount(self) -> None:
        self._show()
        self.action_listen()

    def on_resize(self) -> None:
        self._show()

    def _show(self) -> None:
        session = self.session
        trial, tally = session.trial, session.tally
        names = f"{step_name(session.one)} and {step_name(session.other)}"
        self.query_one("#title", Line).show(f"Blind comparison of {names} · {tally.decisions:,} of {tally.trials:,}")
        self.query_one("#text", Line).show(
            f'"{trial.first.line.text}"' if trial else "Every line with both recordings is decided."
        )
        question = "Which sounds better?   1 first   2 second   0 no difference" if trial else ""
        self.query_one("#question", Line).show(Content.assemble((question, "bold")))
        is_low = self.size.height < LEAST_HEIGHT
        self.query_one("#keys", Line).show(
            spell_keys((KEYS_ON_LOW_SCREEN if is_low else KEYS) if trial else KEYS_AT_END, host_of(self).ascii)
        )
        self.query_one("#question", Line).display = trial is not None
        self.query_one("#text", Line).display = trial is not None or not is_low
        missing = min(ENOUGH, tally.trials) - tally.decisions
        is_shown = tally.is_shown or trial is None
        lines = describe_tally(tally)
        if is_low:
            lines = lines[-1:]
        result = "; ".join(lines) if is_shown else f"The result is shown after {missing:,} more."
        self.query_one("#tally", Line).show(Content.assemble((harmless(result), "" if is_shown else "dim")))

    async def action_decide(self, decision: Decision) -> None:
        trial = self.session.trial
        if trial is None:
            return
        # A decision on what nobody heard would spoil the tally.
        if host_of(self).is_unheard or not host_of(self).has_begun(self.session.paths(trial)):
            host_of(self).report(UNHEARD if host_of(self).is_unheard else spell_keys(HALF_HEARD, host_of(self).ascii))
            return
        try:
            await asyncio.to_thread(self.session.decide, decision)
        except FishtuiError as error:
            host_of(self).report_error(error)
            return
        self._show()
        self.action_listen()

    def action_undo(self) -> None:
        if self.session.back():
            self._show()
            self.action_listen()

    def action_serve(self) -> None:
        self.action_listen(serve=True)

    def action_listen(self, only: int | None = None, serve: bool = False) -> None:
        """Play both versions, or only one."""
        trial = self.session.trial
        if trial is None:
            return
        kept = range(2) if only is None else [only]
        paths = self.session.paths(trial)
        text = trial.first.line.text
        # The names of the files, and the texts of the page, do not show which version is which.
        host_of(self).listen([paths[at] for at in kept], serve, [f"{NAMES[at]}: {text}" for at in kept])

    def action_leave(self) -> None:
        self.dismiss()
