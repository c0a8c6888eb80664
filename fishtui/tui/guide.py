"""The first start in a folder that is not a project yet: the choices, one key each."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from fishtui.project import Project
from fishtui.tui.commandline import CommandLine
from fishtui.tui.host import Host, host_of
from fishtui.tui.widgets.line import Line
from fishtui.tui.widgets.optionlist import SafeOptionList

DEMO = "fishtui-demo"
CHOICES = {
    "init": ("create a project here", "settings, and data/ for recordings: SPEAKER/clip.wav with clip.lab"),
    "import": ("import recordings", "a project here, with recordings from a folder, a table or a list"),
    "slice": ("I have long recordings", "a project here, with clips cut from podcasts, films, audio books"),
    "demo": ("try a demo", "teach a small model a voice, in about two minutes"),
    "close": ("look around", "nothing is written"),
}
SLICE_HINT = "Type the path of a recording, or of a folder of them; then --speaker NAME for one speaker."
IMPORT_HINT = "Type the path of the recordings: a folder, or a table or list that names them."


class Guide(ModalScreen[None]):
    """The choices for a folder without a project."""

    DEFAULT_CSS = """
    Guide OptionList { height: auto; border: none; padding: 0; margin-top: 1; background: $surface; }
    Guide OptionList:focus { border: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "choose('close')", "look around"),
        Binding("i", "choose('import')", "import"),
        Binding("x", "choose('slice')", "long recordings"),
        Binding("d", "choose('demo')", "demo"),
        Binding("j", "move(1)", "down", show=False),
        Binding("k", "move(-1)", "up", show=False),
        Binding("q", "app.quit", "quit"),
    ]

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Line(f"{host_of(self).project.root} is not a project yet.")
            yield SafeOptionList(
                *(Option(Content(f"{title}\n  {help}"), id=name) for name, (title, help) in CHOICES.items()),
                compact=True,
            )
            yield Line("enter choose   i import   x cut   d demo   esc look around   q quit", classes="keys")

    @on(OptionList.OptionSelected)
    def option_selected(self, event: OptionList.OptionSelected) -> None:
        """Do what the option names."""
        self.action_choose(str(event.option.id))

    def action_move(self, by: int) -> None:
        options = self.query_one(OptionList)
        options.action_cursor_down() if by > 0 else options.action_cursor_up()

    def action_choose(self, name: str) -> None:
        if not self.is_current:
            # A click may come after the choice.
            return
        self.dismiss()
        host = host_of(self)
        root = host.project.root
        match name:
            case "init":
                host.run_command("init", str(root))
            case "import":
                host.push_screen(CommandLine("import ", hint=IMPORT_HINT))
            case "slice":
                host.push_screen(CommandLine("slice ", hint=SLICE_HINT))
            case "demo":
                host.push_screen(
                    CommandLine(shlex.join(["demo", str(root / DEMO)]), at_once=True),
                    lambda _: _open_project(host, root / DEMO),
                )


def _open_project(host: Host, folder: Path) -> None:
    """Show another project from now on, if there is one in `folder`."""
    if (folder / "fishtui.toml").exists():
        host.project = Project(folder)
        host.report(f"opened the demo's project: {folder}")
