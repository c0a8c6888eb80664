"""CPU time per clip among 100,000 and 1,000,000 clips, next to the same among 10,000: a ratio of 1 means no growth.

Works on all clips are measured whole: a scan and a validation of unchanged clips (with the findings that compare
clips), and the planning of extract and pack. Works on new clips and reviews are measured without what the command does
once; worker processes are not included, because they see a single file.

The projects are made of 200 recordings: their files are linked, and their rows multiplied.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np

from fishtui.catalog.actions import edit, review, tag, undo
from fishtui.catalog.findings import mark_dirty
from fishtui.catalog.measurements import measure_clips
from fishtui.catalog.scan import scan
from fishtui.catalog.store import Catalog
from fishtui.codes import Provenance
from fishtui.files import state_of
from fishtui.project import Project
from fishtui.runs.reporter import Reporter
from fishtui.settings import ScanSettings, Settings
from fishtui.stages.extract import extract, recipe
from fishtui.stages.pack import pack
from tests.builders import tone, write_clip, write_codes

UNIT = "µs CPU/clip"
FEWEST, *MORE = SIZES = (10_000, 100_000, 1_000_000)
# Clips of a speaker.
SPEAKER = 1_000
RECORDINGS = 200
# Clips that a case adds, and clips that it reviews one by one. The latter have transcripts of their own.
NEW = 6_000
REVIEWED = 500
ROOT = Path(tempfile.gettempdir()) / "fishtui-bench-growth"
SETTINGS = Settings(scan=ScanSettings(workers=1))
WORDS = ("one", "two", "three", "bread", "salt", "window", "river", "night", "letter", "seven", "yellow", "answer")


class Clock(Reporter):
    """Notes the CPU time of this process at each report of progress."""

    def __init__(self) -> None:
        super().__init__()
        self.marks: list[tuple[int, float]] = []

    def progress(self, done: int, total: int, unit: str = "clips", note: str = "") -> None:
        self.marks.append((done, time.process_time()))

    def per_item(self) -> float:
        """Seconds per item after the first report."""
        (first, started), (last, ended) = self.marks[0], self.marks[-1]
        return (ended - started) / (last - first)


def prepare() -> None:
    """Create a project for each number of clips, or reuse existing ones."""
    for clips in SIZES:
        project = Project(ROOT / str(clips))
        if not (project.root / "complete").exists():
            print(f"a project of {clips:,} clips is made, which takes a while …", file=sys.stderr)
            shutil.rmtree(project.root, ignore_errors=True)
            _multiply(project, clips)
            (project.root / "complete").touch()


def measure(case: str, plain: bool) -> float:
    """Return the CPU time per clip in microseconds."""
    name, clips = case.rsplit(", ", 1)
    # The first use includes imports.
    fewest = [_measure(name, FEWEST) for _ in range(4)][1:]
    return 1e6 * (min(fewest) if plain else _measure(name, int(clips.replace(",", ""))))


def _measure(name: str, clips: int) -> float:
    project = Project(ROOT / str(clips))
    with Catalog(project, project.root / "data") as catalog:
        return WORKS[name](catalog, clips)


def scan_all(catalog: Catalog, clips: int) -> float:
    started = time.process_time()
    found = scan(catalog, SETTINGS, Reporter())
    assert (found.clips, found.new, found.changed, found.gone) == (clips, 0, 0, 0)
    return (time.process_time() - started) / clips


def validate_all(catalog: Catalog, clips: int) -> float:
    with catalog.transaction() as connection:
        mark_dirty(connection)
    started = time.process_time()
    assert measure_clips(catalog, SETTINGS, Reporter()) == 0
    return (time.process_time() - started) / clips


def scan_new(catalog: Catalog, clips: int) -> float:
    return _with_new(catalog, NEW)[0]


def validate_new(catalog: Catalog, clips: int) -> float:
    return _with_new(catalog, NEW // 3)[1]


def plan_extract(catalog: Catalog, clips: int) -> float:
    started = time.process_time()
    ledger = extract(
        catalog.project, SETTINGS, Reporter(), data=catalog.data, checkpoint=catalog.project.root / "none", dry_run=True
    )
    assert (len(ledger.skipped), ledger.done) == (clips, 0)
    return (time.process_time() - started) / clips


def plan_pack(catalog: Catalog, clips: int) -> float:
    started = time.process_time()
    output = catalog.data / "protos"
    assert pack(catalog.project, SETTINGS, Reporter(), data=catalog.data, output=output, dry_run=True).done == clips
    return (time.process_time() - started) / clips


def one_by_one(act: Callable[[Catalog, int], object]) -> Callable[[Catalog, int], float]:
    """Return a function that measures an action on single clips."""

    def measured(catalog: Catalog, clips: int) -> float:
        chosen = _reviewed(clips)
        started = time.process_time()
        for clip in chosen:
            act(catalog, clip)
        return (time.process_time() - started) / len(chosen)

    return measured


WORKS: dict[str, Callable[[Catalog, int], float]] = {
    "scan": scan_all,
    "scan of a new clip": scan_new,
    "validate": validate_all,
    "validate a new clip": validate_new,
    "plan of extract": plan_extract,
    "plan of pack": plan_pack,
    "review": one_by_one(
        lambda catalog, clip: review(catalog, [clip], random.choice(("accepted", "open")), random.choice(WORDS))
    ),
    "tag": one_by_one(lambda catalog, clip: tag(catalog, [clip], add=[random.choice(WORDS)])),
    "undo": one_by_one(lambda catalog, clip: undo(catalog, SETTINGS)),
    "edit": one_by_one(lambda catalog, clip: edit(catalog, SETTINGS, clip, " ".join(random.choices(WORDS, k=8)))),
}
CASES = [f"{name}, {clips:,}" for name in WORKS for clips in MORE]


def _with_new(catalog: Catalog, count: int) -> tuple[float, float]:
    """Scan and validate this many new clips, remove them again, and return the seconds per clip of both."""
    folder = catalog.data / "new"
    # Other recordings each time: measurements of these are kept.
    choose = np.random.default_rng()
    for number in range(count):
        samples = choose.normal(0, 0.1, 1200).astype(np.float32)
        write_clip(folder / f"{number:06d}.wav", f"{' '.join(choose.choice(WORDS, 8))} {number}", samples, 8000)
    scanning, measuring = Clock(), Clock()
    scan(catalog, SETTINGS, scanning)
    measure_clips(catalog, SETTINGS, measuring)
    shutil.rmtree(folder)
    assert scan(catalog, SETTINGS, Reporter()).gone == count
    return scanning.per_item(), measuring.per_item()


def _multiply(project: Project, clips: int) -> None:
    """Create a project of this many clips with recording, transcript, codes, measurements and findings."""
    originals = Project(project.root / "originals")
    for number in range(RECORDINGS):
        path = write_clip(
            originals.root / "data" / f"{number:03d}.wav",
            f"{_text(number)}.",
            tone(0.5, 8000, pitch=100 + number),
            8000,
        )
        write_codes(path.with_suffix(".npy"), 12, number)
    data = project.root / "data"
    for speaker in {_speaker(number) for number in range(clips)}:
        (data / speaker).mkdir(parents=True)
    for number in range(clips):
        _link(originals, data, number)
    # An edit replaces a file. A removed link would change the state of all others.
    for clip in _reviewed(clips):
        path = data / f"{_name(clip - 1)}.lab"
        text = path.read_bytes()
        path.unlink()
        path.write_bytes(text)
    with Catalog(originals, originals.root / "data") as catalog:
        scan(catalog, SETTINGS, Reporter())
        measure_clips(catalog, SETTINGS, Reporter())
        catalog.query("PRAGMA wal_checkpoint(TRUNCATE)")
    with Catalog(project, data) as catalog:
        _fill(catalog, originals, clips)
        scan(catalog, SETTINGS, Reporter())
        catalog.query("PRAGMA wal_checkpoint(TRUNCATE)")
    _write_journal(project, originals, clips)


def _reviewed(clips: int) -> list[int]:
    """Return the ids of the clips that are reviewed, which are spread over the dataset."""
    return random.Random(0).sample(range(1, clips + 1), REVIEWED)


def _link(originals: Project, data: Path, number: int) -> None:
    for extension in ("wav", "lab", "npy"):
        original = originals.root / f"data/{number % RECORDINGS:03d}.{extension}"
        os.link(original, data / f"{_name(number)}.{extension}")


def _speaker(number: int) -> str:
    # In blocks, so that ids have the order of names, as after a first scan.
    return f"speaker{number // SPEAKER:04d}"


def _name(number: int) -> str:
    return f"{_speaker(number)}/{number:07d}"


def _hash(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def _text(number: int) -> str:
    return " ".join(random.Random(number).choices(WORDS, k=8))


def _fill(catalog: Catalog, originals: Project, clips: int) -> None:
    """Multiply the rows of the originals. Each copy counts as another recording with another text."""
    connection = catalog.connection
    for function in (_speaker, _name, _hash, _text):
        connection.create_function(function.__name__, 1, function, deterministic=True)
    connection.execute("ATTACH ? AS originals", (str(originals.catalog),))
    changed = {
        "id": "number + 1",
        "name": "_name(number)",
        "speaker": "_speaker(number)",
        "files": "printf('%07d.wav', number)",
        "audio_hash": "_hash(number)",
        "text": "_text(number)",
        "folded": "_text(number)",
        "codes": "'current'",
        "codes_source": "_hash(number)",
    }
    columns = [row["name"] for row in catalog.query("PRAGMA table_info(clips)")]
    values = ", ".join(changed.get(name, name) for name in columns)
    numbers = f"WITH RECURSIVE n(number) AS (SELECT 0 UNION ALL SELECT number + 1 FROM n LIMIT {clips})"
    copied = f"n CROSS JOIN originals.clips AS c ON c.name = printf('%03d', number % {RECORDINGS})"
    with catalog.transaction():
        connection.execute(f"INSERT INTO main.clips({', '.join(columns)}) {numbers} SELECT {values} FROM {copied}")
        connection.execute(
            f"INSERT INTO main.measurements {numbers} "
            "SELECT _hash(number), version, json_set(content, '$.sound_hash', _hash(number)) "
            f"FROM {copied} JOIN originals.measurements AS m ON m.audio_hash = c.audio_hash"
        )
        connection.execute(
            f"INSERT INTO main.findings {numbers} SELECT number + 1, code, f.severity, detail "
            f"FROM {copied} JOIN originals.findings AS f ON f.clip = c.id"
        )
        connection.execute("INSERT OR REPLACE INTO main.meta SELECT * FROM originals.meta")
        connection.execute("INSERT INTO transcripts(transcripts) VALUES ('rebuild')")
        mark_dirty(connection)
    connection.execute("DETACH originals")


def _write_journal(project: Project, originals: Project, clips: int) -> None:
    states, codes = [], []
    for number in range(RECORDINGS):
        path = originals.root / f"data/{number:03d}.wav"
        states.append(state_of(path.stat())._asdict())
        codes.append(hashlib.sha256(path.with_suffix(".npy").read_bytes()).hexdigest())
    made_by = {"codec": "", "recipe": recipe(SETTINGS.extract)}
    with project.codes_journal.open("w", encoding="utf-8") as file:
        for number in range(clips):
            which = number % RECORDINGS
            entry = Provenance(clip=_name(number), audio=_hash(number), codes=codes[which], **made_by, **states[which])
            file.write(json.dumps(asdict(entry)) + "\n")
