"""Each recording is decoded once, and its measurements lead to findings."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from fishtui.catalog import measurements
from fishtui.catalog.filter import parse, sql
from fishtui.catalog.measurements import measure_clips
from fishtui.catalog.report import findings, speakers
from fishtui.catalog.stats import stats
from fishtui.runs.reporter import Reporter
from tests.builders import tone


def measure(dataset) -> int:
    dataset.scan()
    return measure_clips(dataset.catalog, dataset.settings, Reporter())


def test_a_recording_with_several_names_is_measured_once(dataset) -> None:
    path = dataset.clip("anna/a", seconds=1.0)
    shutil.copy(path, path.with_name("b.wav"))
    path.with_name("b.lab").write_text("Hello there.", encoding="utf-8")
    assert measure(dataset) == 1
    assert measure(dataset) == 0
    assert dataset.row("anna/a")["loudness"] == dataset.row("anna/b")["loudness"] is not None
    assert "duplicate-audio" in dataset.codes_found("anna/a") & dataset.codes_found("anna/b")
    path.rename(path.with_name("c.wav"))
    assert measure(dataset) == 0
    assert dataset.row("anna/c")["loudness"] == dataset.row("anna/b")["loudness"]


def test_measurements_lead_to_findings(dataset) -> None:
    dataset.clip("anna/silent", samples=np.zeros(16_000, np.float32))
    samples = tone(1.0, 16_000)
    samples[500] = np.nan
    dataset.clip("anna/broken", samples=samples, subtype="FLOAT")
    measure(dataset)
    assert "silent" in dataset.codes_found("anna/silent")
    assert "not-finite" in dataset.codes_found("anna/broken")


def test_measurements_belong_to_the_content_that_was_decoded(dataset) -> None:
    path = dataset.clip("anna/a", seconds=1.0)
    dataset.scan()
    dataset.clip("anna/a", samples=np.zeros(16_000, np.float32))
    measure_clips(dataset.catalog, dataset.settings, Reporter())
    assert "silent" not in dataset.codes_found("anna/a")
    assert path.exists()
    assert measure(dataset) == 0
    assert "silent" in dataset.codes_found("anna/a")


def test_a_recording_that_crashes_its_worker_is_reported(dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset.clip("anna/a", seconds=1.0)
    dataset.clip("anna/b", seconds=1.2)
    dataset.scan()
    monkeypatch.setattr(measurements, "chunked_map", deadly(measurements.chunked_map))
    assert measure_clips(dataset.catalog, dataset.settings, Reporter()) == 2
    assert "unreadable" in dataset.codes_found("anna/a")
    assert "unreadable" not in dataset.codes_found("anna/b")


def deadly(chunked_map):
    """Map as `chunked_map` does if the first item kills its worker."""

    def mapped(function, items, size, workers, ahead, died):
        yield died(items[0])
        yield from chunked_map(function, items[1:], size, workers, ahead, died)

    return mapped


def test_a_wrong_transcript_is_found_by_its_rate(dataset) -> None:
    for number in range(12):
        dataset.clip(f"anna/{number:02d}", "Twenty letters here.", seconds=2.0 + 0.02 * number)
    dataset.clip("anna/wrong", "This is far too much text for so short a recording, " * 4, seconds=2.0)
    measure(dataset)
    assert "rate-outlier" in dataset.codes_found("anna/wrong")
    assert not any("rate-outlier" in dataset.codes_found(f"anna/{number:02d}") for number in range(12))


def test_reports_leave_out_rejected_clips(dataset) -> None:
    from fishtui.catalog.actions import review
    from fishtui.catalog.findings import judge_all

    dataset.clip("anna/a", None)
    dataset.clip("anna/b", None)
    dataset.scan()
    everyone = sql(parse(""))
    assert findings(dataset.catalog, everyone).as_dict()["summary"]["missing-transcript"]["count"] == 2
    review(dataset.catalog, [dataset.id("anna/a")], "rejected")
    judge_all(dataset.catalog, dataset.settings)
    report = findings(dataset.catalog, everyone)
    assert report.as_dict()["summary"]["missing-transcript"]["count"] == 1
    assert (report.clips, report.flagged) == (1, 1)
    assert [(each["speaker"], each["clips"], each["rejected"]) for each in speakers(dataset.catalog)] == [
        ("anna", 1, 1)
    ]


def test_stats_count_every_clip(dataset) -> None:
    for number in range(30):
        dataset.clip(f"anna/{number:02d}", seconds=0.2 + 0.01 * number)
    dataset.clip("bert/none", None)
    (dataset.data / "bert" / "none.wav").unlink()
    (dataset.data / "bert" / "none.lab").write_text("Nothing to hear.", encoding="utf-8")
    dataset.scan()
    found = stats(dataset.catalog, sql(parse("")))
    assert (found.clips, found.speakers) == (31, 2)
    duration = found.distributions["duration"]
    assert sum(duration.bins) + duration.missing == 31
    assert found.distributions["sample_rate"].values == {"16000": 30}
    assert found.seconds == pytest.approx(sum(0.2 + 0.01 * number for number in range(30)), abs=0.1)
    assert stats(dataset.catalog, sql(parse("speaker:nobody"))).clips == 0
