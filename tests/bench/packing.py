"""Pack 5,000 clips of 108 frames; the plain implementation builds whole messages and serializes them at the end."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np

from fishtui.catalog.scan import scan
from fishtui.catalog.store import Catalog
from fishtui.project import Project
from fishtui.runs.reporter import Reporter
from fishtui.settings import PackSettings, Settings
from fishtui.shards.text_data_pb2 import Semantics, Sentence, TextData
from fishtui.stages import pack as packing
from fishtui.stages.pack import pack
from tests.builders import write_codes

UNIT = "clips/s"
CASES = ["1 process", "2 processes"]
CLIPS = 5000


def measure(case: str, plain: bool) -> float:
    """Return clips packed per second."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for number in range(CLIPS):
            path = write_codes(root / "data" / f"speaker{number % 5}" / f"{number:05d}.npy", 108, number)
            path.with_suffix(".lab").write_text(f"This is the sentence of clip {number}.", encoding="utf-8")
        project, settings = Project(root), Settings(pack=PackSettings(workers=int(case.split()[0])))
        # After extract, the catalog has the clips too.
        with Catalog(project, root / "data") as catalog:
            scan(catalog, settings, Reporter())
        # So few clips are packed by one process otherwise.
        packing.FEW_CLIPS = 0
        started = time.perf_counter()
        if plain:
            pack_plainly(root / "data", root / "plain.protos")
        else:
            pack(project, settings, Reporter(), data=root / "data", output=root / "data" / "protos")
        return CLIPS / (time.perf_counter() - started)


def pack_plainly(data: Path, output: Path) -> None:
    with output.open("wb") as file:
        for speaker in sorted(path for path in data.iterdir() if path.is_dir()):
            message = TextData(source="folder", name=speaker.name)
            for path in sorted(speaker.glob("*.lab")):
                codes = np.load(path.with_suffix(".npy"))
                rows = [Semantics(values=[int(value) for value in row]) for row in codes]
                message.sentences.append(Sentence(texts=[path.read_text(encoding="utf-8")], semantics=rows))
            content = message.SerializeToString()
            file.write(len(content).to_bytes(4, "little") + content)
