"""Events written and read: whole or absent, also on a full disk and during a write."""

from __future__ import annotations

import json
import os
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fishtui.errors import FishtuiError
from fishtui.runs import tail
from fishtui.runs.events import EventWriter, new_event, read_events
from fishtui.runs.tail import EventTail, read_recent_events
from tests.builders import file_size_limit
from tests.expecting import failing


def note(text: str) -> dict:
    return new_event("note", message=text)


def line(text: str) -> bytes:
    return json.dumps(note(text)).encode() + b"\n"


def messages(events: list[dict]) -> list[str]:
    return [event["message"] for event in events]


def write(path: Path, *texts: str) -> Path:
    path.write_bytes(b"".join(map(line, texts)))
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


def test_new_events_are_read_once_and_in_order(path: Path) -> None:
    events = EventTail(path)
    writer = EventWriter(path)
    for text in "ab":
        writer.write("note", message=text)
    assert messages(events.read()) == ["a", "b"]
    assert events.read() == []
    writer.write("note", message="c")
    assert messages(events.read()) == ["c"]


def test_a_torn_last_line_waits_for_its_rest(path: Path) -> None:
    events = EventTail(path)
    torn = line("b")
    path.write_bytes(line("a") + torn[:20])
    assert messages(events.read()) == ["a"]
    assert events.read() == []
    with path.open("ab") as file:
        file.write(torn[20:])
    assert messages(events.read()) == ["b"]


def test_a_read_ends_at_its_limits_and_marks_that_more_may_follow(path: Path) -> None:
    events = EventTail(write(path, *map(str, range(500))))
    assert len(events.read(most=200)) == 200
    assert events.more
    assert len(events.read(seconds=0)) <= tail.BETWEEN
    assert events.more
    while events.more:
        events.read()
    assert events.read() == []
    assert not events.more


def test_a_missing_file_has_no_events_and_may_be_created_later(path: Path) -> None:
    events = EventTail(path / "events.jsonl")
    assert events.read() == []
    path.mkdir()
    write(path / "events.jsonl", "a")
    assert messages(events.read()) == ["a"]


def test_a_removed_file_has_no_more_events_and_a_new_one_is_read_from_its_start(path: Path) -> None:
    events = EventTail(write(path, "a"))
    events.read()
    path.unlink()
    assert events.read() == []
    write(path, "b", "c")
    assert messages(events.read()) == ["b", "c"]


@pytest.mark.parametrize("texts", ["b", "bcd"], ids=["shorter", "longer"])
@pytest.mark.parametrize("renamed", [True, False], ids=["renamed into place", "written over"])
def test_a_replaced_file_is_read_from_its_start(path: Path, texts: str, renamed: bool) -> None:
    events = EventTail(write(path, "a", "a"))
    events.read()
    if renamed:
        os.replace(write(path.with_name("new"), *texts), path)
    else:
        write(path, *texts)
    assert messages(events.read()) == list(texts)


DAMAGED = [
    b"\x00\x00\x00",
    b"{",
    b"7",
    b"[" * 100_000,
    b'{"kind": "note"}',
    b'{"version": 1, "time": "now", "kind": "note", "message": ""}',
    b'{"version": 2, "time": 1, "kind": "note", "message": ""}',
    b'{"version": 1, "time": 1, "kind": "song", "message": ""}',
    b'{"version": 1, "time": 1, "kind": ["note"], "message": ""}',
]


@pytest.mark.parametrize("damage", DAMAGED, ids=range(len(DAMAGED)))
def test_a_damaged_line_is_skipped(path: Path, damage: bytes) -> None:
    path.write_bytes(line("a") + damage + b"\n" + line("b"))
    events = EventTail(path)
    assert messages(events.read()) == messages(list(read_events(path))) == ["a", "b"]
    assert messages(read_recent_events(path, ["note"])) == ["a", "b"]


def test_names_that_are_not_utf8_are_read_unchanged(path: Path) -> None:
    EventWriter(path).write("warning", message="odd", item="caf\udce9")
    assert EventTail(path).read()[0]["item"] == "caf\udce9"


def test_a_line_too_long_for_an_event_is_skipped_without_holding_it(path: Path) -> None:
    path.write_bytes(line("a") + b"x" * 50_000 + b"\n" + line("b"))
    with mock.patch.multiple(tail, LONGEST=1000, BLOCK=512):
        events = EventTail(path)
        assert messages(events.read(seconds=60)) == ["a", "b"]


@settings(deadline=None)
@given(
    st.lists(st.one_of(st.text(max_size=20).map(line), st.sampled_from([b"{\n", b"\n", b"\x00\xff\n"]))),
    st.lists(st.integers(0, 400)),
    st.integers(1, 50),
    st.integers(1, 5),
)
def test_the_same_events_are_read_for_any_sequence_of_writes_and_reads(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], cuts: list[int], block: int, most: int
) -> None:
    path = tmp_path_factory.mktemp("tail") / "events.jsonl"
    content = b"".join(lines)
    came = []
    with mock.patch.object(tail, "BLOCK", block), path.open("wb", buffering=0) as file:
        events = EventTail(path)
        for start, stop in zip([0, *sorted(cuts)], [*sorted(cuts), len(content)], strict=True):
            file.write(content[start:stop])
            came += events.read(most, seconds=60)
        while events.more or came == []:
            came += events.read(most, seconds=60)
            if not events.more:
                break
    assert came == list(read_events(path))


def test_only_the_wanted_kinds_are_recent(path: Path) -> None:
    writer = EventWriter(path)
    writer.write("metric", step=1, values={"loss": 1.0})
    writer.write("progress", done=1, total=5, unit="steps", note="")
    assert [event["kind"] for event in read_recent_events(path, ["progress", "end"])] == ["progress"]
    assert read_recent_events(path.with_name("none"), ["metric"]) == []


def test_reading_the_recent_events_reads_only_the_end(path: Path) -> None:
    with path.open("wb") as file:
        file.write(line("first"))
        file.truncate(1 << 30)
    with path.open("ab") as file:
        file.write(b"\n" + line("last"))
    with mock.patch("os.pread", side_effect=os.pread) as pread:
        assert messages(read_recent_events(path, ["note"])) == ["last"]
    assert sum(call.args[1] for call in pread.call_args_list) < 2 * tail.RECENT


@given(texts=st.lists(st.text(max_size=40), max_size=20), recent=st.integers(1, 1500), torn=st.booleans())
def test_the_recent_events_are_the_last_whole_ones(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], recent: int, torn: bool
) -> None:
    path = tmp_path_factory.mktemp("recent") / "events.jsonl"
    content = b"".join(map(line, texts)) + (line("torn")[:-1] if torn else b"")
    path.write_bytes(content)
    with mock.patch.object(tail, "RECENT", recent):
        found = messages(read_recent_events(path, ["note"]))
    assert found == texts[len(texts) - len(found) :]
    assert len(content) > recent or found == texts


def test_a_full_disk_leaves_no_partial_event_and_the_next_ones_are_whole(path: Path) -> None:
    writer = EventWriter(path)
    writer.write("note", message="a")
    with file_size_limit(path.stat().st_size + 20), failing("cannot-write"):
        writer.write("note", message="b")
    assert path.read_bytes().endswith(b"}\n")
    writer.write("note", message="c")
    assert messages(list(read_events(path))) == ["a", "c"]


def test_an_event_after_a_torn_line_starts_a_new_line(path: Path) -> None:
    path.write_bytes(line("a") + line("b")[:20])
    writer = EventWriter(path)
    with file_size_limit(path.stat().st_size + 10), pytest.raises(FishtuiError):
        writer.write("note", message="c")
    for text in "de":
        writer.write("note", message=text)
    events = EventTail(path)
    assert messages(events.read()) == ["a", "d", "e"]


def test_each_event_is_one_write(path: Path) -> None:
    writer = EventWriter(path)
    # In one write: another process sees the whole event or nothing.
    follower = EventTail(path)
    for number in range(50):
        writer.write("note", message="x" * 10 ** (number % 5))
        assert len(follower.read()) == 1
