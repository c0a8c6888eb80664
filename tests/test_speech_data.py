"""Every stage on real and synthetic speech, if FISHTUI_SPEECH names a folder of it: no clip is lost."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from fishtui.shards.packed import read_manifest
from tests.builders import project
from tests.forking import fishtui
from tests.golden_data import GOLDEN

SPEECH = Path(os.environ.get("FISHTUI_SPEECH", Path(__file__).parents[2] / "shared" / "data" / "speech"))
AUDIO = (".wav", ".mp3", ".flac")
SETTINGS = f"""
[paths]
checkpoint = "{GOLDEN / "checkpoint"}"

[train]
max_steps = 3
validate_every = 3
max_length = 1024
batch_size = 1
device = "cpu"

[synthesize]
max_seconds = 0.5
"""


needs_speech = pytest.mark.skipif(not SPEECH.is_dir(), reason="no folder of speech: set FISHTUI_SPEECH to one")


@pytest.mark.long
@needs_speech
def test_every_clip_of_a_real_dataset_is_accounted_for(tmp_path: Path) -> None:
    root = project(tmp_path, SETTINGS).root
    clips = {str(path.relative_to(SPEECH).with_suffix("")) for path in SPEECH.rglob("*") if path.suffix in AUDIO}
    ledgers = {}
    merged = root / "merged"
    reference = next(path for path in sorted((SPEECH / "lj").iterdir()) if path.suffix in AUDIO)
    for arguments in (
        ["normalize", str(SPEECH), "data"],
        ["extract"],
        ["pack", "--validation", "0.05"],
        ["train", "voice", "--no-gate"],
        ["merge", "voice", "--output", str(merged)],
        ["synthesize", "--checkpoint", str(merged), "--text", "مرحبا. 今天!", "--reference", str(reference)],
    ):
        result = fishtui(*arguments, "--json", cwd=root)
        assert result.returncode == 0, result.stderr
        ledgers[arguments[0]] = json.loads(result.stdout.splitlines()[-1])["ledger"]
    for stage in ("normalize", "extract", "pack"):
        assert ledgers[stage]["done"] == ledgers[stage]["total"] == len(clips)
    manifest = read_manifest(root / "data" / "protos")
    assert {entry["clip"] for entry in manifest} == clips
    assert ledgers["train"]["total"] == len(clips)
    held_out = Counter(entry["speaker"] for entry in manifest if entry["split"] == "validation")
    large = {speaker for speaker, count in Counter(entry["speaker"] for entry in manifest).items() if count >= 10}
    assert large <= held_out.keys()
    for entry in manifest:
        assert np.load(root / "data" / f"{entry['clip']}.npy").shape == (10, entry["frames"])


@needs_speech
def test_findings_over_a_real_dataset_are_true(tmp_path: Path) -> None:
    """No errors, and only warnings that a look at the recordings confirms: quiet digits at 8 kHz."""
    root = project(tmp_path, '[paths]\ndata = "speech"\n').root
    (root / "speech").symlink_to(SPEECH)
    result = fishtui("validate", "--json", cwd=root)
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    clips = {str(path.relative_to(SPEECH).with_suffix("")) for path in SPEECH.rglob("*") if path.suffix in AUDIO}
    assert report["clips"] == len(clips)
    by_code = {
        code: {each["where"] for each in report["findings"] if each["code"] == code} for code in report["summary"]
    }
    assert not [each for each in report["findings"] if each["severity"] == "error"]
    eight_kilohertz = {clip for clip in clips if clip.startswith("fsdd_")}
    assert by_code.pop("low-sample-rate") == eight_kilohertz
    assert by_code.pop("too-short") <= eight_kilohertz
    assert {clip.partition("/")[0] for clip in by_code.pop("dc-offset")} == {"fsdd_nicolas"}
    quiet = by_code.pop("loudness")
    assert {clip for clip in clips if clip.startswith(("fsdd_theo/", "fsdd_yweweler/"))} <= quiet <= eight_kilohertz
    assert by_code.pop("little-audio") == {clip.partition("/")[0] for clip in clips}
    assert by_code.pop("digits") == {"espeak_ar/006"}
    assert by_code.pop("codes-missing") == clips
    assert not by_code
