"""Find the clips of a filter, and read rows of them."""

from __future__ import annotations

import random
from array import array

import pytest

from fishtui.catalog import actions, lookup
from fishtui.catalog.details import read_details
from fishtui.catalog.fields import fold
from fishtui.catalog.index import index
from fishtui.catalog.store import catalog_version
from fishtui.catalog.summary import read_totals
from fishtui.errors import MisuseError
from tests.catalog.conftest import Dataset
from tests.expecting import failing


def many(dataset: Dataset, count: int) -> list[int]:
    """Add `count` clips without files, every seventh with a finding; return their ids by name."""
    with dataset.catalog.transaction() as connection:
        connection.executemany(
            "INSERT INTO clips(name, speaker, files, duration, severity, born) VALUES (?, 'anna', '', ?, ?, 1)",
            ((f"anna/{number:05d}", 1 + number % 10, 2 * (number % 7 == 3)) for number in range(count)),
        )
    return [row["id"] for row in dataset.catalog.query("SELECT id FROM clips ORDER BY name")]


def test_ids_are_in_the_order_of_the_filter(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookup, "PIECE", 7)
    ids = many(dataset, 100)
    assert lookup.find_ids(dataset.catalog, "") == array("q", ids)
    assert lookup.find_first_ids(dataset.catalog, "sort:-name", 3) == array("q", ids[:-4:-1])
    assert lookup.find_ids(dataset.catalog, "speaker:nobody") == array("q")
    assert len(lookup.find_ids(dataset.catalog, "duration:<3")) == 20


@pytest.mark.parametrize("near", [5, 40, 1000])
def test_the_first_ids_are_the_beginning_of_all_ids(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch, near: int
) -> None:
    monkeypatch.setattr(lookup, "NEAR", near)
    chance = random.Random(near)
    ids = many(dataset, 120)
    with dataset.catalog.transaction() as connection:
        for clip in ids:
            text = " ".join(chance.choices(["bread", "salt", "it", "Brot"], k=2))
            connection.execute("UPDATE clips SET text = ?, folded = ? WHERE id = ?", (text, fold(text), clip))
        index(connection, ids)
        connection.execute("UPDATE clips SET gone = 1 WHERE id = ?", (ids[1],))
    for text in ("bread", "bread salt", "-bread", "text:it,brot", "BROT duration:<4", "bread sort:-name", "nothing"):
        everything = lookup.find_ids(dataset.catalog, text)
        for limit in (1, 4, 200):
            assert lookup.find_first_ids(dataset.catalog, text, limit) == everything[:limit], text


def test_rows_are_read_by_id_without_clips_that_are_gone(dataset: Dataset) -> None:
    ids = many(dataset, 3)
    with dataset.catalog.transaction() as connection:
        connection.execute("UPDATE clips SET gone = 1 WHERE id = ?", (ids[1],))
    assert set(lookup.read_rows(dataset.catalog, [*ids, 999])) == {ids[0], ids[2]}


@pytest.mark.parametrize(
    ("position", "step", "expected"), [(0, 1, 3), (3, 1, 10), (3, -1, 997), (997, 1, 3), (996, 1, 997), (500, -1, 493)]
)
def test_the_next_flagged_clip_is_found_in_both_directions_and_past_the_end(
    dataset: Dataset, position: int, step: int, expected: int
) -> None:
    many(dataset, 1000)
    ids = lookup.find_ids(dataset.catalog, "")
    assert lookup.find_next(dataset.catalog, ids, position, step, "finding:any") == expected


def test_the_only_flagged_clip_is_found_from_itself(dataset: Dataset) -> None:
    many(dataset, 4)
    ids = lookup.find_ids(dataset.catalog, "")
    assert lookup.find_next(dataset.catalog, ids, 3, 1, "finding:any") == 3
    assert lookup.find_next(dataset.catalog, ids[:3], 0, 1, "finding:any") is None


def test_the_version_changes_with_writing_and_not_with_reading(dataset: Dataset) -> None:
    ids = many(dataset, 2)
    before = catalog_version(dataset.catalog.project)
    lookup.find_ids(dataset.catalog, "")
    read_totals(dataset.catalog)
    assert catalog_version(dataset.catalog.project) == before
    actions.review(dataset.catalog, ids, "accepted")
    assert catalog_version(dataset.catalog.project) != before


def test_details_of_a_clip(dataset: Dataset) -> None:
    path = dataset.clip("anna/one")
    dataset.scan()
    details = read_details(dataset.catalog, dataset.id("anna/one"))
    assert details.audio == path
    assert details.row["text"] == "Hello there."
    assert "too-short" in {found.code for found in details.findings}
    with failing("no-clip", MisuseError):
        read_details(dataset.catalog, 99)


def test_a_clip_is_found_in_any_composition_of_its_name(dataset: Dataset) -> None:
    dataset.clip("anna/e\u0301", "Decomposed.")
    dataset.clip("anna/\u00e1", "Composed.")
    dataset.scan()
    expected = [dataset.id("anna/e\u0301"), dataset.id("anna/\u00e1")]
    assert lookup.resolve_ids(dataset.catalog, ["anna/\u00e9", "anna/a\u0301.wav"]) == expected
