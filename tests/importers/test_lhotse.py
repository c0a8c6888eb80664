"""Manifests of Lhotse."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from fishtui.importers.layouts import choose
from fishtui.importers.source import understand
from tests.builders import tone, write_clip


def recording(**changes: Any) -> dict[str, Any]:
    source = {"type": "file", "channels": [0], "source": "wavs/talk.wav"}
    return {"id": "talk", "sources": [source], "sampling_rate": 8_000, "num_samples": 32_000, "duration": 4.0} | changes


def write(path: Path, *rows: Any) -> Path:
    content = "".join(f"{json.dumps(row)}\n" for row in rows)
    path.write_bytes(gzip.compress(content.encode()) if path.suffix == ".gz" else content.encode())
    return path


def source_of(root: Path) -> Path:
    write_clip(root / "in" / "wavs" / "talk.wav", None, tone(4.0, 8_000), 8_000)
    return root / "in"


@pytest.mark.parametrize("name", ["cuts.jsonl", "cuts_train.jsonl.gz"])
def test_cuts_name_parts(tmp_path: Path, name: str) -> None:
    folder = source_of(tmp_path)
    spoken = {"id": "s", "recording_id": "talk", "start": 0.5, "duration": 1.0, "text": "One.", "speaker": "anna"}
    source = write(
        folder / name,
        {
            "id": "c1",
            "start": 1.0,
            "duration": 2.0,
            "supervisions": [spoken],
            "recording": recording(),
            "type": "MonoCut",
        },
        {"id": "c2", "start": 0, "duration": 2.0, "supervisions": [], "recording": recording(), "type": "MonoCut"},
        {"id": "c3", "start": 0, "tracks": [], "type": "MixedCut"},
        {"id": "c4", "start": 0, "supervisions": [{**spoken, "start": -0.5}], "recording": recording()},
    )
    for each in (folder, source):
        assert choose(each, None, {})[0].name == "lhotse"
        found = understand(each, data=tmp_path / "data")
        assert [(clip.text, clip.speaker, clip.part) for clip in found.clips] == [("One.", "anna", (1.5, 2.5))]
        assert (len(found.omitted), len(found.failed)) == (1, 2)


def test_recordings_that_are_not_files_are_never_run(tmp_path: Path) -> None:
    folder = source_of(tmp_path)
    sources = [
        {"type": "command", "channels": [0], "source": f"touch {tmp_path / 'run'} |"},
        {"type": "url", "channels": [0], "source": "http://127.0.0.1:1/x.wav"},
        {"type": "file", "channels": [0, 1], "source": "wavs/talk.wav"},
        {"type": "file", "channels": [0], "source": "wavs/talk.wav"},
    ]
    write(folder / "recordings.jsonl.gz", *(recording(id=str(n), sources=[each]) for n, each in enumerate(sources)))
    spoken = {"start": 0.5, "duration": 1.0, "text": "One."}
    write(folder / "supervisions.jsonl.gz", *({**spoken, "id": n, "recording_id": str(n)} for n in range(5)))
    found = understand(folder, data=tmp_path / "data")
    assert (found.layout, len(found.clips), len(found.failed)) == ("lhotse", 1, 4)
    assert not (tmp_path / "run").exists()


def test_one_bad_row_is_one_line_of_the_ledger(tmp_path: Path) -> None:
    folder = source_of(tmp_path)
    spoken = {"start": 0.5, "duration": 1.0, "text": "One."}
    cut = {"id": "c", "start": 0, "supervisions": [spoken], "recording": recording(), "type": "MonoCut"}
    source = write(folder / "cuts.jsonl", cut)
    source.write_text(source.read_text() + "{broken\n[1]\n")
    found = understand(folder, data=tmp_path / "data")
    assert (len(found.clips), len(found.failed)) == (1, 2)
