"""Range headers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishtui.listen.ranges import Unsatisfiable, wanted

CONTENT = bytes(range(100))
numbers = st.integers(0, 250)


@given(numbers, numbers)
def test_a_range_gives_the_bytes_between_both_ends(first: int, last: int) -> None:
    header = f"bytes={first}-{last}"
    if last < first:
        assert wanted(header, 100) is None
    elif first >= 100:
        with pytest.raises(Unsatisfiable):
            wanted(header, 100)
    else:
        assert CONTENT[slice(*wanted(header, 100) or ())] == CONTENT[first : last + 1]


@given(numbers)
def test_a_range_without_an_end_goes_to_the_end(first: int) -> None:
    if first >= 100:
        with pytest.raises(Unsatisfiable):
            wanted(f"bytes={first}-", 100)
    else:
        assert wanted(f"bytes={first}-", 100) == (first, 100)


@given(numbers)
def test_a_suffix_gives_the_last_so_many_bytes(count: int) -> None:
    if count == 0:
        with pytest.raises(Unsatisfiable):
            wanted("bytes=-0", 100)
    else:
        assert CONTENT[slice(*wanted(f"bytes=-{count}", 100) or ())] == CONTENT[-count:]


@given(st.text() | st.from_regex(r"bytes=[0-9, -]*"), st.integers(0, 1000))
def test_whatever_is_asked_the_answer_lies_in_the_file(header: str, size: int) -> None:
    try:
        first, end = wanted(header, size) or (0, size)
    except Unsatisfiable:
        return
    assert 0 <= first <= end <= size


@pytest.mark.parametrize("header", [None, "", "bytes=-", "bytes=a-b", "lines=1-2", "bytes=0-1,5-6", "bytes=１-２"])
def test_what_is_no_single_range_gives_the_whole_file(header: str | None) -> None:
    assert wanted(header, 100) is None


def test_an_empty_file_has_no_byte_to_give() -> None:
    with pytest.raises(Unsatisfiable):
        wanted("bytes=0-", 0)
