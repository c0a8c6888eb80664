"""Tests of signals, ctrl+z and the mouse on a real terminal of 80x24."""

from __future__ import annotations

import json
import os
import pty
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from fishtui.errors import SIGNALED
from fishtui.project import Project
from fishtui.tui import main
from tests import builders
from tests.builders import PAUSE
from tests.tui.driving import LONGEST

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")
STATE = "#{alternate_on} #{mouse_any_flag} #{cursor_flag}"
OPEN, CLEAN = "1 1 0", "0 0 1"


class Shell:
    """A shell with job control in a tmux server of its own."""

    def __init__(self, folder: Path) -> None:
        self.tmux = ["tmux", "-S", str(folder / "tmux")]
        self.folder = folder
        self.ended = folder / "ended"
        subprocess.run([*self.tmux, "new", "-d", "-x", "80", "-y", "24", "bash --norc"], check=True)

    def type(self, line: str) -> None:
        subprocess.run([*self.tmux, "send-keys", line, "Enter"], check=True)

    def press(self, *keys: str) -> None:
        subprocess.run([*self.tmux, "send-keys", *keys], check=True)

    def open(self, project: Project, state: str = OPEN) -> None:
        """Start the interface, and wait for its first screen."""
        line = shlex.join([sys.executable, "-m", "fishtui", str(project.root)])
        self.type(f"{line}; echo $? > {shlex.quote(str(self.ended))}")
        self.until(lambda: "Overview" in self.screen and self.state == state)

    @property
    def state(self) -> str:
        """The alternate screen, mouse reports and cursor: 1 if on, 0 if off."""
        return self._ask("display-message", "-p", STATE).strip()

    @property
    def screen(self) -> str:
        return self._ask("capture-pane", "-p")

    @property
    def interface(self) -> psutil.Process:
        """The process of the interface."""
        shell = psutil.Process(int(self._ask("list-panes", "-F", "#{pane_pid}")))
        return next(each for each in shell.children() if "fishtui" in each.cmdline())

    def until(self, holds: Callable[[], object]) -> None:
        end = time.monotonic() + LONGEST
        while not holds():
            assert time.monotonic() < end, f"{self.state}\n{self.screen}"
            time.sleep(PAUSE)

    def close(self) -> None:
        subprocess.run([*self.tmux, "kill-server"], capture_output=True, check=False)

    def _ask(self, *words: str) -> str:
        return subprocess.run([*self.tmux, *words], capture_output=True, text=True, check=False).stdout


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    found = Shell(tmp_path)
    yield found
    found.close()


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = builders.project(tmp_path / "voice")
    builders.write_clip(made.root / "data" / "anna" / "1.wav")
    return made


def test_an_interrupt_from_outside_leaves_a_clean_terminal(shell: Shell, project: Project) -> None:
    shell.open(project)
    shell.interface.send_signal(signal.SIGINT)
    shell.until(lambda: shell.ended.exists() and shell.ended.read_text(encoding="utf-8").strip())
    shell.until(lambda: shell.state == CLEAN)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT], ids=lambda number: number.name)
@pytest.mark.parametrize(("keys", "dialog"), [((), "Overview"), (("?",), "list the keys"), ((":",), "esc back")])
def test_a_signal_leaves_a_clean_terminal(
    shell: Shell, project: Project, number: signal.Signals, keys: tuple[str, ...], dialog: str
) -> None:
    shell.open(project)
    shell.press(*keys)
    shell.until(lambda: dialog in shell.screen)
    shell.interface.send_signal(number)
    shell.until(lambda: shell.ended.exists() and shell.ended.read_text(encoding="utf-8").strip())
    assert shell.ended.read_text(encoding="utf-8").strip() == str(128 + number)
    shell.until(lambda: shell.state == CLEAN)


def test_the_interface_ends_with_its_terminal(shell: Shell, project: Project) -> None:
    shell.open(project)
    interface = shell.interface
    shell.close()
    psutil.wait_procs([interface], timeout=LONGEST)
    assert not interface.is_running()


def test_ctrl_z_suspends_and_fg_draws_the_screen_again(shell: Shell, project: Project) -> None:
    shell.open(project)
    shell.press("C-z")
    shell.until(lambda: shell.state == CLEAN and "Stopped" in shell.screen)
    shell.type("fg")
    shell.until(lambda: shell.state == OPEN and "Overview" in shell.screen)


def test_ctrl_z_does_nothing_where_no_shell_could_continue(shell: Shell, project: Project) -> None:
    line = shlex.join([sys.executable, "-m", "fishtui", str(project.root)])
    subprocess.run([*shell.tmux, "new-window", line], check=True)
    shell.until(lambda: "Overview" in shell.screen)
    shell.press("C-z")
    shell.until(lambda: "✗" in shell.screen)
    shell.press("q")
    shell.until(lambda: shell.state == CLEAN)


def test_the_mouse_is_left_to_the_terminal_on_request(shell: Shell, project: Project) -> None:
    project.settings_file.write_text("[ui]\nmouse = false\n", encoding="utf-8")
    shell.open(project, "1 0 0")


@pytest.mark.parametrize("settings", ["", "[ui]\nmouse = true\n", "[ui\n"])
def test_gnu_screen_reports_no_mouse(project: Project, settings: str, monkeypatch: pytest.MonkeyPatch) -> None:
    project.settings_file.write_text(settings, encoding="utf-8")
    assert main.wants_mouse(project)
    monkeypatch.setenv("STY", "1234.pts-0.host")
    assert not main.wants_mouse(project)


@pytest.mark.skipif(shutil.which("screen") is None, reason="GNU screen is not installed")
def test_escape_acts_at_once_in_gnu_screen(shell: Shell, project: Project, tmp_path: Path) -> None:
    sockets = tmp_path / "screens"
    sockets.mkdir(mode=0o700)
    line = shlex.join([sys.executable, "-m", "fishtui", str(project.root)])
    shell.type(f"SCREENDIR={shlex.quote(str(sockets))} screen {line}")
    shell.until(lambda: "Overview" in shell.screen)
    shell.press(":")
    shell.until(lambda: "esc back" in shell.screen)
    shell.press("Escape")
    shell.until(lambda: "esc back" not in shell.screen)
    shell.press("q")
    shell.until(lambda: "screen is terminating" in shell.screen)


def test_closed_streams_do_not_become_files(tmp_path: Path) -> None:
    """A catalog that is opened as descriptor 1 would receive the command's output."""
    made = builders.project(tmp_path)
    builders.write_clip(made.root / "data" / "anna" / "1.wav")
    for closed in ("<&-", ">&-", "2>&-", "<&- >&- 2>&-"):
        line = f"{shlex.join(builders.command('scan', '--json'))} {closed}"
        done = subprocess.run(["sh", "-c", line], cwd=made.root, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
        shown = builders.fishtui("clips", "list", "--json", cwd=made.root)
        assert [each["name"] for each in json.loads(shown.stdout)["clips"]] == ["anna/1"]


@pytest.fixture(params=["ascii", "latin-1"])
def locale(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """The environment of a locale whose encoding is not UTF-8."""
    if request.param == "ascii":
        return {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    name = "en_US.ISO-8859-1"
    made = ["localedef", "-i", "en_US", "-f", "ISO-8859-1", str(tmp_path / name)]
    if shutil.which("localedef") is None or subprocess.run(made, capture_output=True, check=False).returncode:
        pytest.skip("localedef cannot make a Latin-1 locale")
    return {"LC_ALL": name, "LOCPATH": str(tmp_path)}


def test_names_of_files_are_utf8_in_every_locale(tmp_path: Path, locale: dict[str, str]) -> None:
    made = builders.project(tmp_path / "voice")
    builders.write_clip(tmp_path / "1.wav")
    table = tmp_path / "table.csv"
    table.write_text("file,text,speaker\n1.wav,你好世界,小明\n", encoding="utf-8")
    assert builders.fishtui("import", table, cwd=made.root, **locale).returncode == 0
    assert os.path.exists(made.root / "data" / "小明" / "1.lab")
    for environment in (locale, {}, locale):
        assert builders.fishtui("scan", cwd=made.root, **environment).returncode == 0
        shown = builders.fishtui("clips", "list", "--json", cwd=made.root, **environment)
        assert [each["name"] for each in json.loads(shown.stdout)["clips"]] == ["小明/1"]


def test_without_its_terminal_the_interface_ends_even_if_no_signal_reports_it(project: Project) -> None:
    """As where the terminal is not the controlling one, or the signal is ignored."""
    master, slave = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24"}
    command = builders.command(project.root)
    app = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True)
    os.close(slave)
    try:
        with builders.time_limit(60):
            shown = b""
            while b"Overview" not in shown:
                shown += os.read(master, 1 << 16)
            os.close(master)
            assert app.wait() == SIGNALED + signal.SIGHUP
    finally:
        app.kill()


@pytest.mark.parametrize("reads", [0, 1, 2, 4])
def test_an_interface_whose_terminal_goes_while_it_leaves_ends(project: Project, reads: int) -> None:
    process, terminal = pty.fork()
    if process == 0:
        os.environ.update(TERM="xterm-256color", COLUMNS="80", LINES="24")
        os.execv(sys.executable, [sys.executable, "-m", "fishtui", str(project.root)])
    seen = b""
    while b"Overview" not in seen:
        seen += os.read(terminal, 1 << 16)
    os.write(terminal, b"q")
    # It may have ended by then.
    with suppress(OSError):
        for _ in range(reads):
            os.read(terminal, 64)
    os.close(terminal)
    interface = psutil.Process(process)
    try:
        interface.wait(LONGEST)
    finally:
        if interface.is_running():
            interface.kill()
