"""Export and import of decisions: all of them survive the loss of the catalog."""

from __future__ import annotations

import json

import pytest

from fishtui.catalog.actions import edit, review, tag, undo
from fishtui.catalog.backup import export_reviews, import_reviews
from fishtui.catalog.cuts import Cut, cut_of, identify, locate_source, record_cuts
from fishtui.catalog.findings import judge_all
from fishtui.catalog.history import history_of
from fishtui.catalog.recognitions import Draft, recognized_clip, store_drafts
from fishtui.catalog.store import Catalog
from fishtui.errors import MisuseError
from fishtui.files import hash_file
from tests.builders import write_clip
from tests.expecting import failing


def test_drafts_and_places_in_recordings_are_restored_after_losing_the_catalog(dataset, tmp_path) -> None:
    path, long = tmp_path / "reviews.jsonl", tmp_path / "talk.wav"
    write_clip(long, None)
    for name in "abc":
        dataset.clip(f"anna/{name}", "One.")
    hashes = {name: hash_file(dataset.data / "anna" / f"{name}.wav") for name in "abc"}
    drafts = [Draft(hashes["a"], "One.", "faster-whisper", "small", 0.5), Draft(hashes["a"], "Two.", "pocketsphinx")]
    store_drafts(dataset.catalog, drafts)
    source = identify(long, 9.0)
    cut = Cut(source.hash, 0.5, 0.8)
    record_cuts(dataset.catalog, source, [(hashes["b"], cut)])
    dataset.scan()
    assert export_reviews(dataset.catalog, path) == 2
    without_catalog(dataset)
    assert dataset.row("anna/a")["draft"] == 0
    assert import_reviews(dataset.catalog, path, dry_run=True).done == 2
    assert dataset.row("anna/a")["draft"] == 0
    assert import_reviews(dataset.catalog, path).done == 2
    assert [dataset.row(f"anna/{name}")["draft"] for name in "abc"] == [1, 0, 0]
    assert recognized_clip(dataset.catalog, dataset.row("anna/a")).draft == drafts[0]
    assert cut_of(dataset.catalog, hashes["b"]) == cut
    assert locate_source(dataset.catalog, source.hash) == source
    assert (import_reviews(dataset.catalog, path).done, export_reviews(dataset.catalog, path, force=True)) == (0, 2)
    edit(dataset.catalog, dataset.settings, dataset.id("anna/a"), "Three.")
    assert dataset.row("anna/a")["draft"] == 0


@pytest.fixture
def decided(dataset):
    """Three clips, two of them with decisions."""
    for name in "abc":
        dataset.clip(f"anna/{name}", "One.")
    dataset.scan()
    review(dataset.catalog, [dataset.id("anna/a")], "rejected", "cough")
    tag(dataset.catalog, [dataset.id("anna/b")], add=["loud"])
    edit(dataset.catalog, dataset.settings, dataset.id("anna/b"), "Two.")
    return dataset


def without_catalog(dataset) -> None:
    """Delete the catalog and create it again."""
    dataset.catalog.connection.close()
    for path in dataset.catalog.project.state.glob("catalog.db*"):
        path.unlink()
    dataset.catalog = Catalog(dataset.catalog.project, dataset.data)
    dataset.scan()


def test_decisions_are_restored_after_losing_the_catalog(decided, tmp_path) -> None:
    path = tmp_path / "reviews.jsonl"
    assert export_reviews(decided.catalog, path) == 2
    before = decided.everything()
    without_catalog(decided)
    assert decided.row("anna/a")["status"] == "open"
    ledger = import_reviews(decided.catalog, path)
    assert (ledger.done, ledger.failed) == (2, [])
    row = decided.row("anna/a")
    assert (row["status"], row["note"]) == ("rejected", "cough")
    assert decided.row("anna/b")["tags"] == "|loud|"
    assert [entry["summary"] for entry in history_of(decided.catalog, decided.id("anna/b"))][-1].startswith("edit")
    assert len(decided.everything()) == len(before)
    undo(decided.catalog, decided.settings, [decided.id("anna/b")])
    assert (decided.data / "anna" / "b.lab").read_bytes() == b"One."


def test_a_byte_order_mark_of_an_editor_is_skipped(decided, tmp_path) -> None:
    path = tmp_path / "reviews.jsonl"
    export_reviews(decided.catalog, path)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert import_reviews(decided.catalog, path, dry_run=True).total == 2


def test_importing_twice_changes_nothing_more(decided, tmp_path) -> None:
    path = tmp_path / "reviews.jsonl"
    export_reviews(decided.catalog, path)
    without_catalog(decided)
    import_reviews(decided.catalog, path)
    before = decided.everything()
    ledger = import_reviews(decided.catalog, path)
    assert (ledger.done, len(ledger.skipped)) == (0, 2)
    assert decided.everything() == before


def test_renamed_clips_are_found_by_their_audio_and_missing_ones_are_reported(decided, tmp_path) -> None:
    path = tmp_path / "reviews.jsonl"
    export_reviews(decided.catalog, path)
    for suffix in (".wav", ".lab"):
        (decided.data / "anna" / f"a{suffix}").rename(decided.data / "anna" / f"z{suffix}")
        (decided.data / "anna" / f"b{suffix}").unlink()
    without_catalog(decided)
    ledger = import_reviews(decided.catalog, path)
    assert decided.row("anna/z")["status"] == "rejected"
    assert [entry.item for entry in ledger.failed] == ["anna/b"]


def test_the_newer_review_is_kept_and_tags_are_added(decided, tmp_path) -> None:
    path = tmp_path / "reviews.jsonl"
    export_reviews(decided.catalog, path)
    text = path.read_text(encoding="utf-8").replace('"tags": []', '"tags": ["noisy"]')
    path.write_text(text.replace('"reviewed": "2', '"reviewed": "1'), encoding="utf-8")
    review(decided.catalog, [decided.id("anna/a")], "open")
    assert import_reviews(decided.catalog, path).done >= 1
    row = decided.row("anna/a")
    assert (row["status"], row["tags"]) == ("open", "|noisy|")


def test_a_dry_run_imports_nothing(decided, tmp_path) -> None:
    path = tmp_path / "reviews.jsonl"
    export_reviews(decided.catalog, path)
    without_catalog(decided)
    judge_all(decided.catalog, decided.settings)
    before = decided.everything(), decided.catalog.meta("dirty")
    assert import_reviews(decided.catalog, path, dry_run=True).done == 2
    assert (decided.everything(), decided.catalog.meta("dirty")) == before


def decision(**changes) -> str:
    """Return a line of an exported file."""
    texts = dict.fromkeys(("reviewer", "reviewed", "note"), "")
    return json.dumps(
        {"name": "anna/c", "audio_hash": None, "status": "open", **texts, "tags": [], "history": [], **changes}
    )


ESCAPE = {
    **dict.fromkeys(("before", "after", "who", "time", "note"), ""),
    "action": 1,
    "kind": "file",
    "path": "../../escape.lab",
    "state": "done",
}


@pytest.mark.parametrize(
    "line",
    [
        *("nonsense", "[]", '{"name": 1}', "[" * 100_000, decision(status="perhaps"), decision(history=[ESCAPE])),
        decision(history=[ESCAPE | {"path": "anna/c.wav", "after": "0" * 64, "state": "undoing"}]),
        decision(history=[ESCAPE | {"path": None, "kind": "status", "before": "nonsense"}]),
        decision(history=[ESCAPE | {"path": "anna/c.wav", "action": 10**20}]),
        decision(history=[ESCAPE | {"path": "anna/c.wav", "before": "no hash"}]),
        decision(drafts=[{"text": "One."}]),
        decision(cuts=[{"source": "0" * 64, "path": "x", "seconds": 1, "start": -1, "end": 1, "channel": 0}]),
        *(decision(**{name: "\ud800"}) for name in ("name", "reviewer", "note")),
        decision(tags=["\ud800"]),
    ],
    ids=[
        *("text", "list", "types", "deep", "status", "escape", "undoing", "review", "action", "hash", "draft", "cut"),
        *("lone name", "lone reviewer", "lone note", "lone tag"),
    ],
)
def test_a_file_that_is_not_an_export_changes_nothing(decided, tmp_path, line: str) -> None:
    path = tmp_path / "reviews.jsonl"
    export_reviews(decided.catalog, path)
    with path.open("a", encoding="utf-8") as file:
        file.write(line + "\n")
    without_catalog(decided)
    before = decided.everything()
    with failing("not-reviews", MisuseError):
        import_reviews(decided.catalog, path)
    assert decided.everything() == before


def test_an_export_overwrites_only_an_export(decided, tmp_path) -> None:
    settings, recording = tmp_path / "notes.txt", decided.data / "anna" / "a.wav"
    settings.write_text("mine", encoding="utf-8")
    before = recording.read_bytes()
    with failing("exists", MisuseError):
        export_reviews(decided.catalog, settings)
    for path in (recording, decided.data / "anna" / "new.jsonl"):
        with failing("in-dataset", MisuseError):
            export_reviews(decided.catalog, path)
    assert (settings.read_text(encoding="utf-8"), recording.read_bytes()) == ("mine", before)
    assert export_reviews(decided.catalog, tmp_path / "reviews.jsonl") == 2
    with failing("exists", MisuseError):
        export_reviews(decided.catalog, tmp_path / "reviews.jsonl")
    assert export_reviews(decided.catalog, tmp_path / "reviews.jsonl", force=True) == 2
    with failing("exists", MisuseError):
        export_reviews(decided.catalog, settings, force=True)
