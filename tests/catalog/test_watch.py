"""`follow` scans changes of the disk soon after they happen."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from fishtui.catalog.scan import ScanResult
from fishtui.catalog.store import Catalog
from fishtui.catalog.watch import follow
from fishtui.runs.reporter import Reporter


class Following:
    """`follow` in a thread, as on the command line; `wait` returns after a number of scans."""

    def __init__(self, dataset) -> None:
        self.stop = threading.Event()
        self.scanned = threading.Condition()
        self.results: list[ScanResult] = []
        self._dataset = dataset
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        with Catalog(self._dataset.catalog.project, self._dataset.data) as catalog:
            for result in follow(catalog, self._dataset.settings, Reporter(), self.stop):
                with self.scanned:
                    self.results.append(result)
                    self.scanned.notify_all()

    def wait(self, scans: int) -> None:
        with self.scanned:
            assert self.scanned.wait_for(lambda: len(self.results) >= scans, timeout=60)

    def end(self) -> None:
        self.stop.set()
        self._thread.join()


@pytest.fixture(params=[False, True], ids=["events", "polling"])
def following(dataset, request) -> Iterator[Following]:
    scan = msgspec.structs.replace(dataset.settings.scan, poll=request.param)
    dataset.settings = msgspec.structs.replace(dataset.settings, scan=scan)
    dataset.clip("anna/a")
    started = Following(dataset)
    started.wait(1)
    yield started
    started.end()


def test_new_changed_and_removed_clips_are_followed(dataset, following: Following) -> None:
    assert following.results[0].new == 1
    dataset.clip("bert/deep/b", "Two.")
    until(following, lambda: names(dataset) == {"anna/a", "bert/deep/b"})
    (dataset.data / "anna" / "a.lab").write_text("Changed.", encoding="utf-8")
    until(following, lambda: dataset.row("anna/a")["text"] == "Changed.")
    for path in (dataset.data / "anna").iterdir():
        path.unlink()
    until(following, lambda: names(dataset) == {"bert/deep/b"})
    (dataset.data / "bert").rename(dataset.data / "carl")
    until(following, lambda: names(dataset) == {"carl/deep/b"})


def test_shards_and_hidden_files_are_ignored(dataset, following: Following) -> None:
    (dataset.data / "protos").mkdir()
    (dataset.data / "protos" / "00000000.protos").write_bytes(b"x")
    (dataset.data / "anna" / ".a.wav.partial").write_bytes(b"x")
    dataset.clip("anna/b")
    until(following, lambda: names(dataset) == {"anna/a", "anna/b"})
    assert sum(result.new for result in following.results) == 2


def names(dataset) -> set[str]:
    return {row[0] for row in dataset.catalog.query("SELECT name FROM clips WHERE gone IS NULL")}


def until(following: Following, is_met) -> None:
    """Wait for further scans until `is_met` returns True."""
    while not is_met():
        following.wait(len(following.results) + 1)


def test_nested_folders_are_scanned_once(tmp_path: Path) -> None:
    from fishtui.catalog.watch import folders_of

    (tmp_path / "a" / "b").mkdir(parents=True)
    changed = {tmp_path / "a" / "x.wav", tmp_path / "a" / "b" / "y.wav", tmp_path / "c" / "z.lab"}
    assert folders_of(tmp_path, changed) == {"a", "c"}
    assert folders_of(tmp_path, {tmp_path / "top.wav", *changed}) == {"."}
    assert folders_of(tmp_path, {tmp_path / "protos" / "0.protos", tmp_path / "a" / ".hidden"}) == set()
