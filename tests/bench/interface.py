"""`python -m tests.bench.interface [PART …]`: time the interface with many clips, on a terminal of 80x24.

Times are in milliseconds, next to their targets. The longest gap is the longest time between two turns of the event
loop; "of work" is the CPU time within it, since a shared machine adds time of its own.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import random
import resource
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

from fishtui.catalog.store import Catalog
from fishtui.project import Project

CLIPS = 1_000_000
GAP = 50
SPEAKERS = 50
ROOT = Path(tempfile.gettempdir()) / "fishtui-bench-interface"
# Start-up is measured with fewer clips, in this many processes of each kind.
FEWER = 100_000
STARTS = 30
WORDS = ("bread", "salt", "window", "river", "نافذة", "窗户", "night", "letter", "seven", "yellow", "answer", "simple")
FOUND = {1: "|info:digits|", 2: "|warning:clipped|", 3: "|error:silent|"}
COLUMNS = (
    *("name", "speaker", "files", "audio_hash", "format", "subtype", "sample_rate", "channels"),
    *("duration", "text", "folded", "script", "characters", "severity", "found"),
    *("speech", "rate", "loudness", "snr", "status", "born"),
)
FILTERS = ["finding:any", "finding:any status:open sort:-rate", "bread salt", "speaker:speaker07", "sort:-duration", ""]
KEYS = [*"jjjjkk", *["pagedown"] * 5, "pageup", "end", "home", "G", "k", "pageup", "home", "x", "a", "j", "f", "u", "s"]


def prepare(clips: int = CLIPS) -> Path:
    """Create a project with a catalog of this many clips, or reuse an existing one."""
    root = ROOT if clips == CLIPS else ROOT.with_name(f"{ROOT.name}-{clips}")
    (root / "data").mkdir(parents=True, exist_ok=True)
    (root / "fishtui.toml").touch()
    with Catalog(Project(root), root / "data") as catalog:
        if catalog.value("SELECT count(*) FROM clips") == clips:
            return root
        print(f"a catalog of {clips:,} clips is made, which takes a while …", file=sys.stderr)
        with catalog.transaction() as connection:
            for table in ("findings", "history", "clips"):
                connection.execute(f"DELETE FROM {table}")
            marks = ", ".join("?" for _ in COLUMNS)
            connection.executemany(f"INSERT INTO clips({', '.join(COLUMNS)}) VALUES ({marks})", _rows(clips))
            connection.execute("INSERT INTO transcripts(transcripts) VALUES ('rebuild')")
        catalog.query("PRAGMA wal_checkpoint(TRUNCATE)")
    return root


def _rows(clips: int) -> Iterator[tuple[Any, ...]]:
    choose = random.Random(0)
    for number in range(clips):
        speaker = f"speaker{number % SPEAKERS:02d}"
        text = f"{' '.join(choose.choices(WORDS, k=8))} {number}."
        seconds = choose.uniform(0.5, 15)
        severity = choose.choices((0, 1, 2, 3), (70, 15, 12, 3))[0]
        status = choose.choices(("open", "accepted", "rejected"), (80, 15, 5))[0]
        yield (
            *(f"{speaker}/{number:07d}", speaker, f"{number:07d}.wav", f"{number:064x}", "WAV", "PCM_16", 44_100, 1),
            *(seconds, text, text.casefold(), "Latin", len(text), severity, FOUND.get(severity, "")),
            *(0.9 * seconds, len(text) / seconds, choose.uniform(-35, -15), choose.uniform(5, 50), status, 1),
        )


class Gaps:
    """Measures the pauses of the event loop."""

    def __init__(self) -> None:
        self.longest = self.busiest = 0.0
        self._task = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        while True:
            before, worked = time.perf_counter(), time.thread_time()
            await asyncio.sleep(0.001)
            self.longest = max(self.longest, time.perf_counter() - before - 0.001)
            self.busiest = max(self.busiest, time.thread_time() - worked)

    def taken(self) -> tuple[float, float]:
        """Return the longest gap since the last call and the most CPU time in one gap, in milliseconds."""
        taken = (1000 * self.longest, 1000 * self.busiest)
        self.longest = self.busiest = 0.0
        return taken


def show(what: str, value: float, limit: float) -> None:
    print(f"{what:<58}{value:>9,.0f} {'<' if value <= limit else '>'} {limit:,.0f}", flush=True)


def show_gap(what: str, gap: tuple[float, float]) -> None:
    print(f"{what:<58}{gap[0]:>9,.0f} {'<' if gap[0] <= GAP else '>'} {GAP}   {gap[1]:,.0f} of work", flush=True)


# The smallest Textual app.
EMPTY = """
from textual.app import App
from textual.widgets import Static

class Empty(App):
    def compose(self):
        yield Static("Overview")

Empty().run()
"""


def _start() -> None:
    """Return the time from process start to the first paint on a terminal."""
    root = prepare(FEWER)
    commands = {"empty": ["-c", EMPTY], "ours": [str(Path(sys.executable).with_name("fishtui")), str(root)]}
    took: dict[str, list[float]] = {name: [] for name in commands}
    for name in [*commands] * (STARTS + 1):
        ours, theirs = pty.openpty()
        fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        environment = {**os.environ, "TERM": "xterm-256color"}
        began = time.perf_counter()
        with subprocess.Popen(
            [sys.executable, *commands[name]], stdin=theirs, stdout=theirs, stderr=theirs, env=environment
        ) as process:
            shown = b""
            while b"Overview" not in shown:
                shown += os.read(ours, 65_536)
            took[name].append(1000 * (time.perf_counter() - began))
            process.kill()
        os.close(ours)
        os.close(theirs)
    # The first process of each kind warms the disk cache.
    empty, ours_took = (statistics.median(took[name][1:]) for name in commands)
    show("start: an empty Textual app, until its first picture", empty, empty)
    show(f"start: fishtui with {FEWER:,} clips, until its first picture", ours_took, empty + 100)


async def _overview() -> None:
    from fishtui.tui.app import Fishtui
    from fishtui.tui.screens.overview import Links, Overview

    prepare()
    started = time.perf_counter()
    app = Fishtui(Project(ROOT))
    async with app.run_test(size=(80, 24)):
        gaps = Gaps()

        def summed() -> bool:
            screen = app.screen
            return isinstance(screen, Overview) and screen.query_one("#speakers", Links).option_count > 1

        await _timed(_nothing, summed)
        show("overview: start, until all is summed up", 1000 * (time.perf_counter() - started), 5000)
        show_gap("overview: longest gap meanwhile", gaps.taken())
        show("memory in MB", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000, 250)


async def _clips() -> None:
    from fishtui.tui.app import Fishtui
    from fishtui.tui.screens.clips import Clips

    prepare()
    # Measure nothing of another screen.
    Fishtui.DEFAULT_MODE = "clips"
    started = time.perf_counter()
    app = Fishtui(Project(ROOT))
    async with app.run_test(size=(80, 24)) as pilot:
        gaps = Gaps()

        def painted() -> bool:
            screen = app.screen
            return isinstance(screen, Clips) and screen.table.row is not None and "speaker" in _first_line(screen)

        await _timed(_nothing, painted)
        show("clips: start, to the first paint of the table", 1000 * (time.perf_counter() - started), 1000)
        screen = app.screen
        assert isinstance(screen, Clips)
        await _timed(_nothing, lambda: screen.is_whole and screen.totals)
        show_gap("clips: longest gap until all numbers are read", gaps.taken())
        worst: dict[str, tuple[float, float]] = {}
        for key in KEYS:
            await pilot.press(key)
            await pilot.pause(0.05)
            worst[key] = max(worst.get(key, (0, 0)), gaps.taken())
        for key, gap in worst.items():
            show_gap(f"clips: longest gap after {key}", gap)
        for text in FILTERS:
            before = screen.table.ids

            async def apply(text: str = text) -> None:
                screen.apply(text)

            took = await _timed(apply, lambda before=before: screen.table.ids is not before and painted())  # type: ignore[misc]
            show(f"clips: results of {text or 'no filter'}", took, 300)
            took += await _timed(_nothing, lambda: screen.is_whole)
            show(f"clips:   and all {len(screen.table.ids):,} numbers", took, 5000)
        show_gap("clips: longest gap meanwhile", gaps.taken())
        show("memory in MB", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000, 250)


def _first_line(screen: Any) -> str:
    return screen.table.render_line(0).text


async def _nothing() -> None:
    return


async def _timed(do: Callable[[], Awaitable[None]], condition: Callable[[], object]) -> float:
    """Return the milliseconds until `condition` holds."""
    started = time.perf_counter()
    await do()
    while not condition():
        await asyncio.sleep(0.002)
    return 1000 * (time.perf_counter() - started)


PARTS: dict[str, Callable[[], Any]] = {"start": _start, "overview": _overview, "clips": _clips}


def main() -> None:
    # Each part runs in its own process, since its memory is reported too.
    if len(sys.argv) == 2:
        part = PARTS[sys.argv[1]]()
        if part is not None:
            asyncio.run(part)
        return
    for name in sys.argv[1:] or PARTS:
        subprocess.run([sys.executable, "-m", __spec__.name, name], check=True)


if __name__ == "__main__":
    main()
