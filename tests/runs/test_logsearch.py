"""Search of logs for text and levels."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishtui.runs import logsearch as module
from fishtui.runs.log import LogFile, LogLine
from fishtui.runs.logsearch import LogFilter, SearchStep, collect_matches, detect_level, search_log


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "output.log"


def texts(path: Path, wanted: LogFilter, offset: int, forward: bool) -> list[str]:
    return [found.line.text for found in search_log(path, wanted, offset, forward) if found.line]


def test_matches_come_nearest_first_in_both_directions_and_in_any_case(path: Path) -> None:
    path.write_text("one Loss\ntwo\nthree loss loss\nfour LOSS")
    assert texts(path, LogFilter("loss"), 0, True) == ["one Loss", "three loss loss", "four LOSS"]
    assert texts(path, LogFilter("loss"), path.stat().st_size, False) == ["four LOSS", "three loss loss", "one Loss"]


def test_a_search_from_inside_a_line_skips_that_line(path: Path) -> None:
    path.write_text("one x\ntwo x\nthree x\n")
    assert texts(path, LogFilter("x"), 1, True) == ["two x", "three x"]
    assert texts(path, LogFilter("x"), 12, False) == ["two x", "one x"]


def test_only_visible_text_is_found(path: Path) -> None:
    path.write_text("\x1b[31mred\x1b[0m 31m\n\x1b[31mred\x1b[0m\n")
    assert texts(path, LogFilter("31m"), 0, True) == ["red 31m"]


@pytest.mark.parametrize("forward", [True, False])
def test_a_missing_log_has_no_matches(path: Path, forward: bool) -> None:
    assert texts(path, LogFilter("x"), 10, forward) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("step 1 loss 4.2", 0),
        ("12:01:02 ▲ a/b: clipped", 1),
        ("lib.py:3: UserWarning: no", 1),
        ("[WARN] rank 0", 1),
        ("ValueError: no", 2),
        ("Traceback (most recent call last):", 2),
        ("12:01:02 ✗ failed: no room", 2),
        ("forewarned", 0),
        ("terrors", 0),
    ],
)
def test_the_level_of_a_line_is_detected(text: str, expected: int) -> None:
    assert detect_level(text) == expected


def test_a_filter_accepts_lines_of_at_least_its_level(path: Path) -> None:
    path.write_text("fine\nUserWarning: a\nKeyError: b\nterrors\n")
    assert texts(path, LogFilter(level=1), 0, True) == ["UserWarning: a", "KeyError: b"]
    assert texts(path, LogFilter(level=2), 0, True) == ["KeyError: b"]
    assert texts(path, LogFilter("a", level=1), 0, True) == ["UserWarning: a"]


def test_a_search_reports_its_progress_so_that_it_can_be_cancelled(path: Path) -> None:
    path.write_text("nothing\n" * 100_000)
    steps = search_log(path, LogFilter("x"), 0, True)
    first = next(steps)
    assert first.line is None
    assert 0 < first.reached < path.stat().st_size
    asked: list[SearchStep] = []
    assert collect_matches(path, LogFilter("x"), 0, True, 10, lambda found: bool(asked.append(found))) == []
    assert len(asked) == 1


LINES = st.lists(st.sampled_from(["", "x", "ab", "xx ab", "é x", "long " * 30 + "x", "y" * 50]), max_size=60)


@given(LINES, st.integers(0, 60), st.booleans(), st.sampled_from([64, 256]))
def test_a_search_finds_the_same_lines_as_reading_all(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], number: int, forward: bool, block: int
) -> None:
    path = tmp_path_factory.mktemp("log") / "output.log"
    path.write_text("".join(f"{line}\n" for line in lines))
    every = LogFile(path).read_after(0, 10_000)
    offset = every[number].offset if number < len(every) else path.stat().st_size
    expected: list[LogLine] = [
        line for line in every if "x" in line.text and (line.offset >= offset if forward else line.offset < offset)
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK", block)
        patch.setattr(module, "OVERLAP", 32)
        assert collect_matches(path, LogFilter("x"), offset, forward, 10_000, lambda found: True) == expected
