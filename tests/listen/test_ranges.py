"""Range headers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishtui.listen.ranges import Unsatisfiable, requested_range

CONTENT = bytes(range(100))
numbers = st.integers(0, 250)


@given(numbers, numbers)
def test_a_range_selects_the_bytes_between_both_ends(first: int, last: int) -> None:
    header = f"bytes={first}-{last}"
    if last < first:
        assert requested_range(header, 100) is None
    elif first >= 100:
        with pytest.raises(Unsatisfiable):
            requested_range(header, 100)
    else:
        assert CONTENT[slice(*requested_range(header, 100) or ())] == CONTENT[first : last + 1]


@given(numbers)
def test_a_range_without_an_end_reaches_the_last_byte(first: int) -> None:
    if first >= 100:
        with pytest.raises(Unsatisfiable):
            requested_range(f"bytes={first}-", 100)
    else:
        assert requested_range(f"bytes={first}-", 100) == (first, 100)


@given(numbers)
def test_a_suffix_selects_the_last_bytes(count: int) -> None:
    if count == 0:
        with pytest.raises(Unsatisfiable):
            requested_range("bytes=-0", 100)
    else:
        assert CONTENT[slice(*requested_range(f"bytes=-{count}", 100) or ())] == CONTENT[-count:]


@given(st.text() | st.from_regex(r"bytes=[0-9, -]*"), st.integers(0, 1000))
def test_any_header_selects_bytes_of_the_file(header: str, size: int) -> None:
    try:
        first, end = requested_range(header, size) or (0, size)
    except Unsatisfiable:
        return
    assert 0 <= first <= end <= size


@pytest.mark.parametrize("header", [None, "", "bytes=-", "bytes=a-b", "lines=1-2", "bytes=0-1,5-6", "bytes=１-２"])
def test_other_headers_select_the_whole_file(header: str | None) -> None:
    assert requested_range(header, 100) is None


def test_no_range_fits_an_empty_file() -> None:
    with pytest.raises(Unsatisfiable):
        requested_range("bytes=0-", 0)
