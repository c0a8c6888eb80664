"""Small screens over the others: a question, a line to type, the keys, a command and what it prints."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Sequence
from typing import Any, ClassVar

from rich.cells import cell_len
from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen, Screen
from textual.widgets import Input, Log, Static

from fishtui.sanitize import harmless
from fishtui.tui.commands import command, environment
from fishtui.tui.host import host_of
from fishtui.tui.widgets.exactinput import ExactInput
from fishtui.wording import reason_of

MOST_LINES = 5_000


class Confirm(ModalScreen[bool]):
    """A question that is answered with y or n; says what will be done, and to how many."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "yes"),
        Binding("n,escape", "answer(False)", "no"),
    ]

    def __init__(self, question: str, consequence: str = "") -> None:
        super().__init__()
        self.question = question
        self.consequence = consequence

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(harmless(self.question), markup=False)
            if self.consequence:
                yield Static(harmless(self.consequence), markup=False, classes="muted")
            yield Static("y yes   n no", markup=False, classes="keys")

    def action_answer(self, answer: bool) -> None:
        self.dismiss(answer)


class Ask(ModalScreen[str | None]):
    """A line to type; gives None if it is left with escape."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "leave")]

    def __init__(self, question: str, value: str = "", notes: Sequence[str] = ()) -> None:
        super().__init__()
        self.question = question
        self.value = value
        self.notes = notes

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(harmless(self.question), markup=False)
            for note in self.notes:
                yield Static(harmless(note), markup=False, classes="muted")
            yield ExactInput(self.value, compact=True)
            yield Static("enter do it   esc leave", markup=False, classes="keys")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self.dismiss(event.value)

    def action_leave(self) -> None:
        self.dismiss(None)


class Keys(ModalScreen[None]):
    """The keys that work on the screen below, and what each does."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,question_mark,q", "leave", "back")]

    def __init__(self, screen: Screen[Any]) -> None:
        super().__init__()
        # By what they do: several keys may do the same.
        rows: dict[str, tuple[list[str], str]] = {}
        for _, binding, enabled, tooltip in screen.active_bindings.values():
            if enabled and binding.description:
                keys, _ = rows.setdefault(binding.action, ([], tooltip or binding.tooltip or binding.description))
                keys.append(screen.app.get_key_display(binding))
        self.rows = [(" ".join(keys), help) for keys, help in rows.values()]
        self.signs = getattr(screen, "SIGNS", "")

    def compose(self) -> ComposeResult:
        width = max((len(keys) for keys, _ in self.rows), default=0)
        text = Text("\n").join(Text.assemble((f"{keys:<{width}}", "bold"), f"  {help}") for keys, help in self.rows)
        with VerticalScroll(classes="dialog tall"):
            yield Static(text)
            if self.signs:
                yield Static(self.signs, markup=False, classes="muted")
            yield Static("esc back", markup=False, classes="keys")

    def action_leave(self) -> None:
        self.dismiss()


class CommandLine(ModalScreen[None]):
    """A fishtui command, typed as in a shell, and what it prints. What it started in the background goes on."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "back")]

    def __init__(self, command: str = "", at_once: bool = False, cursor: int | None = None, hint: str = "") -> None:
        super().__init__()
        self.hint = hint
        self.command = command
        self.at_once = at_once
        self.cursor = cursor
        self.process: asyncio.subprocess.Process | None = None
        # The words of the command that runs now; and whether it is to go on whatever happens here.
        self.running: list[str] = []
        self.lasts = False

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog tall"):
            yield ExactInput(
                self.command,
                placeholder="a command, such as: stats   or: clips list finding:any",
                compact=True,
                select_on_focus=False,
            )
            if self.hint:
                yield Static(self.hint, markup=False, classes="muted")
            yield Log(max_lines=MOST_LINES, auto_scroll=True)
            keys = (
                "esc back; a stage goes on   tab type another"
                if self.at_once
                else "enter run   esc back; a stage goes on"
            )
            yield Static(keys, markup=False, classes="keys")

    def on_mount(self) -> None:
        if self.cursor is not None:
            self.query_one(Input).cursor_position = self.cursor
        if self.at_once:
            # There is nothing to type now; what it prints may be long.
            self.set_focus(self.query_one(Log))
            self._begin(shlex.split(self.command))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        try:
            words = shlex.split(event.value)
        except ValueError as error:
            self.query_one(Log).write_line(f"error: {error}")
            return
        if words[:1] == ["fishtui"]:
            del words[0]
        # Whoever presses enter twice wants it once.
        if words and words != self.running:
            self._begin(words)

    def _begin(self, words: list[str]) -> None:
        self.running = words
        self.run_command(words)

    @work(exclusive=True)
    async def run_command(self, words: list[str]) -> None:
        """Run it to its end and show each line as it comes."""
        log = self.query_one(Log)
        log.clear()
        log.write_line(harmless(f"$ fishtui {shlex.join(words)}"))
        project = host_of(self).project
        self._end()
        # To start or queue a run is a matter of moments, and not to be left half-way.
        self.lasts = "--detach" in words
        try:
            self.process = await asyncio.create_subprocess_exec(
                *command(words, project),
                cwd=project.root if project.root.is_dir() else None,
                env={**environment(), "COLUMNS": str(max(log.size.width, 20))},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=self.lasts,
            )
        except OSError as error:
            log.write_line(f"error: cannot start fishtui: {reason_of(error)}")
            self.running = []
            return
        assert self.process.stdout is not None
        while block := await self.process.stdout.read(1 << 16):
            width = max(log.size.width - 2, 20)
            for line in map(harmless, block.decode(errors="replace").splitlines()):
                if cell_len(line) <= width:
                    log.write_line(line)
                    continue
                log.write_lines([part.plain for part in Text(line).wrap(self.app.console, width)])
                # It takes its time.
                await asyncio.sleep(0)
        log.write_line(f"exit status {await self.process.wait()}")
        self.running = []

    def _end(self) -> None:
        if self.process is not None and self.process.returncode is None and not self.lasts:
            # As if its terminal had gone: a stage that it watches goes on.
            self.process.kill()

    def action_leave(self) -> None:
        self._end()
        self.dismiss()
