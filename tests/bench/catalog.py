"""A dataset of 100,000 small wav clips: first scan, second scan, filters and searches.

The plain implementation reads each file once and inserts a row, in one process; checks each file again; and reads all
rows to filter them in Python. The filter speed is that of the slowest filter, with its count and its first 100 clips.
"""

from __future__ import annotations

import hashlib
import io
import os
import sqlite3
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

from fishtui.catalog import lookup
from fishtui.catalog.scan import scan
from fishtui.catalog.store import Catalog
from fishtui.project import Project
from fishtui.runs.reporter import Reporter
from fishtui.settings import Settings

UNIT = "scans/min"
CASES = ["100,000 new", "100,000 known", "filter (1/s)"]
CLIPS = 100_000
SPEAKERS = 50
RATE = 8000
FOLDER = Path(tempfile.gettempdir()) / "fishtui-bench-catalog"
WORDS = [
    "one",
    "two",
    "three",
    "bread",
    "salt",
    "window",
    "river",
    "نافذة",
    "窗户",
    "night",
    "letter",
    "seven",
    "yellow",
]
FILTERS = """

speaker:speaker07
speaker:speaker0*
name:0999
status:open
finding:any
finding:too-short
-finding:any
duration:>0.3
duration:0.1..0.2
rate:>40
bread
نافذة
窗
bread salt
tag:none
codes:missing
edited:yes
measured:no
format:wav
script:Han
sort:-duration
sort:rate
sort:speaker
sort:-text
finding:any status:open sort:-rate
""".splitlines()


def prepare() -> None:
    """Write clips with distinct samples, or read existing ones: every case starts with a warm page cache."""
    random = np.random.default_rng(0)
    for number in range(CLIPS):
        folder = FOLDER / "data" / f"speaker{number % SPEAKERS:02d}"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{number:06d}.wav"
        if path.exists():
            path.read_bytes()
            continue
        content = io.BytesIO()
        samples = random.normal(0, 0.1, int(RATE * random.uniform(0.1, 0.4)))
        soundfile.write(content, samples, RATE, format="WAV", subtype="PCM_16")
        path.with_suffix(".lab").write_text(" ".join(random.choice(WORDS, 6)) + f" {number}.", encoding="utf-8")
        path.write_bytes(content.getvalue())


def measure(case: str, plain: bool) -> float:
    """Return scans per minute or filters per second."""
    if plain:
        return measure_plainly(case)
    project = Project(FOLDER)
    if case == CASES[0]:
        for path in project.state.glob("catalog.db*"):
            path.unlink()
    with Catalog(project, FOLDER / "data") as catalog:
        if case == CASES[2]:
            return 1 / max(seconds_of_filter(catalog, each) for each in FILTERS)
        started = time.perf_counter()
        assert scan(catalog, Settings(), Reporter()).clips == CLIPS
        return 60 / (time.perf_counter() - started)


def seconds_of_filter(catalog: Catalog, text: str) -> float:
    started = time.perf_counter()
    lookup.find_page(catalog, text, 100)
    return time.perf_counter() - started


def measure_plainly(case: str) -> float:
    database = FOLDER / "plain.db"
    if case == CASES[0]:
        database.unlink(missing_ok=True)
    connection = sqlite3.connect(database)
    connection.execute("CREATE TABLE IF NOT EXISTS clips(name, speaker, hash, rate, duration, text)")
    started = time.perf_counter()
    if case == CASES[2]:
        rows = connection.execute("SELECT * FROM clips").fetchall()
        assert sorted((row for row in rows if "bread" in row[5]), key=lambda row: row[4])
        return 1 / (time.perf_counter() - started)
    for root, _, names in os.walk(FOLDER / "data"):
        for name in names:
            path = Path(root) / name
            if case == CASES[1]:
                path.stat()
            elif path.suffix == ".wav":
                info = soundfile.info(path)
                sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
                text = path.with_suffix(".lab").read_text(encoding="utf-8")
                row = (str(path), path.parent.name, sha256, info.samplerate, info.duration, text)
                connection.execute("INSERT INTO clips VALUES (?, ?, ?, ?, ?, ?)", row)
    connection.commit()
    return 60 / (time.perf_counter() - started)
