"""`python -m tests.bench.interface [PART …]`: the interface over a catalog of 1,000,000 clips, on a terminal of 80x24.

Times are in milliseconds, with what they may be at most. The longest gap is the time that the event loop was kept from
its next turn; on a machine that others use too, "of work" tells how long it was at work itself within one.
"""

from __future__ import annotations

import asyncio
import random
import resource
import sys
import tempfile
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
WORDS = ("bread", "salt", "window", "river", "نافذة", "窗户", "night", "letter", "seven", "yellow", "answer", "simple")
FOUND = {1: "|info:digits|", 2: "|warning:clipped|", 3: "|error:silent|"}
COLUMNS = (
    *("name", "speaker", "files", "audio_hash", "format", "subtype", "sample_rate", "channels"),
    *("duration", "text", "folded", "script", "characters", "severity", "found"),
    *("speech", "rate", "loudness", "snr", "status", "born"),
)
FILTERS = ["finding:any", "finding:any status:open sort:-rate", "bread salt", "speaker:speaker07", "sort:-duration", ""]
KEYS = [*"jjjjkk", *["pagedown"] * 5, "pageup", "end", "home", "G", "k", "pageup", "home", "x", "a", "j", "f", "u", "s"]


def prepare() -> None:
    """Make the catalog, or take the one that is there."""
    (ROOT / "data").mkdir(parents=True, exist_ok=True)
    (ROOT / "fishtui.toml").touch()
    with Catalog(Project(ROOT), ROOT / "data") as catalog:
        if catalog.value("SELECT count(*) FROM clips") == CLIPS:
            return
        print(f"a catalog of {CLIPS:,} clips is made, which takes minutes …", file=sys.stderr)
        with catalog.transaction() as connection:
            for table in ("findings", "history", "clips"):
                connection.execute(f"DELETE FROM {table}")
            marks = ", ".join("?" for _ in COLUMNS)
            connection.executemany(f"INSERT INTO clips({', '.join(COLUMNS)}) VALUES ({marks})", _rows())
            connection.execute("INSERT INTO transcripts(transcripts) VALUES ('rebuild')")
        catalog.query("PRAGMA wal_checkpoint(TRUNCATE)")


def _rows() -> Iterator[tuple[Any, ...]]:
    choose = random.Random(0)
    for number in range(CLIPS):
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
    """Measures for how long the event loop does not come to its next turn."""

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
        """The longest gap since the last call, and the most work in one, in milliseconds."""
        taken = (1000 * self.longest, 1000 * self.busiest)
        self.longest = self.busiest = 0.0
        return taken


def show(what: str, value: float, limit: float) -> None:
    print(f"{what:<58}{value:>9,.0f} {'<' if value <= limit else '>'} {limit:,.0f}", flush=True)


def show_gap(what: str, gap: tuple[float, float]) -> None:
    print(f"{what:<58}{gap[0]:>9,.0f} {'<' if gap[0] <= GAP else '>'} {GAP}   {gap[1]:,.0f} of work", flush=True)


async def _clips() -> None:
    from fishtui.tui.app import Fishtui
    from fishtui.tui.screens.clips import Clips

    # Nothing of another screen is to be measured.
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
        await _timed(_nothing, lambda: screen.whole and screen.totals)
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
            took += await _timed(_nothing, lambda: screen.whole)
            show(f"clips:   and all {len(screen.table.ids):,} numbers", took, 5000)
        show_gap("clips: longest gap meanwhile", gaps.taken())
        show("memory in MB", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000, 250)


def _first_line(screen: Any) -> str:
    return screen.table.render_line(0).text


async def _nothing() -> None:
    return


async def _timed(do: Callable[[], Awaitable[None]], condition: Callable[[], object]) -> float:
    """Milliseconds until `condition` holds."""
    started = time.perf_counter()
    await do()
    while not condition():
        await asyncio.sleep(0.002)
    return 1000 * (time.perf_counter() - started)


PARTS = {"clips": _clips}


def main() -> None:
    prepare()
    for name in sys.argv[1:] or PARTS:
        asyncio.run(PARTS[name]())


if __name__ == "__main__":
    main()
