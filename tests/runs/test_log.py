"""Logs read by lines from any place: every way of reading gives the same lines."""

from __future__ import annotations

import os
import re
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fishtui.runs import log as log_module
from fishtui.runs.log import LogFile, LogLine

ALL = 10**9
# Small blocks, so that short examples cross their borders.
SMALL = {"BLOCK": 4, "WINDOW": 8}
BYTES = st.lists(
    st.sampled_from([b"a", b"bc", b"\n", b"\r", b"\r\n", b"\xc3\xa9", b"\x00", b"\x1b[31m", b"d" * 9])
).map(b"".join)


def plainly(content: bytes, block: int) -> list[tuple[int, bytes]]:
    """Return each line's offset and content: split at each line end, then broken where it fills whole blocks."""
    lines = []
    for match in re.finditer(rb"[^\r\n]+|\r|\n", content):
        start, piece = match.start(), match[0]
        if piece == b"\n" and content[start - 1 : start] in (b"", b"\n"):
            lines.append((start, b""))
        if piece in (b"\n", b"\r"):
            continue
        begin = start
        for border in range(-(-start // block) * block + block, match.end(), block):
            lines.append((begin, content[begin:border]))
            begin = border
        lines.append((begin, content[begin : match.end()]))
    return lines


def write(path: Path, content: bytes) -> LogFile:
    path.write_bytes(content)
    return LogFile(path)


def texts(lines: list[LogLine]) -> list[str]:
    return [line.text for line in lines]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "output.log"


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("logs") / "output.log"


def test_lines_end_as_on_any_system_and_empty_ones_are_kept_between_newlines(path: Path) -> None:
    assert texts(write(path, b"one\ntwo\r\nthree\rfour\n\nfive\n").read_last(9)) == [
        *("one", "two", "three", "four", "", "five")
    ]


def test_progress_bars_leave_no_empty_lines(path: Path) -> None:
    assert texts(write(path, b"start\n\r 10%\r 20%\r\r\ndone\n").read_last(9)) == ["start", " 10%", " 20%", "done"]


def test_a_last_line_without_an_end_is_marked_and_read_again(path: Path) -> None:
    log = write(path, b"one\ntw")
    first, last = log.read_last(2)
    assert (first.whole, last.whole, last.text) == (True, False, "tw")
    path.write_bytes(b"one\ntwo\nthree\n")
    assert texts(log.read_after(last.offset, 9)) == ["two", "three"]
    assert texts(log.read_after(first.end, 9)) == ["two", "three"]


def test_a_line_end_written_in_two_parts_is_one_line_end(path: Path) -> None:
    log = write(path, b"one\r")
    (one,) = log.read_last(1)
    assert one.whole
    path.write_bytes(b"one\r\ntwo\n")
    assert texts(log.read_after(one.end, 9)) == ["two"]


def test_only_long_lines_are_broken(path: Path) -> None:
    whole, broken = b"x" * log_module.BLOCK, b"y" * 10 * log_module.BLOCK
    lines = write(path, b"a\n" + whole + b"\n" + broken + b"\nz").read_last(100)
    assert lines[1].text == whole.decode()
    assert max(len(line.text) for line in lines) < 2 * log_module.BLOCK
    assert "".join(texts(lines[2:-1])) == broken.decode()
    assert lines[-1].text == "z"


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b"\x1b[1;31mred\x1b[0m text", "red text"),
        (b"\x1b[38:2::1:2:3mred\x1b[?25l", "red"),
        (b"\x1b]0;a title\x07after", "after"),
        (b"\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        (b"before\x1b]52;c;no end", "before"),
        (b"\x1bPq#0;2;0\x1b\\after", "after"),
        (b"\x1b_hidden\x1b\\\x1b^hidden\x1b\\\x1bXhidden\x1b\\seen", "seen"),
        (b"\x1b(Bplain\x1b7\x1bM\x1bc", "plain"),
        (b"cut\x1b[12", "cut"),
        (b"cut\x1b", "cut"),
        (b"\x1b\x1b[31mtwice", "twice"),
        (b"a\tb", "a       b"),
        (b"\x07\x00\x9b31m", "\\x07\\x00\N{REPLACEMENT CHARACTER}31m"),
        ("\x9b31m \u202e".encode(), "\\x9b31m \\u202e"),
    ],
)
def test_lines_contain_no_control_sequences(path: Path, raw: bytes, shown: str) -> None:
    assert texts(write(path, raw + b"\n").read_last(1)) == [shown]


@given(st.text(st.sampled_from("\x1b[]P\\?;0mA \x07\x9b(é")))
def test_lines_of_random_escapes_contain_no_escape(scratch: Path, text: str) -> None:
    assert "\x1b" not in "".join(texts(write(scratch, text.encode()).read_last(9)))


@settings(deadline=None)
@given(content=BYTES, lines=st.integers(0, 9))
@example(content=b"dddd\n", lines=1)
@example(content=b"ddddd\n\n", lines=2)
def test_the_last_lines_are_the_end_of_all_lines(scratch: Path, content: bytes, lines: int) -> None:
    with mock.patch.multiple(log_module, **SMALL):
        log = write(scratch, content)
        wanted = plainly(content, log_module.BLOCK)
        every = log.read_after(0, ALL)
        assert [(line.offset, line.end - line.offset) for line in every] == [
            (offset, len(piece) or 1) for offset, piece in wanted
        ]
        assert log.read_last(ALL) == every
        assert log.read_last(lines) == every[max(len(every) - lines, 0) :]
        assert all(line.whole for line in every[:-1])
        assert [line.whole for line in every[-1:]] == [content[-1:] in (b"\n", b"\r")] * len(every[-1:])


@settings(deadline=None)
@given(content=BYTES, at=st.integers(0, 99), lines=st.integers(0, 9))
def test_the_lines_before_and_after_an_offset_are_all_lines(scratch: Path, content: bytes, at: int, lines: int) -> None:
    with mock.patch.multiple(log_module, **SMALL):
        log = write(scratch, content)
        every = log.read_after(0, ALL)
        before = [line for line in every if line.offset < at]
        after = [line for line in every if line.offset >= at]
        assert log.read_before(at, ALL) == before
        assert log.read_after(at, ALL) == after
        assert log.read_before(at, lines) == before[max(len(before) - lines, 0) :]
        assert log.read_after(at, lines) == after[:lines]


@settings(deadline=None)
@given(content=BYTES, cuts=st.lists(st.integers(0, 60)))
def test_a_growing_log_gives_the_same_lines_for_any_sequence_of_writes(
    scratch: Path, content: bytes, cuts: list[int]
) -> None:
    with mock.patch.multiple(log_module, **SMALL):
        scratch.unlink(missing_ok=True)
        log = LogFile(scratch)
        came: list[LogLine] = []
        place = 0
        for stop in [*sorted(cuts), len(content)]:
            scratch.write_bytes(content[:stop])
            for line in log.read_after(place, ALL):
                if line.whole:
                    came.append(line)
                    place = line.end
        assert texts(came) == [line.text for line in log.read_after(0, ALL) if line.whole]


def test_a_log_of_a_gigabyte_without_a_newline_opens_at_its_tail_at_once(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 30)
    with mock.patch("os.pread", side_effect=os.pread) as pread:
        lines = LogFile(path).read_last(40)
    assert len(lines) == 40
    assert sum(call.args[1] for call in pread.call_args_list) < 100 * log_module.BLOCK


def test_a_call_reads_only_a_part_of_endless_carriage_returns(path: Path) -> None:
    path.write_bytes(b"a\n" + b"\r" * 10_000)
    with mock.patch.object(log_module, "REACH", 5000), mock.patch.object(log_module, "WINDOW", log_module.BLOCK):
        assert LogFile(path).read_last(1) == []
        assert texts(LogFile(path).read_after(0, 9)) == ["a"]


def test_a_missing_log_has_no_lines(path: Path) -> None:
    log = LogFile(path)
    assert [log.read_last(5), log.read_after(0, 5), log.read_before(5, 5)] == [[], [], []]


def test_offsets_of_a_truncated_or_removed_log_refer_to_its_present_content(path: Path) -> None:
    log = write(path, b"one\ntwo\nthree\n")
    place = log.read_last(1)[0].end
    path.write_bytes(b"new\n")
    assert log.read_after(place, 5) == []
    assert texts(log.read_before(place, 5)) == ["new"]
    path.unlink()
    assert log.read_last(5) == []


def test_a_replaced_log_is_read_at_its_present_offsets(path: Path) -> None:
    log = write(path, b"one\n")
    assert texts(log.read_last(5)) == ["one"]
    other = path.with_name("other")
    other.write_bytes(b"a\nb\nc\n")
    os.replace(other, path)
    assert texts(log.read_after(2, 5)) == ["b", "c"]
