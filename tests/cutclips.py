"""A recording of noise, and clips cut from it, for tests of cuts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from fishtui.audio.cutting import encode_parts
from fishtui.catalog.cuts import Cut, identify, record_cuts
from fishtui.catalog.scan import scan
from fishtui.catalog.store import Catalog
from fishtui.runs.reporter import Reporter
from fishtui.settings import Settings

RATE = 8_000
PLACES = {"ANNA/talk_00001000_00003000": (1.0, 3.0), "ANNA/talk_00003200_00005000": (3.2, 5.0)}
FIRST, SECOND = PLACES
TEXTS = ("One two three. Four five six.\n", "Seven.")


def cut_talk(catalog: Catalog, settings: Settings) -> Path:
    """Write a recording of 6 s and two clips of it with transcripts, and put them on record; return the recording."""
    path = catalog.project.root / "recordings" / "talk.wav"
    path.parent.mkdir()
    soundfile.write(path, np.random.default_rng(1).integers(-9_000, 9_000, 6 * RATE).astype(np.int16), RATE)
    source = identify(path, 6.0)
    (catalog.data / "ANNA").mkdir(parents=True)
    for number, content in encode_parts(path, list(PLACES.values())):
        clip = catalog.data / list(PLACES)[number]
        clip.with_suffix(".flac").write_bytes(content)
        clip.with_suffix(".lab").write_text(TEXTS[number])
    scan(catalog, settings, Reporter())
    hashes = {row["name"]: row["audio_hash"] for row in catalog.query("SELECT name, audio_hash FROM clips")}
    record_cuts(catalog, source, [(hashes[name], Cut(source.hash, *place)) for name, place in PLACES.items()])
    return path
