"""Guarded readers, and damaged files that must not stop the work on others."""

from __future__ import annotations

import json
import os
import shutil
from codecs import BOM_UTF8
from pathlib import Path

import pytest

from fishtui import reading
from fishtui.codes import Journal, Provenance, is_current, read_codes
from fishtui.errors import CheckpointError, DataError, MisuseError
from fishtui.load import load_model
from fishtui.project import Project
from fishtui.reading import Damaged, parse_json
from fishtui.runs import record as records
from fishtui.runs.events import EventWriter, read_events
from fishtui.runs.record import LOST
from fishtui.runs.rerun import remove_run
from fishtui.runs.scheduler import advance
from fishtui.runs.state import find_run, read_runs, read_unfinished_runs
from fishtui.settings import Loaded, Settings, load
from tests import builders, forking
from tests.expecting import failing
from tests.fuzz.readers import READERS
from tests.golden_data import GOLDEN

ATTACK = Path(__file__).parent / "cases" / "attack"
# Content that is JSON, but not of any shape that fishtui writes.
HOSTILE = [
    b"",
    b"\xff",
    b"null",
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b"9" * 100_000,
    b"1e999999",
    b'{"id": NaN}',
    b'{"id": "\\udcff"}',
]


@pytest.mark.parametrize("name", sorted(path.name for path in (ATTACK / "npy-huge-shape").iterdir()))
def test_a_damaged_file_of_codes_is_an_error_of_its_own(tmp_path: Path, name: str) -> None:
    path = Path(shutil.copy(ATTACK / "npy-huge-shape" / name, tmp_path))
    with failing("damaged-codes", DataError):
        read_codes(path)
    assert not is_current(Journal(tmp_path / "codes.jsonl"), "1", path, path, "", "")


def test_codes_of_every_layout_that_numpy_writes_are_read(tmp_path: Path) -> None:
    import numpy as np

    codes = np.arange(50).reshape(10, 5)
    for array in (codes, np.asfortranarray(codes), codes.astype(">i2"), codes.astype("u1")):
        for version in ((1, 0), (2, 0), (3, 0)):
            with (tmp_path / "1.npy").open("wb") as file:
                np.lib.format.write_array(file, array, version=version)
            assert np.array_equal(read_codes(tmp_path / "1.npy"), codes)


def test_files_above_the_limit_and_pipes_are_refused_before_they_are_read(tmp_path: Path) -> None:
    large = tmp_path / "large.npy"
    with large.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(Damaged):
        reading.read_bounded(large, reading.RECORD)
    with failing("damaged-codes", DataError):
        read_codes(large)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="not a regular file"):
        reading.read_bounded(tmp_path / "pipe", 1)


def test_damaged_lines_of_the_journal_lose_only_themselves(tmp_path: Path) -> None:
    path = tmp_path / "codes.jsonl"
    entry = Provenance(clip="a/1", size=1, modified=1, audio="x", codec="y", recipe="z", codes="h")
    Journal(path).record(entry)
    good = path.read_bytes()
    bad = [(ATTACK / "codes-journal" / "codes.jsonl").read_bytes(), *(each + b"\n" for each in HOSTILE)]
    path.write_bytes(b"".join([*bad, good, b'{"clip"']))
    assert Journal(path).find("a/1", "h") == entry
    assert Journal(path, tidy=True).find("a/1", "h") == entry
    assert path.read_bytes() == good


def test_lines_of_events_that_are_not_events_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    bad = (ATTACK / "events-not-utf8" / "events.jsonl").read_bytes()
    wrong = b'{"version":1,"time":1e300,"kind":"note","message":"m"}\n'
    wrong += b'{"version":1,"time":1,"kind":"metric","step":1,"values":[]}\n'
    path.write_bytes(bad + wrong + b"\n".join(HOSTILE) + b"\n")
    writer = EventWriter(path)
    written = [writer.write("note", message="café \udcff"), writer.write("metric", step=1, values={"loss": 2.5})]
    writer.close()
    assert list(read_events(path)) == written


def test_damaged_records_do_not_hide_other_runs(tmp_path: Path) -> None:
    project = Project(tmp_path)
    good, _ = records.create(project, "pack", ["pack"], Loaded(Settings()), {}, process=None)
    good.state = "succeeded"
    records.save(good, project.runs / good.id)
    faulty = {
        "ledger": (ATTACK / "run-json" / "ledger.json").read_bytes(),
        "moment": (project.runs / good.id / "run.json").read_bytes().replace(b'"created": ', b'"created": 1e300'),
        **{f"hostile{number}": content for number, content in enumerate(HOSTILE)},
    }
    for name, content in faulty.items():
        folder = project.runs / f"20261128-192315-366-{name}"
        folder.mkdir()
        (folder / "run.json").write_bytes(content)
        (folder / "started.json").write_bytes(content)
    pipe = project.runs / "20261128-192315-366-pipe"
    pipe.mkdir()
    os.mkfifo(pipe / "run.json")
    with builders.time_limit(60):
        states = {run.id: run.state for run in read_runs(project)}
        assert states.pop(good.id) == "succeeded"
        assert set(states.values()) == {LOST}
        assert not read_unfinished_runs(project)
        assert not advance(project)
        assert forking.fishtui("runs", "list", cwd=tmp_path).returncode == 0
        for name in states:
            assert forking.fishtui("runs", "show", name, cwd=tmp_path).returncode in (0, 1)
            remove_run(find_run(project, name))
    assert [run.id for run in read_runs(project)] == [good.id]


@pytest.mark.parametrize(
    "content",
    [(ATTACK / "run-json" / "deep.fishtui.toml").read_bytes(), b"a = " + b"[" * 99, b"\xff"],
    ids=["deep", "lists", "bytes"],
)
def test_a_damaged_settings_file_is_an_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "fishtui.toml"
    path.write_bytes(content)
    with failing("bad-settings-file", MisuseError):
        load(path, {})


@pytest.mark.parametrize("content", HOSTILE[:2] + HOSTILE[3:])
def test_json_is_a_value_or_damaged(content: bytes) -> None:
    if content.endswith(b'udcff"}'):
        assert parse_json(content) == {"id": "\udcff"}
        return
    with pytest.raises(Damaged):
        parse_json(content, dict[str, int])


@pytest.mark.parametrize("name", ["config", "codec-config", "specials", "peft-config", "merged", "losses", "settings"])
def test_a_byte_order_mark_changes_nothing(tmp_path: Path, name: str) -> None:
    """Editors of other systems put one before the text."""
    path = READERS[name].write(tmp_path)
    before = READERS[name].read(path)
    path.write_bytes(BOM_UTF8 + path.read_bytes())
    after = READERS[name].read(path)
    assert str(after) == str(before)


@pytest.mark.parametrize("name", ["config.json", "not-utf8.config.json"])
def test_a_config_of_absurd_sizes_or_bytes_is_an_error_before_anything_is_built(tmp_path: Path, name: str) -> None:
    for source in (GOLDEN / "checkpoint").iterdir():
        (tmp_path / source.name).symlink_to(source)
    (tmp_path / "config.json").unlink()
    shutil.copy(ATTACK / "config-hang" / name, tmp_path / "config.json")
    with builders.time_limit(60), pytest.raises(CheckpointError):
        load_model(tmp_path)


def test_the_largest_permitted_sizes_are_refused_in_moments(tmp_path: Path) -> None:
    """Sizes beyond these overflow counts or take minutes even for a model without memory."""
    for source in (GOLDEN / "checkpoint").iterdir():
        (tmp_path / source.name).symlink_to(source)
    sizes = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").unlink()
    for name, most in (("n_layer", 1024), ("n_fast_layer", 1024), ("dim", 1 << 17)):
        (tmp_path / "config.json").write_text(json.dumps(sizes | {name: most}))
        with builders.time_limit(60), pytest.raises(CheckpointError):
            load_model(tmp_path)
