"""The first start in a folder that is no project yet: what can be done, one key away."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from fishtui.project import Project
from fishtui.sanitize import harmless
from fishtui.tui.dialogs import CommandLine
from fishtui.tui.host import Host, host_of
from fishtui.tui.widgets.optionlist import SafeOptionList

DEMO = "fishtui-demo"
CHOICES = {
    "init": ("make it a project", "settings, and data/ for recordings: SPEAKER/clip.wav with clip.lab"),
    "import": ("import recordings", "LJSpeech, Common Voice, lists, tables or folders; by link or copy"),
    "demo": ("look at a demo first", "every stage on generated speech and a tiny model, in a minute"),
    "leave": ("just look around", "nothing is written"),
}
WHERE = "Type where the recordings are: a folder, or a table or list that names them."


class Guide(ModalScreen[None]):
    """What to begin with."""

    DEFAULT_CSS = """
    Guide OptionList { height: auto; border: none; padding: 0; margin-top: 1; background: $surface; }
    Guide OptionList:focus { border: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "choose('leave')", "look around"),
        Binding("i", "choose('import')", "import"),
        Binding("d", "choose('demo')", "demo"),
        Binding("j", "move(1)", "down", show=False),
        Binding("k", "move(-1)", "up", show=False),
        Binding("q", "app.quit", "quit"),
    ]

    @property
    def fishtui(self) -> Host:
        """The app."""
        return host_of(self)

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(harmless(f"{self.fishtui.project.root} is no project yet."), markup=False)
            yield SafeOptionList(
                *(Option(f"{title}\n  {help}", id=name) for name, (title, help) in CHOICES.items()),
                markup=False,
                compact=True,
            )
            yield Static("enter choose   i import   d demo   esc look around   q quit", markup=False, classes="keys")

    @on(OptionList.OptionSelected)
    def selected(self, event: OptionList.OptionSelected) -> None:
        """Do what was chosen."""
        self.action_choose(str(event.option.id))

    def action_move(self, by: int) -> None:
        options = self.query_one(OptionList)
        options.action_cursor_down() if by > 0 else options.action_cursor_up()

    def action_choose(self, name: str) -> None:
        if self.app.screen is not self:
            # It was chosen already.
            return
        self.dismiss()
        app = self.fishtui
        root = app.project.root
        match name:
            case "init":
                app.run_command("init", str(root))
            case "import":
                line = f"import  --project {shlex.quote(str(root))}"
                app.push_screen(CommandLine(line, cursor=len("import "), hint=WHERE))
            case "demo":
                app.push_screen(
                    CommandLine(shlex.join(["demo", str(root / DEMO)]), at_once=True),
                    lambda _: _enter(app, root / DEMO),
                )


def _enter(app: Host, folder: Path) -> None:
    """Look at another project from now on, if there is one."""
    if (folder / "fishtui.toml").exists():
        app.project = Project(folder)
        app.report(f"this is the demo's project: {folder}")
