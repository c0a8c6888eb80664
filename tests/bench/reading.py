"""Follow a run that writes 10,000 events per second, and open a log of 1 GB at its end.

The plain implementations parse each new line with `json`, and read and split the whole log. A follower reads ten times
per second.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from fishtui.runs.log import LogFile
from fishtui.runs.tail import EventTail

UNIT = "less is better"
CASES = ["events (% of a core)", "log's tail (ms)"]
EVENTS = 50_000
RATE = 10_000
EVERY_S = 0.1
LOG = Path(tempfile.gettempdir()) / "fishtui-bench-log" / "output.log"
LOG_SIZE = 1_000_000_000
LINES = 50

WRITE = """
import sys, time
from pathlib import Path
from fishtui.runs.events import EventWriter
path, events, rate = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
writer = EventWriter(path)
started = time.perf_counter()
for number in range(events):
    if number % 100 == 0:
        time.sleep(max(started + number / rate - time.perf_counter(), 0))
    writer.write("metric", step=number, values={"loss": 4.2, "base_loss": 2.1, "semantic_loss": 2.1, "lr": 1e-4})
"""


def prepare() -> None:
    """Write the log, or reuse an existing one."""
    if LOG.exists() and LOG.stat().st_size >= LOG_SIZE:
        return
    LOG.parent.mkdir(exist_ok=True)
    block = b"".join(b"%07d: epoch 3, step %d, loss 4.2, all is well\n" % (n, n * 7) for n in range(20_000))
    with LOG.open("wb") as file:
        while file.tell() < LOG_SIZE:
            file.write(block)


def measure(case: str, plain: bool) -> float:
    """Return the share of one core in percent while following, or the milliseconds until the last lines are read."""
    if case == CASES[0]:
        return follow(plain)
    started = time.perf_counter()
    lines = LOG.read_text(encoding="utf-8").splitlines()[-LINES:] if plain else LogFile(LOG).read_last(LINES)
    assert len(lines) == LINES
    return 1000 * (time.perf_counter() - started)


def follow(plain: bool) -> float:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "events.jsonl"
        path.touch()
        writer = subprocess.Popen([sys.executable, "-c", WRITE, path, str(EVENTS), str(RATE)])
        with path.open(encoding="utf-8") as file:
            tail = EventTail(path)
            came = used = 0.0
            first = 0.0
            while came < EVENTS:
                time.sleep(EVERY_S)
                assert came or writer.poll() in (None, 0)
                started = time.process_time()
                came += len([json.loads(line) for line in file.readlines()] if plain else all_new(tail))
                used += time.process_time() - started
                first = first or (time.perf_counter() if came else 0.0)
            wall = time.perf_counter() - first
        assert writer.wait() == 0
    return 100 * used / wall


def all_new(tail: EventTail) -> list[dict]:
    events = tail.read()
    while tail.more:
        events += tail.read()
    return events
