"""Settings: every value with its source, editable; and what the doctor says of this machine."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, ClassVar

import msgspec
from rich.cells import cell_len, set_cell_size
from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from fishtui import settings
from fishtui.errors import FishtuiError
from fishtui.sanitize import harmless
from fishtui.settings import SettingError
from fishtui.tui.commands import document_of, run_fishtui
from fishtui.tui.dialogs import Ask
from fishtui.tui.screen import MainScreen
from fishtui.tui.widgets.panetitle import PaneTitle
from fishtui.wording import format_value


@dataclass(frozen=True)
class Snapshot:
    """Each setting's name, value, source and help."""

    rows: list[tuple[str, str, str, str]]


class Values(OptionList):
    """The settings, to choose one of them."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "select", "change", tooltip="change the setting in fishtui.toml"),
        Binding("j", "cursor_down", "down", show=False),
        Binding("k", "cursor_up", "up", show=False),
    ]


class Settings(MainScreen[Snapshot]):
    """This project's settings, and the doctor."""

    NAME = "Settings"
    DEFAULT_CSS = """
    Settings OptionList { height: 1fr; border: none; padding: 0; background: $background; }
    Settings OptionList:focus { border: none; }
    Settings #help { height: 1; padding: 0 1; color: $text-muted; }
    Settings #doctor { height: auto; max-height: 9; padding: 0 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("d", "unset", "default", tooltip="take the setting out of fishtui.toml: its default stands again"),
        Binding("D", "doctor", "doctor", tooltip="look for what would get in the way, and say what to do"),
        Binding("t", "app.change_theme", "theme", tooltip="change the colours"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.now = Snapshot([])

    def compose_body(self) -> ComposeResult:
        yield Values(id="settings", markup=False, compact=True)
        yield Static("", id="help", markup=False)
        yield PaneTitle("Doctor", id="doctor-title")
        with VerticalScroll(id="doctor", can_focus=True):
            yield Static("D looks for what would get in the way.", id="findings", markup=False)

    def read(self) -> Snapshot:
        loaded = self.fishtui.loaded
        tables: dict[str, dict[str, Any]] = msgspec.to_builtins(loaded.values)
        rows = []
        for each in settings.known().values():
            section, _, key = each.name.partition(".")
            source = loaded.sources.get(each.name, "default")
            rows.append((each.name, format_value(tables[section][key]), source, each.help))
        return Snapshot(rows)

    def show(self, snapshot: Snapshot) -> None:
        changed = [row for row in snapshot.rows if row[2] != "default"]
        file = self.fishtui.project.settings_file
        self.query_one("#title", PaneTitle).show(f"{len(changed)} not at their default · {file.name}")
        if snapshot == self.now:
            return
        self.now = snapshot
        self._list_all()
        if self.focused is None:
            self.set_focus(self.query_one("#settings", OptionList))

    def on_resize(self) -> None:
        self.call_after_refresh(self._list_all)

    def _list_all(self) -> None:
        rows, options = self.now.rows, self.query_one("#settings", OptionList)
        at = options.highlighted
        width = max((cell_len(row[0]) for row in rows), default=0)
        options.set_options(Option(_line(row, width, options.size.width)) for row in rows)
        options.highlighted = at or 0

    @on(OptionList.OptionHighlighted)
    def explain(self, event: OptionList.OptionHighlighted) -> None:
        """Say what the setting at the cursor is."""
        name, _, source, help = self.now.rows[event.option_index]
        self.query_one("#help", Static).update(harmless(f"{name}, from {source}: {help}"))

    @on(OptionList.OptionSelected)
    def chosen(self) -> None:
        """Change the setting at the cursor."""
        self.action_edit()

    @work(exclusive=True, group="edit")
    async def action_edit(self) -> None:
        row = self._row()
        if row is None:
            return
        if self._is_of_environment(row):
            return
        name, value, _, help = row
        notes = [help]
        while (given := await self.app.push_screen_wait(Ask(name, value, notes))) is not None:
            try:
                await self._change(name, given)
                return
            except SettingError as error:
                notes, value = [help, f"✗ {error.reason}"], given
            except FishtuiError as error:
                notes, value = [help, f"✗ {error.problem}"], given

    @work(group="unset")
    async def action_unset(self) -> None:
        row = self._row()
        if row is not None and not self._is_of_environment(row):
            try:
                await self._change(row[0], None)
            except FishtuiError as error:
                self.fishtui.report_error(error)

    def _is_of_environment(self, row: tuple[str, str, str, str]) -> bool:
        """Whether the file has no say about it; if so, tells that."""
        name, _, source, _ = row
        if source.startswith("$"):
            self.fishtui.report_error(FishtuiError(f"{name} comes from {source}", "Unset it, and start fishtui again."))
        return source.startswith("$")

    def _row(self) -> tuple[str, str, str, str] | None:
        at = self.query_one("#settings", OptionList).highlighted
        return self.now.rows[at] if at is not None and at < len(self.now.rows) else None

    async def _change(self, name: str, text: str | None) -> None:
        """Write it, in a thread, for a disk may be slow. Raises FishtuiError."""
        from fishtui.settings_file import change

        await asyncio.to_thread(change, self.fishtui.project.settings_file, name, text)
        self.fishtui.report(f"{name} stands at its default again" if text is None else f"{name} is {text}")
        self.reload()

    def action_doctor(self) -> None:
        self.query_one("#findings", Static).update("looking …")
        self._doctor()

    @work(thread=True, exclusive=True, group="doctor", exit_on_error=False)
    def _doctor(self) -> None:
        try:
            found = document_of(run_fishtui(["doctor", "--json"], self.fishtui.project))
        except FishtuiError as error:
            found = [{"state": "error", "name": "doctor", "found": error.problem, "remedy": error.remedy}]
        self.app.call_from_thread(self._show_findings, found)

    def _show_findings(self, found: list[dict[str, Any]]) -> None:
        signs = {"ok": "✓", "warning": "▲", "error": "✗"}
        text = Text("\n").join(
            Text(f"{signs[each['state']]} {each['name']:<11} {harmless(each['found'])}")
            + Text(f"\n  {'':<11} {harmless(each['remedy'])}" if each["remedy"] else "", style="dim")
            for each in sorted(found, key=lambda each: list(signs)[::-1].index(each["state"]))
        )
        self.query_one("#findings", Static).update(text)
        faults = sum(each["state"] != "ok" for each in found)
        self.query_one("#doctor-title", PaneTitle).show(f"{faults} to look at" if faults else "all is well")


def _line(row: tuple[str, str, str, str], name_width: int, width: int) -> Text:
    name, value, source, _ = (harmless(part) for part in row)
    room = max(width - name_width - 20, 10)
    given = source != "default"
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append(f" {name:<{name_width}}  ", style="bold" if given else "")
    return text.append(f"{set_cell_size(value, room)}  ").append(source, style="" if given else "dim")
