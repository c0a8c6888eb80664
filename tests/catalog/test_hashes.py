"""The index of clips by the hash of their audio."""

from __future__ import annotations

from fishtui.catalog.hashes import has_audio
from tests.catalog.conftest import Dataset


def test_clips_are_found_by_their_hash_without_a_walk(dataset: Dataset) -> None:
    for clips, parameters in (("clips", ("a", "a")), ("cuts CROSS JOIN clips", ())):
        condition = has_audio("?") if parameters else has_audio("cuts.audio_hash", "clips.")
        select = f"EXPLAIN QUERY PLAN SELECT name FROM {clips} WHERE {condition} AND +gone IS NULL"
        steps = [row[3] for row in dataset.catalog.query(select, parameters)]
        assert any("SEARCH clips USING INDEX clips_by_audio" in step for step in steps), steps
