"""Rejected clips and clips with errors stay out of every stage, and every ledger names them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from fishtui.catalog.actions import review
from fishtui.catalog.recognitions import Draft, store_drafts
from fishtui.catalog.scan import scan
from fishtui.catalog.store import Catalog
from fishtui.files import hash_file
from fishtui.project import Project
from fishtui.runs.ledger import Ledger
from fishtui.runs.reporter import Reporter
from fishtui.settings import ExtractSettings, PackSettings, ScanSettings, Settings, load
from fishtui.stages.excluded import DRAFT, excluded
from fishtui.stages.extract import extract
from fishtui.stages.pack import pack
from fishtui.stages.refresh import refresh_catalog
from tests.builders import packable, project, write_clip
from tests.expecting import failing

SETTINGS = Settings(
    scan=ScanSettings(workers=1), extract=ExtractSettings(device="cpu"), pack=PackSettings(workers=1, validation=0.0)
)


def reject(found: Project, name: str, note: str = "") -> None:
    with Catalog(found, found.root / "data") as catalog:
        scan(catalog, SETTINGS, Reporter())
        review(catalog, [catalog.value("SELECT id FROM clips WHERE name = ?", (name,))], "rejected", note)


def reasons(ledger: Ledger) -> dict[str, str]:
    return {entry.item: entry.reason for entry in [*ledger.skipped, *ledger.failed]}


def run_pack(found: Project, data: Path | None = None, dry_run: bool = False) -> Ledger:
    data = data or found.root / "data"
    return pack(found, SETTINGS, Reporter(), data=data, output=found.root / "data" / "protos", dry_run=dry_run)


def packed(found: Project) -> set[str]:
    lines = (found.root / "data" / "protos" / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
    return {json.loads(line)["clip"] for line in lines}


def test_extract_leaves_out_rejected_and_faulty_clips(tmp_path: Path, checkpoint: Path) -> None:
    found = project(tmp_path)
    data = tmp_path / "data" / "anna"
    for name in ("good", "accepted", "rejected"):
        write_clip(data / f"{name}.wav")
    write_clip(data / "silent-movie.wav", None)
    write_clip(data / "twice.wav")
    write_clip(data / "twice.flac")
    reject(found, "anna/rejected", "a cough")
    ledger = extract(found, SETTINGS, Reporter(), data=tmp_path / "data", checkpoint=checkpoint / "codec.pth")
    assert ledger.done == 2
    assert ledger.total == 5
    given = reasons(ledger)
    assert given["anna/rejected"].startswith("rejected by ")
    assert given["anna/rejected"].endswith(": a cough")
    assert given["anna/silent-movie"].startswith("missing-transcript")
    assert given["anna/twice"].startswith("shared-stem")
    assert [entry.item for entry in ledger.skipped] == ["anna/rejected"]
    assert sorted(path.stem for path in data.glob("*.npy")) == ["accepted", "good"]


def test_pack_leaves_out_rejected_clips_and_codes_of_other_audio(tmp_path: Path, checkpoint: Path) -> None:
    found = project(tmp_path)
    packable(tmp_path / "data", speakers=["anna"], clips=4)
    changed = write_clip(tmp_path / "data" / "anna" / "heard.wav")
    extract(found, SETTINGS, Reporter(), data=tmp_path / "data", checkpoint=checkpoint / "codec.pth")
    reject(found, "anna/01")
    assert run_pack(found).done == 4
    write_clip(changed, rate=22_050)
    ledger = run_pack(found)
    assert packed(found) == {"anna/00", "anna/02", "anna/03"}
    given = reasons(ledger)
    assert given["anna/01"].startswith("rejected by ")
    assert "another recording" in given["anna/heard"]
    assert ledger.total == 5


def test_a_folder_of_the_dataset_is_judged_as_part_of_it(tmp_path: Path) -> None:
    found = project(tmp_path)
    packable(tmp_path / "data", clips=3)
    reject(found, "anna/01")
    ledger = run_pack(found, tmp_path / "data" / "anna")
    assert (ledger.done, list(reasons(ledger))) == (2, ["01"])


def test_errors_that_only_decoding_finds_exclude_a_clip(tmp_path: Path) -> None:
    found = project(tmp_path)
    packable(tmp_path / "data", speakers=["anna"], clips=3)
    write_clip(tmp_path / "data" / "anna" / "01.wav", samples=np.zeros(44_100, np.float32))
    ledger = run_pack(found)
    assert ledger.done == 2
    assert reasons(ledger)["anna/01"].startswith("silent")


def test_only_a_refresh_reads_the_recordings(tmp_path: Path) -> None:
    found = project(tmp_path)
    data = tmp_path / "data"
    packable(data, speakers=["anna"], clips=3)
    write_clip(data / "anna" / "01.wav", samples=np.zeros(44_100, np.float32))
    assert excluded(found, SETTINGS, data) == {}
    assert not found.catalog.exists()
    refresh_catalog(found, SETTINGS, Reporter(), data)
    assert set(excluded(found, SETTINGS, data)) == {"anna/01"}
    write_clip(data / "anna" / "02.wav", samples=np.zeros(44_100, np.float32))
    assert set(excluded(found, SETTINGS, data)) == {"anna/01"}
    refresh_catalog(found, SETTINGS, Reporter(), data)
    assert set(excluded(found, SETTINGS, data)) == {"anna/01", "anna/02"}
    assert excluded(found, SETTINGS, data, tolerated=["silent"]) == {}


def test_a_dry_run_writes_no_catalog(tmp_path: Path) -> None:
    found = project(tmp_path)
    packable(tmp_path / "data", speakers=["anna"], clips=2)
    assert run_pack(found, dry_run=True).done == 2
    assert not found.catalog.exists()


def test_clips_outside_the_dataset_are_not_in_the_catalog(tmp_path: Path) -> None:
    found = project(tmp_path / "project")
    (tmp_path / "project" / "data").mkdir()
    packable(tmp_path / "other", speakers=["anna"], clips=2)
    assert run_pack(found, tmp_path / "other").done == 2
    assert not found.catalog.exists()


def test_a_clip_is_used_again_after_its_review_is_undone(tmp_path: Path) -> None:
    from fishtui.catalog.actions import undo

    found = project(tmp_path)
    packable(tmp_path / "data", speakers=["anna"], clips=3)
    reject(found, "anna/02")
    assert run_pack(found).done == 2
    with Catalog(found, tmp_path / "data") as catalog:
        undo(catalog, SETTINGS)
    assert run_pack(found).done == 3


def test_an_accepted_clip_with_an_error_still_stays_out(tmp_path: Path) -> None:
    found = project(tmp_path)
    packable(tmp_path / "data", speakers=["anna"], clips=2)
    (tmp_path / "data" / "anna" / "01.lab").write_bytes(b"\xff not utf-8")
    with Catalog(found, tmp_path / "data") as catalog:
        scan(catalog, SETTINGS, Reporter())
        review(catalog, [1, 2], "accepted")
    ledger = run_pack(found)
    assert ledger.done == 1
    assert reasons(ledger)["anna/01"].startswith("not-utf8")


def test_training_leaves_out_clips_rejected_after_packing(tmp_path: Path, checkpoint: Path) -> None:
    from fishtui.stages.train import train

    found = project(tmp_path)
    packable(tmp_path / "data", speakers=["anna"], clips=6)
    run_pack(found)
    reject(found, "anna/03", "noise")
    # Packed clips do not need their recordings.
    (tmp_path / "data" / "anna" / "04.npy").unlink()
    overrides = [f"paths.checkpoint={checkpoint}", "train.max_steps=1", "train.device=cpu", "train.max_length=256"]
    settings = load(found.settings_file, {}, overrides).values
    ledger = train(found, settings, Reporter(), name="voice", resume=False, restart=False)
    assert ledger.done == 5
    assert {item: reason.split(":")[1] for item, reason in reasons(ledger).items()} == {"anna/03": " noise"}


def test_drafts_are_counted_and_may_be_left_out(tmp_path: Path, checkpoint: Path) -> None:
    from fishtui.stages.train import train

    found = project(tmp_path)
    data = tmp_path / "data"
    packable(data, speakers=["anna"], clips=4)
    with Catalog(found, data) as catalog:
        for name in ("01", "02"):
            audio = write_clip(data / "anna" / f"{name}.wav", f"Draft {name}.")
            store_drafts(catalog, [Draft(hash_file(audio), f"Draft {name}.", "pocketsphinx")])
        scan(catalog, SETTINGS, Reporter())
        review(catalog, [catalog.value("SELECT id FROM clips WHERE name = 'anna/02'")], "accepted")

    def ledgers(drafts: str) -> tuple[Ledger, Ledger]:
        overrides = [f"train.drafts={drafts}", f"paths.checkpoint={checkpoint}", "train.device=cpu"]
        settings = load(found.settings_file, {}, [*overrides, "pack.workers=1", "pack.validation=0"]).values
        trained = train(found, settings, Reporter(), name="voice", resume=False, restart=False, dry_run=True)
        return pack(found, settings, Reporter(), data=data, output=data / "protos"), trained

    run_pack(found)
    for ledger in ledgers("allow"):
        assert (ledger.done, ledger.total, ledger.counts["drafts"]) == (4, 4, 1)
    for ledger in ledgers("exclude"):
        assert (ledger.done, ledger.total, ledger.counts["drafts"]) == (3, 4, 0)
        assert reasons(ledger) == {"anna/01": DRAFT}
    assert packed(found) == {"anna/00", "anna/02", "anna/03"}


@pytest.mark.parametrize("name", ["checks.ignore=missing-transcript", 'checks.ignore=["nonsense"]'])
def test_disabled_checks_exclude_no_clips(tmp_path: Path, name: str) -> None:
    from fishtui.errors import MisuseError

    found = project(tmp_path)
    write_clip(tmp_path / "data" / "anna" / "a.wav", None)
    settings = load(found.settings_file, {}, [name]).values
    with Catalog(found, tmp_path / "data") as catalog:
        if "nonsense" in name:
            with failing("unknown-check", MisuseError):
                scan(catalog, settings, Reporter())
        else:
            scan(catalog, settings, Reporter())
            assert catalog.value("SELECT severity FROM clips") < 3
