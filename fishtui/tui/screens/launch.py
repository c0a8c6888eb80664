"""Launch: a form for each stage, a preview of its effect, and the command that starts it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.timer import Timer
from textual.widgets import Input, Tab, Tabs
from textual.worker import get_current_worker

from fishtui import settings
from fishtui.cli import forms
from fishtui.cli.drafts import Draft, draft_of
from fishtui.cli.forms import REQUIRED
from fishtui.errors import FishtuiError
from fishtui.runs import record as records
from fishtui.runs.command import PREVIEW
from fishtui.runs.ledger import describe_ledger
from fishtui.stage import TRAIN, stage_names
from fishtui.tui.ascii import spell_keys
from fishtui.tui.candidates import Candidate, Place, find_candidates, has_candidates
from fishtui.tui.commands import document_of, run_fishtui
from fishtui.tui.screen import MainScreen
from fishtui.tui.widgets.chooser import Chooser
from fishtui.tui.widgets.formfield import FormField, SettingValues, Toggle
from fishtui.tui.widgets.line import Line
from fishtui.tui.widgets.panetitle import PaneTitle
from fishtui.tui.widgets.signs import sign

# Characters of a name that has room next to a wide value.
SHORT = 22
# While no field has the focus.
HINT = "← → other stages   ↓ the fields of this one"
# Seconds without a key before the preview is computed.
PAUSE = 0.6
COMPUTING = "computing …"


@dataclass(frozen=True)
class LeftForm:
    """A form that another stage has replaced: the values of its fields, the other words, and its title."""

    values: Mapping[str, str]
    others: Sequence[str]
    title: str


class Launch(MainScreen[SettingValues]):
    """Start a stage."""

    NAME = "Launch"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (64, "-usual")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-low"), (18, "-high")]  # noqa: RUF012
    DEFAULT_CSS = """
    Launch Tabs { height: 2; }
    Launch #form { height: 1fr; }
    Launch #help { height: 2; padding: 0 1; color: $text-muted; }
    Launch #preview { height: auto; max-height: 7; padding: 0 1; }
    /* There is room for a line of each stage of the pipeline. */
    Launch #preview.-plan { text-wrap: nowrap; text-overflow: ellipsis; }
    Launch #command { height: auto; max-height: 3; padding: 0 1; text-style: bold; }
    Launch #form.-long .name { width: 34; }
    Launch.-narrow FormField .name, Launch.-narrow #form.-long .name { width: 19; }
    Launch.-narrow FormField .source { display: none; }
    Launch.-narrow FormField.-wrong .source { display: block; width: 1fr; }
    Launch.-low Tabs { height: 1; }
    Launch.-low #help { height: 1; text-wrap: nowrap; text-overflow: ellipsis; }
    Launch.-low #preview-title { display: none; }
    Launch.-low #preview, Launch.-low #command { max-height: 1; text-wrap: nowrap; text-overflow: ellipsis; }
    Launch.-low #preview.-refused { max-height: 3; text-wrap: wrap; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "launch", "start", tooltip="start the stage in the background, or queue it"),
        Binding("ctrl+right", "stage(1)", "next stage", key_display="^→", tooltip="show the form of the next stage"),
        Binding("ctrl+left", "stage(-1)", "previous stage", show=False, tooltip="show the form of the previous stage"),
        Binding("down", "app.focus_next", "next field", show=False, tooltip="move to the next field"),
        Binding("up", "app.focus_previous", "previous field", show=False, tooltip="move to the previous field"),
        Binding("ctrl+r", "reset", "reset", show=False, tooltip="reset all fields"),
        Binding("ctrl+y", "copy", "copy command", show=False, tooltip="copy the command to the clipboard"),
        Binding("escape", "leave", "leave", show=False, tooltip="leave the form, to use the keys of the screen"),
    ]

    @dataclass
    class Previewed(Message):
        """The effect of a command, or the reason why it would fail, in lines."""

        words: list[str]
        lines: Sequence[Content]
        is_refused: bool = False

    def __init__(self) -> None:
        super().__init__()
        self.stage = TRAIN.name
        self.settings = SettingValues({}, {})
        self.wrong: dict[str, str] = {}
        self.pause: Timer | None = None
        # The command whose effect, or refusal, is shown or computed; None if that is outdated.
        self._shown_for: list[str] | None = None
        # True while the fields of another stage are mounted, and cannot be read.
        self.forming = True
        # The run whose form is shown next, and the words of its command that no field has.
        self.draft: Draft | None = None
        self.others: Sequence[str] = ()
        # The forms that were left, by stage, so that nothing typed is lost.
        self._left: dict[str, LeftForm] = {}

    def compose_body(self) -> ComposeResult:
        yield Tabs(*(Tab(stage, id=stage) for stage in stage_names()), active=self.stage)
        yield VerticalScroll(id="form", can_focus=False)
        yield Line(id="help")
        yield PaneTitle("Preview", id="preview-title")
        yield Line(id="preview")
        yield Line(id="command")

    def read(self) -> SettingValues:
        loaded = self.fishtui.loaded
        return SettingValues({row.name: row.value for row in settings.rows(loaded)}, dict(loaded.sources))

    def show(self, snapshot: SettingValues) -> None:
        if snapshot != self.settings:
            is_first = not self.settings.values
            self.settings, self._shown_for = snapshot, None
            if is_first and not self.forming:
                self._begin()
            self.check()

    def go(self, target: str) -> None:
        """Show the form of a stage; for the id of a run, the form with its values."""
        if target in stage_names():
            self.query_one(Tabs).active = target
        elif target:
            self._read_draft(target)

    @work(thread=True, exclusive=True, group="draft", exit_on_error=False)
    def _read_draft(self, run_id: str) -> None:
        project = self.fishtui.project
        try:
            found = draft_of(project, records.read(project.runs / run_id), self.fishtui.loaded)
            self.app.call_from_thread(self._take_draft, found)
        except FishtuiError as error:
            self.app.call_from_thread(self.fishtui.report_error, error)

    def _take_draft(self, draft: Draft) -> None:
        self.draft = draft
        if draft.stage == self.stage and not self.forming:
            self._begin()
            self.check()
        else:
            self.query_one(Tabs).active = draft.stage

    @property
    def _fields(self) -> Sequence[FormField]:
        return list(self.query(FormField))

    @on(Tabs.TabActivated)
    async def change_stage(self, event: Tabs.TabActivated) -> None:
        """Show the form of another stage."""
        title = self.query_one("#title", PaneTitle)
        if not self.forming:
            changed = {each.field.name: each.value for each in self._fields if each.value != each.initial}
            self._left[self.stage] = LeftForm(changed, self.others, title.summary)
        self.forming, self.stage, self.others, self._shown_for = True, str(event.tab.id), (), None
        title.show("")
        form = self.query_one("#form", VerticalScroll)
        await form.remove_children()
        await form.mount_all(FormField(self.stage, each, self._initial(each)) for each in forms.fields(self.stage))
        if not all(each.children for each in self._fields):
            # The app ends while the fields are mounted.
            return
        # Settings of other sections have long names.
        form.set_class(any(len(each.title) > SHORT for each in self._fields), "-long")
        form.scroll_home(animate=False)
        self.forming = False
        self._begin()
        self.check()

    def _begin(self) -> None:
        for each in self._fields:
            each.begin(self._initial(each.field))
        if (left := self._left.pop(self.stage, None)) is not None:
            for each in self._fields:
                each.fill(left.values.get(each.field.name, each.initial))
            self.others = left.others
            self.query_one("#title", PaneTitle).show(left.title)
        if self.draft is not None and self.draft.stage == self.stage:
            draft, self.draft = self.draft, None
            self.others = draft.others
            for each in self._fields:
                each.fill(draft.values.get(each.field.name, ""))
            self.query_one("#title", PaneTitle).show(f"as in {draft.run}")
            # The first field is where a change begins.
            self._fields[0].focus_value()

    def _initial(self, field: forms.Field) -> str:
        """The value that a field begins with: for a training's name, that of the settings."""
        return self.settings.values.get("run.name", "") if field.name == "name" else ""

    @on(Input.Changed)
    @on(Toggle.Switched)
    def check(self) -> None:
        """Check the values, and preview the command after a pause in typing."""
        if self.forming:
            return
        self.wrong = dict(forms.problems(self.stage, self.values(), self.fishtui.project.settings_file))
        for each in self._fields:
            each.show(self.settings, self.wrong.get(each.field.name))
        self._explain()
        self.query_one("#command", Line).show(f"$ fishtui {shlex.join(self.words())}")
        if self.wrong:
            self._stop_preview()
            self._show_effect([Content(f"fix first: {', '.join(self.wrong)}")])
        elif self._shown_for != self.words():
            self._stop_preview(self.words())
            self.pause = self.set_timer(PAUSE, self.preview)

    def on_descendant_focus(self) -> None:
        self._explain()

    def _explain(self) -> None:
        """Show the help of the field that has the focus, or what is wrong with its value: there is more room for it."""
        field = self._focused.field if self._focused is not None else None
        help = f"{field.help}." if field is not None else spell_keys(HINT, self.fishtui.ascii)
        if field is not None and field.setting:
            help = f"{field.setting}: {help}"
        if field is not None and field.choices:
            help += f" One of {', '.join(field.choices)}."
        problem = self.wrong.get(field.name) if field is not None else None
        if problem == REQUIRED:
            problem = f"{problem}: {help}"
        self.query_one("#help", Line).show(Content.assemble(sign("error"), f" {problem}") if problem else help)

    def values(self) -> dict[str, str]:
        """Return the values as they were typed, by the names of the fields."""
        return {each.field.name: each.value for each in self._fields}

    def words(self) -> list[str]:
        """Return the words of the command after `fishtui`."""
        return [*forms.command(self.stage, self.values()), *self.others]

    def on_screen_resume(self) -> None:
        # The project may have changed, for example by a run.
        if not (self.forming or self.wrong or self.is_busy("launch")):
            self._preview(self.words())

    def _stop_preview(self, words: list[str] | None = None) -> None:
        """Show no effect that was computed before; what is shown next is about the command `words`."""
        self._shown_for = words
        if self.pause is not None:
            self.pause.stop()
        self.workers.cancel_group(self, "preview")

    def preview(self) -> None:
        """Start to compute the effect of the command."""
        if self.wrong:
            # A value became wrong after the pause.
            return
        self._show_effect([Content(COMPUTING)])
        self._preview(self.words())

    def _show_effect(self, lines: Sequence[Content], title: str = "Preview", *, is_refused: bool = False) -> None:
        """Show the effect of the command, or the error that refuses it."""
        preview = self.query_one("#preview", Line)
        preview.set_class(is_refused, "-refused")
        preview.set_class(self.stage == "run" and not is_refused, "-plan")
        preview.show(Content("\n").join(lines))
        self.query_one("#preview-title", PaneTitle).show("", title)

    def _error(self, error: FishtuiError) -> list[Content]:
        shorten = self.fishtui.project.shorten_paths
        return [Content.assemble(sign("error"), f" {shorten(error.problem)}"), Content(error.remedy)]

    @work(thread=True, exclusive=True, group="preview", exit_on_error=False)
    def _preview(self, words: list[str]) -> None:
        worker = get_current_worker()
        dry_run = [*words, "--dry-run", "--json"]
        answer = run_fishtui(dry_run, self.fishtui.project, lambda: worker.is_cancelled, variables={PREVIEW: "1"})
        if worker.is_cancelled:
            return
        try:
            self.post_message(self.Previewed(words, _preview_lines(document_of(answer))))
        except FishtuiError as error:
            self.post_message(self.Previewed(words, self._error(error), True))

    @on(Previewed)
    def _show_preview(self, message: Previewed) -> None:
        # The form may have changed in the meantime.
        if not self.wrong and message.words == self.words():
            self._show_effect(message.lines, is_refused=message.is_refused)

    @on(Input.Submitted)
    def action_launch(self) -> None:
        if self.forming or self.is_busy("launch"):
            return
        if self.wrong:
            # The help below the form shows what is wrong with it.
            next(each for each in self._fields if each.field.name in self.wrong).focus_value()
            return
        # Not as a message, which would cover the form.
        self._show_effect([Content(f"starting {self.stage} …")])
        self._stop_preview(self.words())
        self._launch(self.words())

    @work(thread=True, group="launch", exit_on_error=False)
    def _launch(self, words: list[str]) -> None:
        stage, *rest = words
        answer = run_fishtui([stage, "--detach", "--json", *rest], self.fishtui.project, keep=True)
        try:
            self.app.call_from_thread(self._show_launched, document_of(answer))
        except FishtuiError as error:
            self.app.call_from_thread(self._show_refusal, error)

    def _show_refusal(self, error: FishtuiError) -> None:
        """Show why the stage was not started, in place of its preview."""
        self._show_effect(self._error(error), "Not started", is_refused=True)
        if not self.is_current:
            self.fishtui.report_error(error)

    def _show_launched(self, run: dict[str, Any]) -> None:
        self.fishtui.report(f"{run['stage']} is {run['state']}; it continues after you quit")
        # Only if this screen is still on top.
        if self.is_current:
            # What is seen when the screen is shown again, and computed then.
            self._show_effect([Content(COMPUTING)])
            # So that no key goes into a field when the screen is shown again.
            self.action_leave()
            self.fishtui.go("runs", run["id"])

    def action_stage(self, by: int) -> None:
        # From the active tab, because the form of its stage may not be shown yet.
        at = stage_names().index(self.query_one(Tabs).active)
        self.query_one(Tabs).active = stage_names()[(at + by) % len(stage_names())]

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "choose":
            field = self._focused
            return field is not None and has_candidates(self.stage, field.field)
        return super().check_action(action, parameters)

    @property
    def _focused(self) -> FormField | None:
        return next((each for each in self._fields if each.has_focus_within), None)

    @work(exclusive=True, group="choose")
    async def action_choose(self) -> None:
        """Choose the value of the field from a list."""
        focused = self._focused
        if focused is None or self.forming:
            return
        project, loaded, stage, values = self.fishtui.project, self.fishtui.loaded.values, self.stage, self.values()

        def find(words: str) -> list[Candidate]:
            return find_candidates(stage, focused.field, Place(project, loaded, values, words))

        answer = await self.app.push_screen_wait(Chooser(f"{focused.title}: {focused.field.help}", find))
        if answer is not None and focused.is_attached:
            focused.fill(answer)

    def action_reset(self) -> None:
        if not self.forming:
            self.others = ()
            self.query_one("#title", PaneTitle).show("")
            for each in self._fields:
                each.reset()
            self.check()

    def action_copy(self) -> None:
        if not self.forming:
            self.fishtui.copy(f"fishtui {shlex.join(self.words())}")

    def action_leave(self) -> None:
        self.set_focus(self.query_one(Tabs))


def _preview_lines(document: Any) -> list[Content]:
    """The document of a dry run, a plan or a ledger, in lines."""
    if isinstance(document, list):
        return [Content.assemble(sign(each["state"]), f" {each['stage']:<11} {each['reason']}") for each in document]
    return [Content(line) for line in describe_ledger(document["ledger"], "would be done")]
