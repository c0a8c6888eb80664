"""Small screens over the others: a question, a line to type, the list of keys, a command and its output."""

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
from textual.widgets import Input, Log

from fishtui.sanitize import harmless
from fishtui.tui.commands import command_line, environment
from fishtui.tui.host import host_of
from fishtui.tui.widgets.exactinput import ExactInput
from fishtui.tui.widgets.line import Line
from fishtui.wording import reason_of

MOST_LINES = 5_000


class Confirm(ModalScreen[bool]):
    """A question to answer with y or n; the consequence names the action and its extent."""

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
            yield Line(self.question)
            if self.consequence:
                yield Line(self.consequence, classes="muted")
            yield Line("y yes   n no", classes="keys")

    def action_answer(self, answer: bool) -> None:
        self.dismiss(answer)


class Ask(ModalScreen[str | None]):
    """A line to type; its result is None after escape."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "cancel", "cancel")]

    def __init__(self, question: str, value: str = "", notes: Sequence[str] = ()) -> None:
        super().__init__()
        self.question = question
        self.value = value
        self.notes = notes

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Line(self.question)
            for note in self.notes:
                yield Line(note, classes="muted")
            yield ExactInput(self.value, compact=True)
            yield Line("enter accept   esc cancel", classes="keys")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self.dismiss(event.value)

    def action_cancel(self) -> None:
        self.dismiss(None)


class Keys(ModalScreen[None]):
    """The keys that work on the screen below, with their effects."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,question_mark,q", "close", "back")]

    def __init__(self, screen: Screen[Any]) -> None:
        super().__init__()
        # By action, because several keys may do the same.
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
            yield Line(text)
            if self.signs:
                yield Line(self.signs, classes="muted")
            yield Line("esc back", classes="keys")

    def action_close(self) -> None:
        self.dismiss()


class CommandLine(ModalScreen[None]):
    """A fishtui command, typed as in a shell, and its output. Stages that it starts continue after it closes."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "close", "back")]

    def __init__(self, command: str = "", at_once: bool = False, cursor: int | None = None, hint: str = "") -> None:
        """With `at_once` the command runs without waiting for enter; `hint` is a line below the input."""
        super().__init__()
        self.hint = hint
        self.command = command
        self.at_once = at_once
        self.cursor = cursor
        self.process: asyncio.subprocess.Process | None = None
        # The words of the command that runs now.
        self.running: list[str] = []
        self.is_detached = False

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog tall"):
            yield ExactInput(
                self.command,
                placeholder="a command, for example: stats   or: clips list finding:any",
                compact=True,
                select_on_focus=False,
            )
            if self.hint:
                yield Line(self.hint, classes="muted")
            yield Log(max_lines=MOST_LINES, auto_scroll=True)
            keys = "esc back; stages continue   tab edit" if self.at_once else "enter run   esc back; stages continue"
            yield Line(keys, classes="keys")

    def on_mount(self) -> None:
        if self.cursor is not None:
            self.query_one(Input).cursor_position = self.cursor
        if self.at_once:
            # There is nothing to type yet, and the output may need scrolling.
            self.set_focus(self.query_one(Log))
            self._start(shlex.split(self.command))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        try:
            words = shlex.split(event.value)
        except ValueError as error:
            self._write(f"error: {error}")
            return
        if words[:1] == ["fishtui"]:
            del words[0]
        # A second enter does not run the same command twice.
        if words and words != self.running:
            self._start(words)

    def _write(self, line: str) -> None:
        self.query_one(Log).write_line(harmless(line))

    def _start(self, words: list[str]) -> None:
        self.running = words
        self.run_command(words)

    @work(exclusive=True)
    async def run_command(self, words: list[str]) -> None:
        """Run a command to its end and show each line as it arrives."""
        log = self.query_one(Log)
        log.clear()
        self._write(f"$ fishtui {shlex.join(words)}")
        project = host_of(self).project
        self._kill()
        # Starting a run in the background takes a moment and must not be interrupted half-way.
        self.is_detached = "--detach" in words
        try:
            self.process = await asyncio.create_subprocess_exec(
                *command_line(words, project),
                cwd=project.root if project.root.is_dir() else None,
                env={**environment(), "COLUMNS": str(max(log.size.width, 20))},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=self.is_detached,
            )
        except OSError as error:
            self._write(f"error: cannot start fishtui: {reason_of(error)}")
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
                # Wrapping many lines takes long: let the keys in between.
                await asyncio.sleep(0)
        self._write(f"exit status {await self.process.wait()}")
        self.running = []

    def _kill(self) -> None:
        if self.process is not None and self.process.returncode is None and not self.is_detached:
            # A stage that the command watches continues, as if its terminal had closed.
            self.process.kill()

    def action_close(self) -> None:
        self._kill()
        self.dismiss()
