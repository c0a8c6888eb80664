"""A sheet for fishtui commands: typed as in a shell, with completion, history, progress and output."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
from typing import ClassVar

from rich.cells import cell_len
from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.events import Key
from textual.screen import ModalScreen
from textual.widgets import Input, Log

from fishtui.errors import FishtuiError
from fishtui.project import Project
from fishtui.runs.command import EVENTS
from fishtui.sanitize import harmless
from fishtui.tui.ascii import spell_keys
from fishtui.tui.commands import command_line, environment
from fishtui.tui.dialogs import Confirm
from fishtui.tui.host import host_of
from fishtui.tui.shellwords import candidates, last_word, words_of
from fishtui.tui.widgets.exactinput import ExactInput
from fishtui.tui.widgets.line import Line
from fishtui.wording import reason_of

MOST_LINES = 5_000
# Bytes of the longest line of output.
LONGEST = 1 << 24
BAR = 24
PLACEHOLDER = "a command, for example: stats   or: clips list finding:any"
# Options with which an import writes nothing, and those that need no question or answer it.
READS = {"--dry-run", "--help", "-h"}
ANSWERED = {"--yes", "--detach", "--json", *READS}
# Commands that make a project in a folder without one.
MAKES_PROJECT = {"import", "slice"}
KEYS = "enter run   tab complete   ↑ history   esc back; stages continue"


class CommandInput(ExactInput):
    """The command line: the shell's keys for history and completion, and the screens' keys while it is empty."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "screen.recall(-1)", "previous command", show=False),
        Binding("down", "screen.recall(1)", "next command", show=False),
        Binding("tab", "screen.complete", "complete", show=False),
        Binding("pageup", "screen.turn(-1)", "page up", show=False),
        Binding("pagedown", "screen.turn(1)", "page down", show=False),
    ]

    def on_key(self, event: Key) -> None:
        # No command begins with a digit.
        if not self.value and event.character and event.character in "123456":
            event.prevent_default()
            event.stop()
            assert isinstance(self.screen, CommandLine)
            self.screen.leave_for(event.character)


class CommandLine(ModalScreen[None]):
    """A fishtui command and its output. Stages that it starts continue after it closes."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "close", "back")]

    def __init__(self, command: str = "", at_once: bool = False, hint: str = "") -> None:
        """With `at_once` the command runs without waiting for enter; `hint` is a line below the input."""
        super().__init__()
        self.hint = hint
        self.command = command
        self.at_once = at_once
        self.process: asyncio.subprocess.Process | None = None
        # The words of the command that runs now.
        self.running: list[str] = []
        self.is_detached = False
        self.makes_project = False
        # The place in the history, counted from its end.
        self._recalled = 0

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog tall"):
            value = "" if self.at_once else self.command
            yield CommandInput(value, placeholder=PLACEHOLDER, compact=True, select_on_focus=False)
            yield Line(self.hint, id="hint", classes="muted")
            yield Log(max_lines=MOST_LINES, auto_scroll=True)
            yield Line(id="bar", classes="muted")
            yield Line(spell_keys(KEYS, host_of(self).ascii), classes="keys")

    def on_mount(self) -> None:
        self._hint(self.hint)
        self.query_one("#bar", Line).display = False
        self.query_one(Log).can_focus = False
        if self.at_once:
            self._start(shlex.split(self.command))

    @property
    def _input(self) -> CommandInput:
        return self.query_one(CommandInput)

    @property
    def _is_open(self) -> bool:
        """True if the sheet has its widgets: a worker may still run after it was closed."""
        return bool(self.query(CommandInput))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        try:
            words = words_of(event.value, host_of(self).project.root)
        except ValueError as error:
            self._write(f"error: {error}")
            return
        if words[:1] == ["fishtui"]:
            del words[0]
        if self.running:
            self._hint(f"{shlex.join(self.running)} has not ended; esc leaves it")
        elif words:
            history = host_of(self).history
            if history[-1:] != [event.value]:
                history.append(event.value)
            self._recalled = 0
            self._input.value = ""
            self._start(words)

    def on_input_changed(self, event: Input.Changed) -> None:
        if event.value:
            self._hint(self.hint)

    def action_recall(self, step: int) -> None:
        """Put an earlier command into the input, or a later one."""
        history = host_of(self).history
        self._recalled = min(max(self._recalled - step, 0), len(history))
        self._input.value = history[-self._recalled] if self._recalled else ""
        self._input.cursor_position = len(self._input.value)

    def action_turn(self, pages: int) -> None:
        """Scroll the output."""
        log = self.query_one(Log)
        log.auto_scroll = False
        log.scroll_page_down(animate=False) if pages > 0 else log.scroll_page_up(animate=False)

    @work(exclusive=True, group="complete")
    async def action_complete(self) -> None:
        """Complete the word before the cursor as a shell does, and list the candidates if there are several."""
        typed, rest = self._input.value[: self._input.cursor_position], self._input.value[self._input.cursor_position :]
        found = await asyncio.to_thread(candidates, typed, host_of(self).project)
        if not self._is_open or self._input.value != typed + rest:
            return
        last = last_word(typed)[0]
        common = os.path.commonprefix(found)  # noqa: RUF071 - characters, not folders
        if len(found) == 1 and not common.endswith("/"):
            common += " "
        if len(common) > len(last):
            begin = typed[: len(typed) - len(last)] + common
            self._input.value = begin + rest
            self._input.cursor_position = len(begin)
        # As a shell lists them, without the folder that was typed.
        names = [each[common.rfind("/") + 1 :].replace("\\", "") for each in found]
        self._hint("  ".join(names) if len(found) > 1 else "" if found else "nothing to complete")

    def _hint(self, text: str) -> None:
        hint = self.query_one("#hint", Line)
        hint.display = bool(text)
        hint.show(text)

    def leave_for(self, key: str) -> None:
        """Close the sheet and press the key of a screen."""
        self.action_close()
        self.app.simulate_key(key)

    def _write(self, line: str) -> None:
        self.query_one(Log).write_line(harmless(line))

    def _start(self, words: list[str]) -> None:
        self.running = words
        self._hint("")
        is_project = host_of(self).project.settings_file.exists()
        # Other commands refuse a folder that is not a project.
        self.makes_project = words[0] in MAKES_PROJECT and not is_project and not READS.intersection(words)
        if words[0] == "import" and not ANSWERED.intersection(words):
            self.run_command([*words, "--dry-run"], previews=words)
        else:
            self.run_command(words)

    async def _make_project(self, project: Project) -> bool:
        """Make a project in a folder without one; return False if that fails."""
        # Imported here, because most commands need none.
        from fishtui.stages.init import init

        self.makes_project = False
        try:
            for name in await asyncio.to_thread(init, project):
                self._write(f"made {name}")
        except FishtuiError as error:
            self._write(f"error: {error.problem}  {error.remedy}")
            self.running = []
            return False
        return self._is_open

    def _ask(self, words: list[str], summary: list[str]) -> None:
        """Ask whether to run the previewed command `words`."""

        def answered(answer: bool | None) -> None:
            if answer:
                self._start([*words, "--yes"])
            else:
                self._write(
                    "nothing was imported; choose columns with --column or --layout: the command is in the history"
                )

        self.app.push_screen(Confirm("Import these clips?", Text("\n".join(summary))), answered)

    @work(exclusive=True)
    async def run_command(self, words: list[str], previews: list[str] | None = None) -> None:
        """Run a command to its end and show each line as it arrives; then ask whether to run the one it `previews`."""
        log = self.query_one(Log)
        log.clear()
        log.auto_scroll = True
        project = host_of(self).project
        if self.makes_project and not await self._make_project(project):
            return
        command = harmless(f"$ fishtui {shlex.join(words)}")
        self._write(command)
        # Starting a run in the background takes a moment and must not be interrupted half-way.
        self.is_detached = "--detach" in words
        try:
            process = self.process = await self._start_process(words, project)
        except OSError as error:
            self._write(f"error: cannot start fishtui: {reason_of(error)}")
            self.running = []
            return
        assert process.stdout is not None
        await self._show_output(process.stdout)
        if not self._is_open:
            return
        status = await process.wait()
        self.running = []
        if not self._is_open:
            return
        self.query_one("#bar", Line).display = False
        if previews and status == 0:
            # What follows the command.
            lines = list(log.lines)
            self._ask(previews, lines[lines.index(command) + 1 :])
        else:
            self._write(f"exit status {status}")

    async def _start_process(self, words: list[str], project: Project) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *command_line(words, project),
            cwd=project.root if project.root.is_dir() else None,
            env={**environment(), EVENTS: "1", "COLUMNS": str(max(self.query_one(Log).size.width, 20))},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=self.is_detached,
            limit=LONGEST,
        )

    async def _show_output(self, stream: asyncio.StreamReader) -> None:
        """Show the output of a command until it ends, or the sheet is closed."""
        log = self.query_one(Log)
        while block := await stream.read(1 << 16):
            if not block.endswith(b"\n"):
                # An event must arrive whole.
                block += await stream.readline()
            if not self._is_open:
                return
            width = max(log.size.width - 2, 20)
            for line in block.decode(errors="replace").splitlines():
                if self._show_progress(line):
                    continue
                shown = harmless(line)
                if cell_len(shown) <= width:
                    log.write_line(shown)
                    continue
                log.write_lines([part.plain for part in Text(shown).wrap(self.app.console, width)])
                # Wrapping many lines takes long: let the keys in between.
                await asyncio.sleep(0)
                if not self._is_open:
                    return

    def _show_progress(self, line: str) -> bool:
        """Show an event of progress as a bar; return False if `line` is another line."""
        if not (line.startswith("{") and '"kind": "progress"' in line):
            return False
        try:
            event = json.loads(line)
            if event["kind"] != "progress":
                return False
            done, total = int(event["done"]), int(event["total"])
            unit, note = str(event["unit"]), harmless(str(event["note"]))
        except (ValueError, TypeError, LookupError):
            return False
        bar = self.query_one("#bar", Line)
        full = round(BAR * min(done / total, 1)) if total > 0 else 0
        bar.display = True
        bar.show(f"{'━' * full}{'─' * (BAR - full)} {done:,} of {total:,} {unit}  {note}")
        return True

    def action_close(self) -> None:
        """Close the sheet. A stage that the command watches continues, as if its terminal had closed."""
        if self.process is not None and self.process.returncode is None and not self.is_detached:
            self.process.kill()
            host_of(self).report(f"left `{shlex.join(self.running)}`; a run that it started continues: press 3")
        self.dismiss()
