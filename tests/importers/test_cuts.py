"""Clips of every format of an import that cuts recordings can be moved, split and merged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from fishtui.audio.activity import LEVEL_STEP_S, PARTS, STEP_S, Activity
from fishtui.catalog.actions import undo
from fishtui.catalog.cutedits import merge, move_ends, split
from fishtui.catalog.cuts import cut_of
from fishtui.catalog.store import Catalog
from fishtui.project import Project
from fishtui.settings import ScanSettings, Settings
from tests.builders import snapshot
from tests.importers.builders import run
from tests.importers.sources import CUTTING

RATE, SECONDS = 8_000, 6.0
PIECES = [(1.0, 2.0, "One two. Three four."), (3.0, 4.5, "Five six.")]
# All formats share the code that cuts, so two of them are enough for other recordings.
CASES = [
    *((name, 1, "PCM_16") for name in CUTTING),
    *((name, channels, subtype) for name in ("srt", "table") for channels, subtype in ((3, "PCM_16"), (2, "FLOAT"))),
]
PLAIN = Settings(scan=ScanSettings(workers=1))


def spoken(*arguments: object, **options: object) -> tuple[Activity, str]:
    """Return the activity of speech in the pieces."""

    windows = round(SECONDS / STEP_S)

    def heard(count: int, step: float) -> np.ndarray:
        times = (np.arange(count) + 0.5) * step
        return np.any([(start < times) & (times < end) for start, end, _ in PIECES], axis=0)

    voice = heard(windows, STEP_S).astype(np.float32)
    levels = np.where(heard(PARTS * windows, LEVEL_STEP_S), -20, -90).astype(np.float32)
    return Activity(voice, voice, levels, SECONDS), ""


@pytest.mark.parametrize(("name", "channels", "subtype"), CASES)
def test_cuts_of_an_import_are_corrected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, channels: int, subtype: str
) -> None:
    monkeypatch.setattr("fishtui.audio.activity.activity_of", spoken)
    source, root = tmp_path / "in", tmp_path / "project"
    source.mkdir()
    noise = np.random.default_rng(1).uniform(-0.3, 0.3, (round(SECONDS * RATE), channels))
    soundfile.write(source / "talk.wav", noise, RATE, subtype)
    whole = soundfile.read(source / "talk.wav", dtype="float32", always_2d=True)[0]
    written = CUTTING[name].write(source, "talk.wav", PIECES)
    assert run(root, CUTTING[name].source(written), settings=PLAIN).done == len(PIECES)
    data = root / "data"
    before = snapshot(data)

    def samples(row) -> np.ndarray:
        return soundfile.read(data / f"{row['name']}.wav", dtype="float32", always_2d=True)[0]

    def check(clip: int) -> None:
        """Compare a clip with its place in the recording."""
        [row] = catalog.query("SELECT * FROM clips WHERE id = ?", (clip,))
        cut = cut_of(catalog, row["audio_hash"])
        assert cut is not None
        np.testing.assert_array_equal(samples(row), whole[round(cut.start * RATE) : round(cut.end * RATE)])

    with Catalog(Project(root), data) as catalog:
        clips = [row["id"] for row in catalog.query("SELECT id FROM clips ORDER BY name")]
        for clip in clips:
            check(clip)
        move_ends(catalog, PLAIN, clips[0], start=-0.2, end=0.1)
        check(clips[0])
        [_, new] = split(catalog, PLAIN, clips[0], 0.6).clips
        check(clips[0])
        check(new)
        merge(catalog, PLAIN, new)
        check(new)
        assert len(list(data.rglob("*.lab"))) == 2
        for _ in range(3):
            undo(catalog, PLAIN)
        assert snapshot(data) == before
    # The clips are known by their samples.
    assert run(root, CUTTING[name].source(written), settings=PLAIN).done == 0
