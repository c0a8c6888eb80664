"""No source makes an import write outside the project, start a process, or raise an error that is not fishtui's."""

from __future__ import annotations

import os
import sys
from contextlib import nullcontext, suppress
from pathlib import Path
from random import Random
from unittest import mock

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fishtui.audio.activity import Activity
from fishtui.dataset import AUDIO_EXTENSIONS
from fishtui.errors import FishtuiError
from fishtui.importers.layout import MEANINGS
from fishtui.importers.layouts import LAYOUTS
from fishtui.importers.source import understand
from fishtui.importers.summary import summary_dict, summary_lines
from tests.builders import tone, write_clip
from tests.fuzz.damage import damaged
from tests.importers.builders import run
from tests.importers.sources import FORMATS

names = st.sampled_from(
    ["audio", "path", "text", "sentence", "speaker", "start", "end_ms", "duration", "offset", "length", "start_sample",
     "file_name", "1", "", "\u00e9"]
)  # fmt: skip
cells = st.sampled_from(
    ["a", "a.wav", "wavs/a.wav", "./a.wav", "../outside/b.wav", "C:\\x\\wavs\\a.wav", "\\\\host\\a", "/", "..", "",
     "Good morning.", "Hello there, you.", "_", "anna", "../anna", "/etc", "wavs", "EN", "0", "0.1", "0.2", "200", "-1",
     "1e309", "nan", "0:00.1", "9" * 5_000, "\0", "\ud800", "\ufeff", '"', '""', "'", "{", "x" * 70_000, "\u2028",
     "a\u0301.wav", "\x1b[2J", "|", ",", "\t", "protos", ".hidden"]
)  # fmt: skip
ends = st.sampled_from(["\n", "\r\n", "\r", "\n\n", "\x0b", "\u2028"])


@st.composite
def tables(draw: st.DrawFn) -> bytes:
    """Draw rows of cells, with or without names of columns, of any separator and line ends."""
    delimiter, end = draw(st.sampled_from(["|", "\t", ",", ";"])), draw(ends)
    count = draw(st.integers(1, 5))
    row = st.lists(cells, min_size=count, max_size=count)
    rows = draw(st.lists(row | st.lists(cells, max_size=6), max_size=6))
    if draw(st.booleans()):
        rows.insert(0, draw(st.lists(names, min_size=count, max_size=count)))
    mark = draw(st.sampled_from(["", "\ufeff"]))
    content = mark + end.join(delimiter.join(each) for each in rows)
    return content.encode("utf-8", "surrogatepass")


@settings(max_examples=150, deadline=None)
@given(
    content=tables() | st.binary(max_size=60),
    layout=st.sampled_from([None, *LAYOUTS]),
    columns=st.dictionaries(
        st.sampled_from(MEANINGS), names | st.sampled_from(["2", "3", "0", "9" * 5_000]), max_size=2
    ),
    has_root=st.booleans(),
    name=st.sampled_from(["x.csv", "x.jsonl", "metadata.csv"]),
)
def test_no_table_surprises_an_import(
    tmp_path_factory: pytest.TempPathFactory,
    content: bytes,
    layout: str | None,
    columns: dict[str, str],
    has_root: bool,
    name: str,
) -> None:
    around = tmp_path_factory.mktemp("around")
    for recording in ("in/wavs/a.wav", "outside/b.wav"):
        write_clip(around / recording, None, tone(0.3, 8_000), 8_000)
    (around / "in" / name).write_bytes(content)
    (around / "project").mkdir()
    before = files_of(around, "project")
    source = around / "in" / name if layout != "folder" else around / "in"
    options = {"layout": layout, "columns": columns, "audio_root": around / "in" if has_root else None}
    with suppress(FishtuiError):
        found = understand(source, data=around / "project" / "data", **options)  # type: ignore[arg-type]
        assert list(summary_lines(found))
        assert summary_dict(found)["clips"] == len(found.clips)
        ledger = run(around / "project", source, **options)
        assert ledger.total == len(found.clips) + len(found.failed) + len(found.omitted) + len(found.repeated) > 0
        again = run(around / "project", source, **options)
        assert again.done == 0
    assert files_of(around, "project") == before
    data = around / "project" / "data"
    assert {path.suffix for path in data.rglob("*") if path.is_file()} <= {".wav", ".lab"}
    assert not any(name.startswith(".") for _, folders, own in os.walk(data) for name in (*folders, *own))


NASTY = ["../../outside/b.wav", "/etc/passwd", "C:\\\\x\\\\a.wav", "talk.wav", "..", "touch run |"]
PIECES = [(0.05, 0.1, "One"), (0.15, 0.25, "[Music] two.")]
# Events of Python when a process is started.
STARTS = frozenset({"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "pty.spawn"})
started: list[str] = []
sys.addaudithook(lambda event, arguments: started.append(event) if event in STARTS else None)


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=12, deadline=None)
@given(path=st.sampled_from(NASTY), seed=st.none() | st.integers(0, 1 << 32))
@example(path="talk.wav", seed=None)
def test_no_format_writes_outside_of_the_dataset_or_starts_a_process(
    tmp_path_factory: pytest.TempPathFactory, name: str, path: str, seed: int | None
) -> None:
    around = tmp_path_factory.mktemp("around")
    for recording in ("in/wavs/talk.wav", "outside/b.wav"):
        write_clip(around / recording, None, tone(0.3, 8_000), 8_000)
    written = FORMATS[name].write(around / "in" / "wavs", path, PIECES)
    if seed is not None:
        written.write_bytes(damaged(written.read_bytes(), Random(seed)))
    source = FORMATS[name].source(written)
    (around / "project").mkdir()
    before = files_of(around, "project")
    started.clear()
    # The undamaged source of a recording that exists is understood.
    with suppress(FishtuiError) if (path, seed) != ("talk.wav", None) else nullcontext():
        found = understand(source, data=around / "project" / "data")
        assert summary_dict(found)["clips"] == len(found.clips)
        assert list(summary_lines(found))
        with mock.patch("fishtui.audio.activity.activity_of", return_value=(SPEECH, "")):
            ledger = run(around / "project", source)
        assert ledger.total == len(found.clips) + len(found.failed) + len(found.omitted) + len(found.repeated) > 0
    assert started == []
    assert files_of(around, "project") == before
    data = around / "project" / "data"
    assert {each.suffix for each in data.rglob("*") if each.is_file()} <= {*AUDIO_EXTENSIONS, ".lab"}


# Speech from 0.03 to 0.29 seconds.
SPEECH = Activity(
    np.ones(10, np.float32) * (np.arange(10) > 0) * (np.arange(10) < 9),
    np.ones(10, np.float32) * (np.arange(10) > 0) * (np.arange(10) < 9),
    np.full(40, -90.0, np.float32),
    0.3,
)


def files_of(folder: Path, without: str) -> dict[str, bytes]:
    """Return the content of all files below `folder`, except in the folder `without`."""
    found = {}
    for root, folders, own in os.walk(folder):
        folders[:] = [each for each in folders if Path(root, each) != folder / without]
        for each in own:
            found[os.path.join(root, each)] = Path(root, each).read_bytes()
    return found
