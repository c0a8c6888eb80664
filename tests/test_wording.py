"""Figures and recurring phrases."""

from __future__ import annotations

from pathlib import Path

import pytest

from fishtui.errors import DataError
from fishtui.wording import (
    cannot_read,
    cannot_remove,
    cannot_write,
    clock,
    counted,
    cut,
    did_you_mean,
    number,
    pace,
    reason_of,
    roughly,
    seconds,
    size,
    suggest,
)


@pytest.mark.parametrize(
    ("value", "expected"), [(4.2, "4s"), (59.7, "1m"), (720, "12m"), (11_160, "3.1h"), (432_000, "5.0d")]
)
def test_estimates_are_short(value: float, expected: str) -> None:
    assert roughly(value) == expected


def test_lengths_are_shown_to_the_second() -> None:
    values = (0.0, 4.24, 59.94, 59.96, 75, 3599.6, 3845, 450_000)
    assert [seconds(each) for each in values] == [
        *("0.0s", "4.2s", "59.9s", "1:00", "1:15", "1:00:00", "1:04:05", "125:00:00"),
    ]


def test_a_clock_shows_hours_only_if_there_are_any() -> None:
    assert (clock(245), clock(3845)) == ("4:05", "1:04:05")


def test_slow_rates_are_per_minute() -> None:
    assert (pace(12.34, "clips"), pace(0.05, "steps")) == ("12.3 clips/s", "3.0 steps/min")


def test_sizes_are_in_decimal_units() -> None:
    sizes = (0, 1_100_000, 412_000_000, 3_600_000_000, 412_000_000_000)
    assert [size(value) for value in sizes] == ["0.0 MB", "1.1 MB", "412 MB", "3.6 GB", "412 GB"]


def test_counts_have_a_plural() -> None:
    assert (counted(1, "clip"), counted(0, "clip"), counted(1200, "clip")) == ("1 clip", "0 clips", "1,200 clips")


def test_unknown_figures_are_a_dot() -> None:
    assert (seconds(None), number(None), seconds(4.24), number(4.24)) == ("·", "·", "4.2s", "4.2")


def test_a_close_word_is_suggested_otherwise_all_words() -> None:
    assert did_you_mean("rat", ["rate", "id"]) == suggest("rat", ["rate", "id"]) == "Did you mean rate?"
    assert did_you_mean("xyz", ["rate", "id"]) == ""
    assert suggest("xyz", ["rate", "id"]) == "Use one of rate, id."


def test_the_reason_of_an_error_is_one_line() -> None:
    assert reason_of(FileNotFoundError(2, "No such file", "x")) == "No such file"
    assert reason_of(ValueError("one\ntwo")) == "one"
    assert reason_of(ValueError()) == "ValueError"
    with pytest.raises(UnicodeDecodeError) as caught:
        b"ab\xff".decode()
    assert reason_of(caught.value) == "not UTF-8 at byte 3"


def test_errors_of_files_name_the_path_and_have_codes() -> None:
    reason = PermissionError(13, "Permission denied")
    read, write, remove = (
        cannot_read(Path("a"), reason, DataError),
        cannot_write("a", reason),
        cannot_remove("a", reason),
    )
    assert isinstance(read, DataError)
    assert [error.code for error in (read, write, remove)] == ["cannot-read", "cannot-write", "cannot-remove"]
    assert {error.problem.split(":")[0] for error in (read, write, remove)} == {"a"}


@pytest.mark.parametrize(
    ("text", "columns", "expected"),
    [
        ("voice", 5, "voice"),
        ("voices", 5, "voic…"),
        ("声の列", 6, "声の列"),
        ("声の列", 5, "声の…"),
        ("声の列", 4, "声 …"),
        ("voice", 1, "…"),
        ("voice", 0, ""),
        ("", 0, ""),
    ],
)
def test_a_text_is_cut_to_the_columns_of_a_terminal(text: str, columns: int, expected: str) -> None:
    assert cut(text, columns) == expected
