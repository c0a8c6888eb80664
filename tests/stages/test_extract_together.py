"""Extraction in two processes under torchrun: the same files as from one process, each clip encoded once."""

from __future__ import annotations

import json
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from fishtui.project import Project
from fishtui.runs.events import read_events
from tests.builders import project, tone, write_clip, write_codes
from tests.stages.test_extract import codes_of, run
from tests.stages.together import ROOT, command, together

pytestmark = pytest.mark.xdist_group("extract")

CLIPS = 15


def fill(root: Path) -> Project:
    """Return a project with clips of many lengths, one with codes of another tool, and two that cannot be written."""
    found = project(root)
    data = root / "data" / "anna"
    for number in range(CLIPS):
        write_clip(data / f"{number:02d}.wav", samples=tone(0.1 + 0.03 * (number * 7 % CLIPS), pitch=200 + 20 * number))
    write_clip(data / "foreign.wav")
    write_codes(data / "foreign.npy")
    for name in ("x", "y"):
        write_clip(data / f"{name}.wav", samples=tone(0.3))
        # A folder has the name of the codes.
        (data / f"{name}.npy").mkdir()
        (data / f"{name}.npy" / "something").write_bytes(b"")
    return found


def job(root: Path, checkpoint: Path, **options: Any) -> dict[str, Any]:
    settings = [f"paths.checkpoint={checkpoint}", "extract.device=cpu", "extract.batch_size=2", "extract.devices=2"]
    return {"stage": "extract", "root": str(root), "events": "events.jsonl", "settings": settings, **options}


def provenance(found: Project, killed: bool = False) -> set[tuple[Any, ...]]:
    """Return the entries of the journal, without the times and the inode of the audio, which differ between copies.

    A process that is `killed` between an entry and its codes leaves the entry, so the next run repeats it.
    """
    assert not list(found.state.glob("codes.rank*"))
    lines = found.codes_journal.read_text(encoding="utf-8").splitlines()
    entries = [{**json.loads(line), "modified": 0, "changed": 0, "inode": 0} for line in lines]
    made = {tuple(sorted(entry.items())) for entry in entries}
    assert killed or len(made) == len(entries)
    return made


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, checkpoint: Path) -> tuple[Project, dict[str, Any]]:
    """A project whose clips one process has encoded, and its ledger."""
    found = fill(tmp_path_factory.mktemp("whole"))
    return found, run(found.root, checkpoint, batch_size=2).as_dict()


def test_two_processes_share_the_clips(tmp_path: Path, checkpoint: Path, whole: tuple[Project, dict]) -> None:
    """If one process fails, the codes that both have finished remain, and the next run makes the others."""
    one, account = whole
    shared, failing = fill(tmp_path / "shared"), fill(tmp_path / "failing")
    jobs = [
        job(shared.root, checkpoint),
        job(failing.root, checkpoint, rank=1, call=4, how="fail"),
        job(failing.root, checkpoint, events="again.jsonl"),
    ]
    done, failed, again = together(tmp_path, jobs)
    assert done == again == ["", ""]
    assert failed[0].startswith("FishtuiError process-failed: process 1 on ")
    assert failed[1] == "RuntimeError: a fault for this test"
    for made in (shared, failing):
        assert codes_of(made.root) == codes_of(one.root)
        assert provenance(made) == provenance(one)
    ledger = (shared.root / "ledger.json").read_text(encoding="utf-8")
    assert json.loads(ledger.replace(str(shared.root), str(one.root))) == account
    progress = [event for event in read_events(shared.root / "events.jsonl") if event["kind"] == "progress"]
    assert (progress[-1]["done"], progress[-1]["total"]) == (CLIPS + 2, CLIPS + 2)
    ledger = json.loads((failing.root / "ledger.json").read_text(encoding="utf-8"))
    assert 0 < ledger["done"] < CLIPS


def test_one_process_completes_the_work_of_two_that_were_killed(
    tmp_path: Path, checkpoint: Path, whole: tuple[Project, dict]
) -> None:
    one, _ = whole
    found = fill(tmp_path)
    jobs = tmp_path / "jobs.json"
    jobs.write_text(json.dumps([job(tmp_path, checkpoint)]), encoding="utf-8")
    process = subprocess.Popen(command(jobs), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    part = found.state / "codes.rank1.jsonl"
    while process.poll() is None and not (part.exists() and len(codes_of(found.root)) > 4):
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.005)
    killed = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    for each in killed:
        with suppress(psutil.NoSuchProcess):
            each.kill()
    psutil.wait_procs(killed)
    process.wait()
    assert 4 < len(codes_of(found.root)) <= CLIPS
    run(tmp_path, checkpoint, batch_size=2)
    assert codes_of(found.root) == codes_of(one.root)
    assert provenance(found, killed=True) == provenance(one)
