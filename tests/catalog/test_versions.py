"""Findings and measurements are renewed when their code changes, but not when its docstrings change."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fishtui.catalog.measurements import measure_clips
from fishtui.runs.reporter import Reporter
from tests.source import copied_source, edit_source, forget


@pytest.fixture
def package(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Copy fishtui's source, let code hashes read the copy, and return its folder."""
    with monkeypatch.context() as patch:
        yield copied_source(tmp_path_factory.mktemp("source"), patch)
    forget()


def judges_again(dataset) -> bool:
    """Return True if a scan renews the findings of unchanged clips."""
    dataset.catalog.connection.execute("DELETE FROM findings")
    dataset.scan()
    return bool(dataset.codes_found("anna/a"))


def test_findings_are_renewed_when_a_check_changes(dataset, package: Path) -> None:
    dataset.clip("anna/a", None)
    dataset.scan()
    assert "missing-transcript" in dataset.codes_found("anna/a")
    edit_source(package / "checks" / "audio.py", '"""', '"""Edited. ')
    edit_source(package / "checks" / "audio.py", "\ndef ", "\n# A comment.\ndef ")
    assert not judges_again(dataset)
    edit_source(package / "checks" / "audio.py", "<= settings.checks.max_seconds", "< settings.checks.max_seconds")
    assert judges_again(dataset)
    assert not judges_again(dataset)


def test_findings_are_renewed_when_the_cleaning_of_transcripts_changes(dataset, package: Path) -> None:
    dataset.clip("anna/a", None)
    dataset.scan()
    edit_source(package / "families" / "s1_mini" / "text.py", '",{2,}"', '",{3,}"')
    assert judges_again(dataset)


def test_recordings_are_measured_again_when_the_measuring_changes(dataset, package: Path) -> None:
    dataset.clip("anna/a")
    dataset.scan()

    def measured() -> int:
        return measure_clips(dataset.catalog, dataset.settings, Reporter())

    assert (measured(), measured()) == (1, 0)
    edit_source(package / "audio" / "measure.py", '"""', '"""Edited. ')
    assert measured() == 0
    edit_source(package / "audio" / "measure.py", "FRAME_S = 0.02", "FRAME_S = 0.01")
    assert (measured(), measured()) == (1, 0)
    edit_source(package / "audio" / "loudness.py", "return", "return 2 *")
    assert (measured(), measured()) == (1, 0)
