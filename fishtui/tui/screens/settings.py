"""Settings: every value with its source, by sections, searched and edited; and the checks of the doctor."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any, ClassVar

from rich.cells import cell_len
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Input
from textual.worker import get_current_worker

from fishtui import settings
from fishtui.errors import FishtuiError
from fishtui.glyphs import CURSOR, SIGN
from fishtui.selftest.line import SHOWN
from fishtui.settings import DEFAULT, SettingError, SettingRow
from fishtui.settings.masking import is_secret, masked
from fishtui.tui.commands import document_of, run_fishtui
from fishtui.tui.dialogs import Ask
from fishtui.tui.screen import MainScreen
from fishtui.tui.widgets.exactinput import ExactInput
from fishtui.tui.widgets.line import Line, fitted
from fishtui.tui.widgets.lines import KeyedText, Lines
from fishtui.tui.widgets.panetitle import PaneTitle
from fishtui.tui.widgets.scrollpane import ScrollPane
from fishtui.tui.widgets.signs import sign

# States of the doctor's findings, the worst first.
STATES = ("error", "warning", "ok", "due", "excluded")


class SettingList(Lines):
    """The settings, to choose one."""

    POINTER = CURSOR
    DEFAULT_CSS = "SettingList { height: 1fr; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "select", "edit", tooltip="edit the setting in fishtui.toml"),
    ]


class SearchInput(ExactInput):
    """The words to search for; the list below follows them."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "submit", "choose", tooltip="move to the list of what was found"),
        Binding("down", "submit", "choose", show=False),
        Binding("escape", "screen.back", "all settings", tooltip="show all settings again"),
    ]


class Settings(MainScreen[list[SettingRow]]):
    """The settings of the project, and the doctor."""

    NAME = "Settings"
    DEFAULT_CSS = """
    Settings #search { display: none; height: 1; border: none; padding: 0 1; }
    Settings #help { height: 1; padding: 0 1; color: $text-muted; text-wrap: nowrap; text-overflow: ellipsis; }
    Settings #doctor { height: auto; max-height: 9; padding: 0 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "search", "search", key_display="/", tooltip="show the settings that have words"),
        Binding("d", "unset", "reset", tooltip="reset the setting to its default: remove it from fishtui.toml"),
        Binding("D", "doctor", "doctor", tooltip="check this machine and project for problems"),
        Binding("M", "check_model", "check the model", show=False, tooltip="test the model on this machine"),
        Binding("t", "app.change_theme", "theme", tooltip="change the colors"),
        Binding("escape", "back", "back", show=False, tooltip="show all settings again"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[SettingRow] = []
        # The setting to go to as soon as it is in the list.
        self._target = ""

    def compose_body(self) -> ComposeResult:
        yield SearchInput(placeholder="words of a name, value or help", id="search", compact=True)
        yield SettingList(id="settings")
        yield Line(id="help")
        yield PaneTitle("Doctor", id="doctor-title")
        with ScrollPane(id="doctor"):
            yield Line("Press D to check for problems.", id="findings")

    def on_mount(self) -> None:
        self.set_focus(self._list)

    def read(self) -> list[SettingRow]:
        return settings.rows(self.fishtui.loaded)

    def show(self, snapshot: list[SettingRow]) -> None:
        if snapshot == self.rows:
            return
        self.rows = snapshot
        self._show_rows()
        self._explain()
        self._go_to_target()

    def go(self, target: str) -> None:
        """Put the cursor on a setting, as soon as it is in the list."""
        self._target = target
        if target:
            self._leave_search()
            self._go_to_target()

    def _go_to_target(self) -> None:
        if self._target and self._list.seek(self._target):
            self._target = ""

    def on_resize(self) -> None:
        self.call_after_refresh(self._show_rows)

    @property
    def _list(self) -> SettingList:
        return self.query_one(SettingList)

    @property
    def _row(self) -> SettingRow | None:
        """The setting under the cursor."""
        return next((row for row in self.rows if row.name == self._list.key), None)

    def _show_rows(self) -> None:
        found = [row for row in self.rows if _has_words(row, self._search.value)]
        width = max((cell_len(_key(row)) for row in self.rows), default=0)
        lines: list[KeyedText] = []
        section = ""
        for row in found:
            if row.name.partition(".")[0] != section:
                section = row.name.partition(".")[0]
                lines.append((None, Content.styled(f"[{section}]", "bold $text-accent")))
            lines.append((row.name, _line(row, width, self._list.size.width)))
        self._list.show(lines, found[0].name if found else None)
        changed = sum(row.source != DEFAULT for row in self.rows)
        parts = [f"{changed} changed", self.fishtui.project.settings_file.name]
        parts = [f"{len(found):,} of {len(self.rows):,} settings", *parts] if self._search.value else parts
        self.query_one("#title", PaneTitle).show(" · ".join(parts))

    # The search.

    @property
    def _search(self) -> Input:
        return self.query_one("#search", Input)

    def action_search(self) -> None:
        """Show only settings with all words that are typed."""
        self._search.display = True
        self.set_focus(self._search)

    @on(Input.Changed, "#search")
    def _filter(self) -> None:
        self._show_rows()
        self._explain()

    @on(Input.Submitted, "#search")
    def _choose(self) -> None:
        if not self._search.value:
            self._search.display = False
        self.set_focus(self._list)

    def action_back(self) -> None:
        self._leave_search()

    def _leave_search(self) -> None:
        self._search.value = ""
        self._search.display = False
        self.set_focus(self._list)

    @on(SettingList.Moved)
    def _explain(self) -> None:
        row = self._row
        text = f"{row.name}, from {row.source}: {row.help}" if row is not None else "no setting has all of these words"
        self.query_one("#help", Line).show(text if self.rows else "")

    @on(SettingList.Opened)
    def _open(self) -> None:
        self.action_edit()

    @work(exclusive=True, group="edit")
    async def action_edit(self) -> None:
        row = self._row
        if row is None or self._is_fixed(row):
            return
        # A secret is typed again: the row has only a mask of it.
        value, notes = "" if _is_secret(row.name) else row.value, [row.help]
        while (answer := await self.app.push_screen_wait(Ask(row.name, value, notes))) is not None:
            try:
                await self._change(row.name, answer)
                return
            except SettingError as error:
                notes, value = [row.help, f"✗ {error.reason}"], answer
            except FishtuiError as error:
                notes, value = [row.help, f"✗ {error.problem}"], answer

    @work(group="unset")
    async def action_unset(self) -> None:
        row = self._row
        if row is not None and not self._is_fixed(row):
            try:
                await self._change(row.name, None)
            except FishtuiError as error:
                self.fishtui.report_error(error)

    def _is_fixed(self, row: SettingRow) -> bool:
        """Return True, and report it, if an environment variable overrides the file."""
        is_fixed = row.source.startswith("$")
        if is_fixed:
            remedy = "Unset the variable and start fishtui again."
            self.fishtui.report_error(FishtuiError(f"{row.name}: set by {row.source}", remedy, code="fixed-setting"))
        return is_fixed

    async def _change(self, name: str, text: str | None) -> None:
        """Write a setting, in a thread because disks may be slow. Raises FishtuiError."""
        from fishtui.settings.file import change

        await asyncio.to_thread(change, self.fishtui.project.settings_file, name, text)
        warning = settings.missing_path(name, text or "", self.fishtui.project.root)
        shown = masked(text) if _is_secret(name) else text
        done = f"{name} is reset to its default" if text is None else f"{name} is {shown}"
        self.fishtui.report(done)
        if warning:
            self.fishtui.report(f"{SIGN['warning']} {warning}")
        self.reload()

    def action_doctor(self) -> None:
        self.query_one("#findings", Line).show("checking …")
        self._doctor()

    def action_check_model(self) -> None:
        self.query_one("#findings", Line).show("testing the model, for at most two minutes …")
        self._doctor("--model")

    @work(thread=True, exclusive=True, group="doctor", exit_on_error=False)
    def _doctor(self, *options: str) -> None:
        is_stale = partial(getattr, get_current_worker(), "is_cancelled")
        try:
            found = document_of(run_fishtui(["doctor", *options, "--json"], self.fishtui.project, is_stale))
            if isinstance(found, dict):
                found = [{**line, "state": SHOWN[line["state"]]} for line in found["lines"]]
        except FishtuiError as error:
            found = [{"state": "error", "name": "doctor", "found": error.problem, "remedy": error.remedy}]
        if not is_stale():
            self.app.call_from_thread(self._show_findings, found)

    def _show_findings(self, found: list[dict[str, Any]]) -> None:
        lines = []
        for each in sorted(found, key=lambda each: STATES.index(each["state"])):
            lines.append(Content.assemble(sign(each["state"]), f" {each['name']:<11} {each['found']}"))
            if each["remedy"]:
                lines.append(Content.styled(f"  {'':<11} {each['remedy']}", "dim"))
        self.query_one("#findings", Line).show(Content("\n").join(lines))
        problems = sum(each["state"] in ("error", "warning") for each in found)
        self.query_one("#doctor-title", PaneTitle).show(f"problems: {problems}" if problems else "no problems")


def _is_secret(name: str) -> bool:
    return is_secret(settings.known()[name].type)


def _line(row: SettingRow, name_width: int, width: int) -> Content:
    is_set = row.source != DEFAULT
    value = fitted(row.value, max(width - name_width - 21, 10))
    return Content.assemble(
        (f"  {_key(row):<{name_width}}  ", "bold" if is_set else ""),
        f"{value}  ",
        (row.source, "" if is_set else "dim"),
    )


def _key(row: SettingRow) -> str:
    """The name of a setting in its section."""
    return row.name.partition(".")[2]


def _has_words(row: SettingRow, text: str) -> bool:
    """Return true if the setting has every word of `text`."""
    there = " ".join((row.name, row.value, row.source, row.help)).casefold()
    return all(word in there for word in text.casefold().split())
