"""Show a run that logs 5,000 lines and 100 metrics per second: the longest pause of the interface's event loop.

The plain implementation is an app with only Textual's log widget, which reads new lines ten times per second.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from fishtui import settings
from fishtui.files import write_text
from fishtui.project import Project
from fishtui.runs import record
from fishtui.runs.identity import identify

UNIT = "less is better"
CASES = ["follow, 80x24 (ms)", "follow, 120x40 (ms)", "scroll and search (ms)"]
SIZES = {CASES[0]: (80, 24), CASES[1]: (120, 40), CASES[2]: (120, 40)}
KEYS = ["k", "pageup", "slash", "4", "2", "enter", "n", "N", "l", "l", "l", "g", "pagedown", "p", "tab", "z", "z", "G"]
WARM_S = 3.0
SECONDS = 15.0
TICK_S = 0.002

WRITE = """
import sys, time
from pathlib import Path
from fishtui.runs.events import EventWriter
folder = Path(sys.argv[1])
writer = EventWriter(folder / "events.jsonl")
started, lines = time.perf_counter(), 0
with (folder / "output.log").open("a", buffering=1 << 16) as log:
    for step in range(1_000_000):
        time.sleep(max(started + step / 100 - time.perf_counter(), 0))
        loss = 4 + 5 / (1 + step / 100) + step % 7 / 20
        values = {"loss": loss, "learning_rate": 1e-4, "gradient_norm": 1.2, "tokens_per_second": 12000.0}
        writer.write("metric", step=step, values=values)
        if step % 10 == 0:
            writer.write("progress", done=step, total=1_000_000, unit="steps", note="")
            log.writelines(f"{number:07d} a line, loss {loss:.3f}\\n" for number in range(lines, lines + 500))
            log.flush()
            lines += 500
"""


def measure(case: str, plain: bool) -> float:
    """Return the longest time between two turns of the event loop, minus its sleep, in milliseconds."""
    with tempfile.TemporaryDirectory() as folder:
        project = Project(Path(folder))
        write_text(project.settings_file, "")
        made, run = record.create(project, "train", ["train"], settings.Loaded(settings.Settings()), {})
        (run / "output.log").touch()
        writer = subprocess.Popen([sys.executable, "-c", WRITE, str(run)])
        try:
            made.process, made.state, made.started = identify(writer.pid), record.RUNNING, time.time()
            record.save(made, run)
            keys = KEYS if case == CASES[2] else []
            return 1000 * asyncio.run(longest(app(project, run, plain), SIZES[case], [] if plain else keys))
        finally:
            writer.kill()
            writer.wait()


def app(project: Project, run: Path, plain: bool):
    from textual.app import App
    from textual.widgets import Log

    from fishtui.tui.app import Fishtui

    class Plain(App):
        def compose(self):
            self.log_widget = Log(max_lines=100_000)
            yield self.log_widget

        def on_mount(self) -> None:
            self.file = (run / "output.log").open(encoding="utf-8")
            self.set_interval(0.1, lambda: self.log_widget.write_lines(self.file.readlines()))

    if plain:
        return Plain()
    Fishtui.DEFAULT_MODE = "runs"
    return Fishtui(project)


async def longest(interface, size: tuple[int, int], keys: list[str]) -> float:
    async with interface.run_test(size=size) as pilot:
        await asyncio.sleep(WARM_S)
        turns = asyncio.create_task(gap())
        for key in keys:
            await pilot.press(key)
            await asyncio.sleep(SECONDS / len(keys))
        return await turns


async def gap() -> float:
    """Return the longest delay of the event loop."""
    found, until = 0.0, time.perf_counter() + SECONDS
    while (before := time.perf_counter()) < until:
        await asyncio.sleep(TICK_S)
        found = max(found, time.perf_counter() - before - TICK_S)
    return found


if __name__ == "__main__":
    for each in CASES:
        print(f"{each:<28}{measure(each, False):>8.1f}{measure(each, True):>8.1f}", flush=True)
