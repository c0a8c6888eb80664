"""Signals that end a command: no traceback, no temporary file, and the exit status that README promises."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fishtui.errors import SIGNALED
from tests.builders import snapshot

# Runs a command that sends itself a signal in the middle of writing a file, and another one while it ends.
SENDS = """
import os, signal, sys
number = int(sys.argv[1])
signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
from fishtui import files
def send(*paths): os.kill(os.getpid(), number)
def end(path, discard=files.discard):
    if number != signal.SIGINT: send()
    discard(path)
os.replace, files.discard = send, end
from fishtui.cli.main import run
sys.exit(run(["init", "new"]))
"""
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_a_signal_ends_a_command_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-c", SENDS, str(int(number))]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == SIGNALED + number
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert snapshot(tmp_path) == {}


def test_an_interrupt_during_imports_shows_no_traceback(tmp_path: Path) -> None:
    # The first module that the command imports after it has begun.
    (tmp_path / "click.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")
    code = f"import signal, sys; signal.signal(2, signal.default_int_handler); sys.path.insert(0, {str(tmp_path)!r}); "
    code += "from fishtui.__main__ import main; sys.argv[1:] = ['scan']; main()"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (-signal.SIGINT, "")
