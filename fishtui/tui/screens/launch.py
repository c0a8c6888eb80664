"""Launch: a form for each stage, what it would do, and the command that does it."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Any, ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.message import Message
from textual.suggester import SuggestFromList
from textual.timer import Timer
from textual.widgets import Input, Static, Tab, Tabs
from textual.worker import get_current_worker

from fishtui.cli import forms
from fishtui.errors import FishtuiError
from fishtui.glyphs import SIGN
from fishtui.sanitize import harmless
from fishtui.tui.commands import document_of, run_fishtui
from fishtui.tui.screen import MainScreen, color_sign
from fishtui.tui.widgets.exactinput import ExactInput
from fishtui.tui.widgets.panetitle import PaneTitle
from fishtui.wording import format_value

# Seconds without a key until what would happen is worked out.
PAUSE = 0.6


@dataclass(frozen=True)
class Snapshot:
    """The settings in force: each one's value as one types it, and where it comes from."""

    values: dict[str, str]
    sources: dict[str, str]


@dataclass(frozen=True)
class Preview:
    """What a command would do, or why it can't, in lines."""

    words: list[str]
    lines: list[str]
    fault: bool = False


# The form scrolls by these keys unless its fields take them.
BETWEEN: list[BindingType] = [
    Binding("down", "app.focus_next", "next field", key_display="↓"),
    Binding("up", "app.focus_previous", "field before", show=False),
]


class Toggle(Static, can_focus=True):
    """A yes or no, as `[x]`; enter or space turns it."""

    DEFAULT_CSS = "Toggle:focus { text-style: reverse; }"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("space,enter", "turn", "turn", key_display="space"), *BETWEEN]

    class Turned(Message):
        """It was turned."""

    def __init__(self) -> None:
        super().__init__("[ ]", markup=False)
        self.value = False

    def turn(self, value: bool) -> None:
        """Set it."""
        if value != self.value:
            self.value = value
            self.update("[x]" if value else "[ ]")
            self.post_message(self.Turned())

    def action_turn(self) -> None:
        self.turn(not self.value)


class Given(ExactInput):
    """What is given for a field; its keys are told, since those of the screen are for typing here."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "submit", "start it", tooltip="start it in the background, or queue it"),
        *BETWEEN,
        Binding("ctrl+r", "screen.reset", "as it was", tooltip="take back all that was given here"),
        Binding("escape", "screen.leave", "leave the form", tooltip="give the keys back to the screen"),
    ]


class Row(Horizontal):
    """A field of the form: its name, its value, where that comes from, and what is wrong with it."""

    DEFAULT_CSS = """
    Row { height: 1; }
    Row .name { width: 30; padding-left: 1; }
    Row Input { width: 1fr; }
    Row Toggle { width: 3; }
    Row .rest { width: 1fr; }
    Row .source { width: 20; padding-left: 1; color: $text-muted; }
    Row.-wrong .source { color: $text-error; }
    Row:focus-within .name { text-style: bold; color: $text-accent; }
    """

    def __init__(self, field: forms.Field, given: str = "") -> None:
        super().__init__()
        self.field = field
        self.given = given

    def compose(self) -> ComposeResult:
        name = self.field.setting or self.field.option.removeprefix("--") or self.field.name
        yield Static(name, markup=False, classes="name")
        if self.field.flag:
            yield Toggle()
            yield Static(classes="rest")
        else:
            suggester = SuggestFromList(self.field.choices) if self.field.choices else None
            yield Given(self.given, compact=True, suggester=suggester, select_on_focus=False)
        yield Static("", markup=False, classes="source")

    def begin(self, value: str) -> None:
        """Fill it in, if nobody has yet."""
        if value and not self.value:
            self.given = value
            self.query_one(Input).value = value

    @property
    def value(self) -> str:
        """What was given, empty where the default is to stand."""
        if self.field.flag:
            return "yes" if self.query_one(Toggle).value else ""
        return self.query_one(Input).value.strip()

    def say(self, snapshot: Snapshot, problem: str | None) -> None:
        """Show the value that stands without ours, and what is wrong with ours."""
        source = self.query_one(".source", Static)
        self.set_class(problem is not None, "-wrong")
        default = snapshot.values.get(self.field.default, "")
        if not self.field.flag:
            needed = "required" if self.field.required else ""
            self.query_one(Input).placeholder = harmless(default or needed or ", ".join(self.field.choices))
        if problem:
            source.update(harmless(problem))
        elif self.value:
            source.update("given here")
        elif self.field.default:
            source.update(harmless(snapshot.sources.get(self.field.default, "default")))
        else:
            source.update("")


class Launch(MainScreen[Snapshot]):
    """Start a stage."""

    NAME = "Launch"
    DEFAULT_CSS = """
    Launch Tabs { height: 2; }
    Launch #form { height: 1fr; }
    Launch #help { height: 1; padding: 0 1; color: $text-muted; }
    Launch #preview { height: auto; max-height: 6; padding: 0 1; }
    Launch #command { height: auto; max-height: 3; padding: 0 1; text-style: bold; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "launch", "start it", tooltip="start it in the background, or queue it"),
        Binding("ctrl+right", "stage(1)", "next stage", key_display="^→", tooltip="the form of the next stage"),
        Binding("ctrl+left", "stage(-1)", "stage before", show=False, tooltip="the form of the stage before"),
        Binding("down", "app.focus_next", "next field", show=False),
        Binding("up", "app.focus_previous", "field before", show=False),
        Binding("ctrl+r", "reset", "as it was", show=False, tooltip="take back all that was given here"),
        Binding("ctrl+y", "copy", "copy command", show=False, tooltip="copy the command to the clipboard"),
        Binding("escape", "leave", "leave the form", show=False, tooltip="give the keys back to the screen"),
    ]

    class Previewed(Message):
        """What a command would do."""

        def __init__(self, preview: Preview) -> None:
            super().__init__()
            self.preview = preview

    def __init__(self) -> None:
        super().__init__()
        self.stage = "train"
        self.now = Snapshot({}, {})
        self.wrong: dict[str, str] = {}
        self.pause: Timer | None = None
        # While the form of another stage is put up, there is nothing to read from it.
        self.forming = True

    def compose_body(self) -> ComposeResult:
        yield Tabs(*(Tab(stage, id=stage) for stage in forms.STAGES), active=self.stage)
        yield VerticalScroll(id="form", can_focus=False)
        yield Static("", id="help", markup=False)
        yield PaneTitle("What would happen", id="preview-title")
        yield Static("", id="preview", markup=False)
        yield Static("", id="command", markup=False)

    def read(self) -> Snapshot:
        import msgspec

        loaded = self.fishtui.loaded
        tables: dict[str, dict[str, Any]] = msgspec.to_builtins(loaded.values)
        values = {
            f"{section}.{key}": format_value(value) for section, table in tables.items() for key, value in table.items()
        }
        return Snapshot(values, dict(loaded.sources))

    def show(self, snapshot: Snapshot) -> None:
        if snapshot != self.now:
            first = not self.now.values
            self.now = snapshot
            for row in self.query(Row) if first and not self.forming else ():
                row.begin(self._begin(row.field))
            self.check()

    def go(self, target: str) -> None:
        if target in forms.STAGES:
            self.query_one(Tabs).active = target

    @on(Tabs.TabActivated)
    async def change_stage(self, event: Tabs.TabActivated) -> None:
        """Show the form of another stage."""
        self.forming, self.stage = True, str(event.tab.id)
        form = self.query_one("#form", VerticalScroll)
        await form.remove_children()
        await form.mount_all(Row(field, self._begin(field)) for field in forms.fields(self.stage))
        form.scroll_home(animate=False)
        self.forming = False
        for row in self.query(Row):
            row.begin(self._begin(row.field))
        self.check()

    def _begin(self, field: forms.Field) -> str:
        """What the form has filled in already: the training that the settings name."""
        return self.now.values.get("run.name", "") if field.name == "name" else ""

    @on(Input.Changed)
    @on(Toggle.Turned)
    def check(self) -> None:
        """Look at what is given, and work out what it would do once nothing is typed any more."""
        if self.forming:
            return
        self.wrong = dict(forms.problems(self.stage, self.values(), self.fishtui.project.settings_file))
        for row in self.query(Row):
            row.say(self.now, self.wrong.get(row.field.name))
        self.query_one("#command", Static).update(harmless(f"$ fishtui {shlex.join(self.words())}"))
        if self.pause is not None:
            self.pause.stop()
        if self.wrong:
            names = ", ".join(self.wrong)
            self.query_one("#preview", Static).update(harmless(f"mend first: {names}"))
        else:
            self.pause = self.set_timer(PAUSE, self.preview)

    def on_descendant_focus(self) -> None:
        row = next((row for row in self.query(Row) if row.has_focus_within), None)
        help = f"{row.field.help}." if row is not None else ""
        if row is not None and row.field.choices:
            help += f" One of {', '.join(row.field.choices)}."
        self.query_one("#help", Static).update(harmless(help))

    def values(self) -> dict[str, str]:
        """What was given, by the fields' names."""
        return {row.field.name: row.value for row in self.query(Row)}

    def words(self) -> list[str]:
        """The words after `fishtui` of the command that the form stands for."""
        return forms.command(self.stage, self.values())

    def preview(self) -> None:
        """Work out what the command would do."""
        self.query_one("#preview", Static).update("working it out …")
        self._preview(self.words())

    @work(thread=True, exclusive=True, group="preview", exit_on_error=False)
    def _preview(self, words: list[str]) -> None:
        worker = get_current_worker()
        answer = run_fishtui([*words, "--dry-run", "--json"], self.fishtui.project, lambda: worker.is_cancelled)
        if worker.is_cancelled:
            return
        try:
            preview = Preview(words, _preview_lines(document_of(answer)))
        except FishtuiError as error:
            preview = Preview(words, str(error).splitlines(), fault=True)
        self.post_message(self.Previewed(preview))

    @on(Previewed)
    def show_preview(self, message: Previewed) -> None:
        """Show what the command would do, if it still is the form's."""
        preview = message.preview
        if self.wrong or preview.words != self.words():
            return
        lines = [Text(harmless(line), no_wrap=True, overflow="ellipsis") for line in preview.lines]
        if preview.fault:
            lines[0] = color_sign(self.app, "✗").append(" ").append_text(lines[0])
        self.query_one("#preview", Static).update(Text("\n").join(lines))

    @on(Input.Submitted)
    def action_launch(self) -> None:
        if self.forming or self.is_busy("launch"):
            return
        if self.wrong:
            name, problem = next(iter(self.wrong.items()))
            self.fishtui.report_error(FishtuiError(f"{name}: {problem}", code="bad-value"))
            return
        self.fishtui.report(f"starting {self.stage} …")
        self._launch(self.words())

    @work(thread=True, group="launch", exit_on_error=False)
    def _launch(self, words: list[str]) -> None:
        stage, *rest = words
        answer = run_fishtui([stage, "--detach", "--json", *rest], self.fishtui.project, keep=True)
        try:
            self.app.call_from_thread(self._launched, document_of(answer))
        except FishtuiError as error:
            self.app.call_from_thread(self.fishtui.report_error, error)

    def _launched(self, run: dict[str, Any]) -> None:
        self.fishtui.report(f"{run['stage']} {run['state']}; it goes on when you leave")
        # Whoever is elsewhere by now is not taken away from there.
        if self.is_current:
            # Nor are keys to go into a field when one is back.
            self.action_leave()
            self.fishtui.go("runs", run["id"])

    def action_stage(self, by: int) -> None:
        # The one that is shown may still be on its way.
        at = forms.STAGES.index(self.query_one(Tabs).active)
        self.query_one(Tabs).active = forms.STAGES[(at + by) % len(forms.STAGES)]

    def action_reset(self) -> None:
        if self.forming:
            return
        for row in self.query(Row):
            if row.field.flag:
                row.query_one(Toggle).turn(False)
            else:
                row.query_one(Input).value = row.given

    def action_copy(self) -> None:
        if self.forming:
            return
        self.app.copy_to_clipboard(f"fishtui {shlex.join(self.words())}")
        self.fishtui.report("the command is copied")

    def action_leave(self) -> None:
        self.set_focus(self.query_one(Tabs))


def _preview_lines(content: Any) -> list[str]:
    """The document of a dry run in lines: a plan, or a ledger."""
    if isinstance(content, list):
        return [f"{SIGN[each['state']]} {each['stage']:<11} {each['reason']}" for each in content]
    from fishtui.runs import ledger

    return list(ledger.describe_ledger(content["ledger"], "would be done"))
