"""The summary of a catalog agrees with its rows and findings."""

from __future__ import annotations

from collections import Counter

import pytest

from fishtui.catalog import actions
from fishtui.catalog.filter import parse, sql
from fishtui.catalog.measurements import measure_clips
from fishtui.catalog.report import findings
from fishtui.catalog.summary import Way, summarize
from fishtui.runs.reporter import Reporter
from tests.catalog.conftest import Dataset
from tests.cutclips import FIRST, cut_talk


def test_the_summary_agrees_with_rows_and_findings(dataset: Dataset) -> None:
    dataset.clip("anna/good")
    dataset.clip("anna/digits", "Call 1 2 3.")
    dataset.clip("anna/without", None)
    dataset.clip("bert/accepted", "Good day, 7.")
    dataset.clip("bert/rejected", "No 9, 10.")
    dataset.clip("bert/left", "It went.")
    dataset.scan()
    measure_clips(dataset.catalog, dataset.settings, Reporter())
    dataset.clip("bert/new", "Nobody has decoded this one.", seconds=0.7)
    (dataset.data / "bert" / "left.wav").unlink()
    dataset.scan()
    actions.review(dataset.catalog, [dataset.id("bert/accepted")], "accepted")
    actions.review(dataset.catalog, [dataset.id("bert/rejected")], "rejected")

    seen = summarize(dataset.catalog)
    rows = dataset.catalog.query("SELECT * FROM clips WHERE gone IS NULL")
    kept = [row for row in rows if row["status"] != "rejected"]
    found = dataset.catalog.query("SELECT clip, code, severity FROM findings")
    counts = Counter((each["code"], each["severity"]) for each in found if each["clip"] in {row["id"] for row in kept})
    assert counts
    counts += Counter((each["code"], 2) for each in seen.speakers if each["code"])
    assert counts["little-audio", 2] == 2
    assert seen.codes == sorted(
        ((code, severity, number) for (code, severity), number in counts.items()),
        key=lambda each: (-each[1], -each[2], each[0]),
    )
    flagged = [row for row in kept if row["severity"] >= 2]
    totals = seen.totals
    assert (totals.clips, totals.flagged, totals.rejected) == (len(kept), len(flagged), 1)
    assert totals.seconds == pytest.approx(sum(row["duration"] or 0.0 for row in kept))
    assert totals.open == len(kept) - 1
    assert totals.doubtful == sum(row["status"] == "open" for row in flagged)
    assert seen.unmeasured == 1
    assert [each["speaker"] for each in seen.speakers] == ["anna", "bert"]


def test_the_way_from_recordings_to_reviewed_clips(dataset: Dataset) -> None:
    assert summarize(dataset.catalog).way is None
    dataset.clip("anna/other")
    cut_talk(dataset.catalog, dataset.settings)
    actions.review(dataset.catalog, [dataset.id(FIRST), dataset.id("anna/other")], "rejected")
    assert summarize(dataset.catalog).way == Way(recordings=1, clips=2, drafts=0, reviewed=1)
    dataset.catalog.connection.execute("UPDATE clips SET draft = 1")
    assert summarize(dataset.catalog).way == Way(recordings=1, clips=2, drafts=1, reviewed=1)


def test_the_summary_of_an_empty_catalog(dataset: Dataset) -> None:
    seen = summarize(dataset.catalog)
    assert (seen.totals.clips, seen.totals.seconds, seen.totals.open, seen.unmeasured) == (0, 0, 0, 0)
    assert seen.speakers == seen.codes == []


def test_findings_of_another_version_are_shown(dataset: Dataset) -> None:
    dataset.clip("anna/1")
    dataset.scan()
    with dataset.catalog.transaction() as connection:
        connection.execute("INSERT INTO findings SELECT id, 'newer', 2, 'more' FROM clips")
        connection.execute("UPDATE clips SET severity = 2, found = '|warning:newer|warning:a:b|odd|'")
    assert ("newer", 2, 1) in summarize(dataset.catalog).codes
    document = findings(dataset.catalog, sql(parse(""))).as_dict()
    assert document["summary"]["newer"]["severity"] == "warning"
