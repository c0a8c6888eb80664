"""Runs survive the end of their terminal."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from fishtui.runs.events import read_events
from fishtui.runs.follow import follow
from fishtui.runs.record import RUNNING, SUCCEEDED
from fishtui.runs.state import read_run, read_runs
from tests.builders import fishtui, packable
from tests.builders import project as make_project

STEPS = 60


@pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")
def test_a_training_outlives_its_terminal_session(tmp_path: Path, checkpoint: Path) -> None:
    settings = f'[paths]\ncheckpoint = "{checkpoint}"\n[train]\nbatch_size = 1\nmax_length = 96\nmax_steps = {STEPS}\n'
    project = make_project(tmp_path, settings + 'validate_every = 20\ndevice = "cpu"\n')
    packable(project.root / "data", clips=4)
    assert fishtui("pack", cwd=project.root).returncode == 0
    tmux = ["tmux", "-S", str(tmp_path / "tmux")]
    line = f"{sys.executable} -m fishtui train voice; read waits"
    subprocess.run([*tmux, "new", "-d", "-x", "80", "-y", "24", "-c", str(project.root), line], check=True)
    try:
        shell = subprocess.run([*tmux, "list-panes", "-F", "#{pane_pid}"], capture_output=True, text=True, check=True)
        server = subprocess.run([*tmux, "display", "-p", "#{pid}"], capture_output=True, text=True, check=True)
        pane, keeper = psutil.Process(int(shell.stdout)), psutil.Process(int(server.stdout))
        while len(runs := read_runs(project)) < 2 or runs[-1].process is None:
            assert pane.is_running()
        session = [pane, *pane.children(recursive=True)]
        killed = [each for each in session if os.getsid(each.pid) == pane.pid]
        for each in [keeper, *killed]:
            each.send_signal(signal.SIGKILL)
        psutil.wait_procs(killed)
    finally:
        subprocess.run([*tmux, "kill-server"], capture_output=True, check=False)
    run = read_runs(project)[-1]
    assert run.state == RUNNING
    ended = follow(project, run.folder, lambda event: None)
    assert ended.state == SUCCEEDED
    assert read_run(run.folder).exit_status == 0
    metrics = [event for event in read_events(run.folder / "events.jsonl") if event["kind"] == "metric"]
    assert [event["step"] for event in metrics if "loss" in event["values"]] == list(range(1, STEPS + 1))
