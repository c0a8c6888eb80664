"""The plans of SQLite for the statements of each command and key: which of them read a whole table, and how often.

The cost of a clip, a batch or a key must not grow with the number of clips, so a statement that runs for each of them
reads only rows that it finds through an index. `WALKS` lists the statements that may read a whole table, with reasons.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest

from fishtui.catalog import backup, findings, lookup, measurements, report, scan, stats
from fishtui.catalog.actions import STATUSES, edit, review, tag, undo
from fishtui.catalog.completion import read_vocabulary
from fishtui.catalog.details import read_details
from fishtui.catalog.filter import parse, sql
from fishtui.catalog.fixing import fix
from fishtui.catalog.scan import refresh
from fishtui.catalog.summary import read_totals, summarize
from fishtui.listen.recordings import recordings
from fishtui.pipeline.plan import plan
from fishtui.runs.reporter import Reporter
from fishtui.stages.excluded import excluded
from fishtui.stages.pack import pack
from fishtui.stages.refresh import refresh_catalog
from tests.builders import tone, write_clip, write_codes
from tests.catalog.conftest import Dataset

# Beginnings of statements that may read a whole table, with the reason. Each
# runs a fixed number of times per command, per group of changed files or per list.
WALKS = {
    "SELECT name, id, files, audio_hash, text, codes_hash,": "a scan compares all clips with the disk",
    "SELECT (SELECT count(*) FROM clips) -": "a scan returns the number of clips",
    "SELECT count(*) FROM clips WHERE gone IS NULL AND status !=": "an overview counts what is not validated",
    "SELECT name, files, audio_hash FROM clips": "a validation chooses the recordings to measure",
    "SELECT id, name, speaker, duration,": "findings that compare clips need all clips; once, after a change",
    "SELECT clip FROM findings WHERE code IN": "the same",
    "SELECT id FROM clips": "the same, and a changed limit judges all clips again",
    "SELECT name, status, reviewer, note, codes,": "a stage lists the clips to leave out",
    "SELECT name FROM clips WHERE gone IS NULL AND (clips.draft": "a ledger counts the drafts",
    "SELECT name, audio_hash, text, codes_hash FROM clips": "a step of the pipeline depends on all clips",
    "SELECT * FROM clips WHERE (status != 'open'": "an export contains all decisions",
    "SELECT coalesce(max(action), 0) FROM history": "an import continues the numbers of actions",
    "SELECT group_concat(id) FROM": "a filter compares all clips; the interface reads the list in a thread, at rests",
    "SELECT * FROM clips WHERE id IN (SELECT id FROM clips WHERE": "the same, on the command line",
    "SELECT count(*) FROM clips WHERE clips.gone IS NULL": "the same",
    "SELECT count(*), coalesce(sum(": "`validate` counts all clips of its filter",
    "SELECT coalesce(sum(status": "the line above the list and Overview count all clips, after a change",
    "SELECT DISTINCT tags FROM clips": "completion reads all tags when the filter is opened",
    "SELECT found, count(*)": "Overview and completion sum up all findings, after a change",
    "SELECT speaker, sum(": "the same",
    "SELECT code, max(severity), count(*) FROM speakers": "the same",
    "SELECT speaker, duration, rate,": "`clips stats` counts all clips",
    "SELECT name, id, code, findings.severity,": "`validate` prints all findings",
    "SELECT name, NULL, code,": "the same",
}
# Ends of statements that look like walks, but read few rows.
SHORT = {
    "SELECT 1 FROM history WHERE state IN (?, ?) LIMIT 1": "entries that a killed process left unfinished",
    "SELECT DISTINCT action FROM history WHERE state = ?": "entries that a killed process left unfinished",
    "ORDER BY action DESC LIMIT 1": "ends at the newest entry that is done, of a clip on disk",
    "SELECT 1 FROM clips LIMIT 1": "reads one row",
    "ORDER BY name LIMIT 1 OFFSET ?": "reads 20,000 rows",
    "SELECT name FROM speakers ORDER BY name LIMIT ?": "reads 1,000 rows",
}
# A step of a plan that reads all rows of a large table, or all clips that are on disk.
WALK = re.compile(
    r"SCAN (clips|findings|measurements|history|speakers)\b"
    r"|SEARCH clips USING (COVERING )?INDEX clips_by_facts \(gone=\?\)"
    r"|SEARCH history USING (COVERING )?INDEX history_by_state \(state=\?\)"
)


class Connection(sqlite3.Connection):
    """A connection that explains each statement before it runs, while `walks` is a list."""

    walks: list[str] | None = None

    def execute(self, statement: str, parameters: Any = ()) -> sqlite3.Cursor:
        self._explain(statement, parameters)
        return super().execute(statement, parameters)

    def executemany(self, statement: str, parameters: Iterable[Any]) -> sqlite3.Cursor:
        listed = list(parameters)
        for each in listed:
            self._explain(statement, each)
        return super().executemany(statement, listed)

    def _explain(self, statement: str, parameters: Any) -> None:
        if Connection.walks is None or not re.match(r"\s*(SELECT|INSERT|UPDATE|DELETE)\b", statement):
            return
        steps = [row[-1] for row in super().execute(f"EXPLAIN QUERY PLAN {statement}", parameters)]
        statement = " ".join(statement.split())
        if any(WALK.match(step) for step in steps) and not statement.endswith(tuple(SHORT)):
            Connection.walks.append(statement)


@pytest.fixture(autouse=True)
def _explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=Connection))
    for module in (findings, measurements, scan):
        monkeypatch.setattr(module, "BATCH", 1)
    for module in (measurements, scan):
        # In this process, because the start of workers would take most of the time.
        monkeypatch.setattr(module, "chunked_map", lambda work, tasks, *_: map(work, tasks))
        monkeypatch.setattr(module, "quiet_stderr", lambda: None)


@contextmanager
def walking() -> Iterator[list[str]]:
    """The statements that read a whole table within the body."""
    Connection.walks = found = []
    try:
        yield found
    finally:
        Connection.walks = None


def fill(dataset: Dataset, clips: int) -> None:
    for number in range(clips):
        path = write_clip(
            dataset.data / f"anna/{number:02d}.wav", f"Sentence {number}.", tone(0.3, 16_000, pitch=100 + number)
        )
        write_codes(path.with_suffix(".npy"), seed=number)
    dataset.scan()
    measure(dataset)


def measure(dataset: Dataset) -> None:
    measurements.measure_clips(dataset.catalog, dataset.settings, Reporter())


def ids(dataset: Dataset) -> list[int]:
    return list(lookup.find_ids(dataset.catalog, ""))


ON_A_CLIP: dict[str, Callable[[Dataset, int], object]] = {
    **{status: lambda it, clip, status=status: review(it.catalog, [clip], status, "note") for status in STATUSES},
    "tag": lambda it, clip: tag(it.catalog, [clip], add=["loud"]),
    "edit": lambda it, clip: edit(it.catalog, it.settings, clip, "Another sentence."),
    "fix": lambda it, clip: fix(it.catalog, it.settings, Reporter(), "loudness", [clip]),
    "undo": lambda it, clip: undo(it.catalog, it.settings),
    "undo one": lambda it, clip: undo(it.catalog, it.settings, [clip]),
    "refresh": lambda it, clip: refresh(it.catalog, it.settings, [clip]),
    "rows": lambda it, clip: lookup.read_rows(it.catalog, [clip]),
    "details": lambda it, clip: read_details(it.catalog, clip),
    "by name": lambda it, clip: lookup.resolve_ids(it.catalog, ["anna/01", str(clip)]),
    "next": lambda it, clip: lookup.find_next(it.catalog, [clip, clip + 1], 0, 1, "finding:any"),
}


@pytest.mark.parametrize("name", ON_A_CLIP)
def test_no_action_on_a_clip_reads_all_clips(dataset: Dataset, name: str) -> None:
    fill(dataset, 4)
    clip = dataset.id("anna/01")
    review(dataset.catalog, [clip], "accepted")
    with walking() as found:
        ON_A_CLIP[name](dataset, clip)
    assert found == []


def add_a_clip(dataset: Dataset) -> None:
    write_clip(dataset.data / "anna/new.wav", "A new sentence.")
    dataset.scan()
    measure(dataset)


def move_all(dataset: Dataset) -> None:
    review(dataset.catalog, ids(dataset), "accepted")
    (dataset.data / "anna").rename(dataset.data / "bert")
    dataset.scan()


def restore_reviews(dataset: Dataset) -> None:
    file = dataset.catalog.project.root / "reviews.jsonl"
    review(dataset.catalog, ids(dataset), "accepted")
    backup.export_reviews(dataset.catalog, file)
    undo(dataset.catalog, dataset.settings)
    backup.import_reviews(dataset.catalog, file)


def edit_all(dataset: Dataset) -> None:
    for clip in ids(dataset):
        edit(dataset.catalog, dataset.settings, clip, "Another sentence.")


def undo_all(dataset: Dataset) -> None:
    for clip in ids(dataset):
        tag(dataset.catalog, [clip], add=["loud"])
    while undo(dataset.catalog, dataset.settings):
        pass


def pack_all(dataset: Dataset) -> None:
    pack(dataset.catalog.project, dataset.settings, Reporter(), data=dataset.data, output=dataset.data / "protos")


COMMANDS: dict[str, Callable[[Dataset], object]] = {
    "scan": lambda it: it.scan(),
    "validate": measure,
    "scan with changes": add_a_clip,
    "scan of moved clips": move_all,
    "import-reviews": restore_reviews,
    "edits": edit_all,
    "undo": undo_all,
    "fix": lambda it: fix(it.catalog, it.settings, Reporter(), "loudness", ids(it)),
    "refresh": lambda it: refresh_catalog(it.catalog.project, it.settings, Reporter(), it.data),
    "exclusions": lambda it: excluded(it.catalog.project, it.settings, it.data),
    "pack": pack_all,
    "pipeline": lambda it: plan(it.catalog.project, it.settings),
    "dry pipeline": lambda it: plan(it.catalog.project, it.settings, dry_run=True),
    "findings": lambda it: report.findings(it.catalog, sql(parse("finding:any"))),
    "stats": lambda it: stats.stats(it.catalog, sql(parse(""))),
    "listen": lambda it: recordings(it.catalog, "duration:>0.1"),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_reads_whole_tables_equally_often_for_any_number_of_clips(
    datasets: Callable[[], Dataset], name: str
) -> None:
    runs = []
    for clips in (3, 9):
        dataset = datasets()
        fill(dataset, clips)
        with walking() as found:
            COMMANDS[name](dataset)
        runs.append(found)
    fewer, more = runs
    assert sorted(fewer) == sorted(more)
    assert unlisted(more) == []


def test_new_clips_read_no_whole_table(datasets: Callable[[], Dataset]) -> None:
    runs = []
    for clips in (3, 9):
        with walking() as found:
            fill(datasets(), clips)
        runs.append(found)
    assert sorted(runs[0]) == sorted(runs[1])
    assert unlisted(runs[1]) == []


FILTERS = ("", "anna", "finding:any status:open sort:-rate", "speaker:anna", "edited:yes", "finding:little-audio", "ab")


@pytest.mark.parametrize("text", FILTERS)
def test_a_list_reads_the_index_of_facts_a_few_times(dataset: Dataset, text: str) -> None:
    fill(dataset, 4)
    with walking() as found:
        lookup.find_first_ids(dataset.catalog, text, 2)
        lookup.find_ids(dataset.catalog, text)
        lookup.find_page(dataset.catalog, text, 2)
        read_totals(dataset.catalog)
        summarize(dataset.catalog)
        read_vocabulary(dataset.catalog)
    assert unlisted(found) == []


def unlisted(found: Iterable[str]) -> list[str]:
    return [statement for statement in dict.fromkeys(found) if not statement.startswith(tuple(WALKS))]
