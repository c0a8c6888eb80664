"""Evaluation on the tiny checkpoint: what is spoken, judged, reused, resumed, and reported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from fishtui import bases, sentences
from fishtui.errors import FishtuiError, MisuseError, Terminated
from fishtui.evaluation.outcome import read_outcome
from fishtui.evaluation.record import FILE, EvaluationWriter, SpokenLine
from fishtui.files import discard
from fishtui.lm.model import DualAR
from fishtui.results.checkpoints import checkpoint_path
from fishtui.stage import EVALUATE
from fishtui.stages import evaluate as module
from fishtui.stages import panel
from fishtui.stages.evaluate import UP_TO_DATE
from tests.builders import file_size_limit, snapshot
from tests.expecting import failing
from tests.stages.evaluating import Evaluating
from tests.tinymodels.checkpoint import write_checkpoint

# All tests copy one project, with a training in it.
pytestmark = pytest.mark.xdist_group("evaluate")


def test_base_and_checkpoints_speak_the_same_lines(evaluating: Evaluating) -> None:
    (evaluating.project.root / "lines.txt").write_text("A line of my own.\n")
    ledger = evaluating.run()
    found = evaluating.read()
    assert found.steps == ["base", 1, 2]
    assert ledger.done == len(found.records) == 3 * len(found.lines)
    assert {line.kind for line in found.lines} == {"held-out", "own"}
    assert all(found.path(record).is_file() for record in found.records.values())
    assert all({"failures", "voice"} == record.judges.keys() for record in found.records.values())
    table = read_outcome(evaluating.results).verdict.table
    assert table.lines == len(found.lines)
    base, *_, last = (row.loss for row in table.rows)
    assert base is not None
    assert last is not None
    assert base > last


def test_a_second_run_reuses_everything_until_something_changes(evaluating: Evaluating) -> None:
    first = evaluating.run()
    before = snapshot(evaluating.results / "evaluation")
    again = evaluating.run()
    assert (again.done, {entry.reason for entry in again.skipped}) == (0, {UP_TO_DATE})
    assert again.total == first.total
    assert snapshot(evaluating.results / "evaluation") == before
    assert evaluating.run("synthesize.seed=43").done == first.done
    assert evaluating.run("synthesize.seed=43", dry_run=True).done == 0
    assert evaluating.run("synthesize.seed=44", dry_run=True).done == first.done


SOUNDS = {
    "synthesize.temperature": "0.6",
    "synthesize.top_p": "0.6",
    "synthesize.top_k": "20",
    "synthesize.repetition_penalty": "1.4",
    "synthesize.max_seconds": "0.2",
    "synthesize.seconds_per_character": "0.4",
    "synthesize.seed": "43",
    "synthesize.precision": "float32",
    "extract.resampler": "published",
}


def test_every_setting_that_decides_a_sound_lets_the_lines_be_spoken_again(evaluating: Evaluating) -> None:
    done = evaluating.run().done
    # Places of files, and the rank of adapters that do not record theirs.
    silent = {"paths.data", "paths.protos", "paths.checkpoint", "pack.text_extension", "train.lora"}
    assert {*EVALUATE.also} - silent - {"synthesize.compile"} == SOUNDS.keys()
    for name, value in SOUNDS.items():
        assert evaluating.run(f"{name}={value}", dry_run=True).done == done, name
    assert evaluating.run(dry_run=True).done == 0


def test_recordings_are_judged_again_but_not_spoken_again_by_another_judge(evaluating: Evaluating) -> None:
    first = evaluating.run('evaluate.judges=["failures"]')
    recordings = snapshot(evaluating.results / "evaluation")
    failures = {key: record.judges["failures"] for key, record in evaluating.read().records.items()}
    assert evaluating.run().done == first.done
    assert snapshot(evaluating.results / "evaluation") == recordings
    records = evaluating.read().records
    assert {key: record.judges["failures"] for key, record in records.items()} == failures
    assert all("voice" in record.judges for record in records.values())


def test_a_recording_that_is_judged_again_has_the_same_figures(evaluating: Evaluating) -> None:
    first = evaluating.run()
    records = evaluating.read().records
    # As an evaluation without judges leaves it.
    path = evaluating.results / FILE
    entries = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    path.write_text("".join(json.dumps(entry | {"judges": {}}) + "\n" for entry in entries), encoding="utf-8")
    assert evaluating.run().done == first.done
    again = evaluating.read().records
    assert {key: record.judges for key, record in again.items()} == {
        key: record.judges for key, record in records.items()
    }


def test_without_a_reference_each_line_is_spoken_twice(evaluating: Evaluating) -> None:
    once = evaluating.run()
    ledger = evaluating.run(no_reference=True)
    assert (ledger.done, len(ledger.skipped)) == (once.done, once.done)
    assert {key.with_reference for key in evaluating.read().records} == {True, False}


def test_only_what_is_asked_for_speaks(evaluating: Evaluating) -> None:
    evaluating.run(steps=[2], no_base=True)
    assert evaluating.read().steps == [2]
    with failing("no-such-step", MisuseError):
        evaluating.run(steps=[7])


@pytest.mark.parametrize("after", [1, 4])
def test_a_stopped_evaluation_continues_where_it_was(
    evaluating: Evaluating, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[SpokenLine] = []
    write = module.EvaluationWriter.write

    def stop(writer: Any, entry: Any) -> None:
        write(writer, entry)
        if isinstance(entry, SpokenLine):
            written.append(entry)
            if len(written) == after:
                raise Terminated

    with monkeypatch.context() as patch, pytest.raises(Terminated):
        patch.setattr(module.EvaluationWriter, "write", stop)
        evaluating.run()
    ledger = evaluating.run()
    assert (len(ledger.skipped), ledger.failed) == (after, [])
    parts = evaluating.table()
    discard(evaluating.results / FILE)
    evaluating.run()
    assert evaluating.table() == parts


def test_a_checkpoint_that_disappears_stops_no_other(evaluating: Evaluating, monkeypatch: pytest.MonkeyPatch) -> None:
    load_model = module.Speaker.load

    def remove(speaker: Any, adapter: Path | None, report: Any) -> None:
        if adapter is not None and adapter.name == "step_000000001.ckpt":
            discard(adapter)
        load_model(speaker, adapter, report)

    monkeypatch.setattr(module.Speaker, "load", remove)
    ledger = evaluating.run()
    assert len(ledger.failed) == len(evaluating.read().lines)
    assert evaluating.read().steps == ["base", 2]


def test_without_anything_to_speak_nothing_is_written(evaluating: Evaluating) -> None:
    with failing("no-lines", MisuseError):
        evaluating.run("evaluate.lines=0")
    assert not (evaluating.results / FILE).exists()


def test_a_full_disk_loses_no_earlier_line(evaluating: Evaluating, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluating.run(steps=[1], no_base=True)
    before = evaluating.read().records
    write_audio = module.write_audio

    def write(*arguments: Any) -> None:
        with file_size_limit(2_000):
            write_audio(*arguments)

    monkeypatch.setattr(module, "write_audio", write)
    with failing("cannot-write"):
        evaluating.run()
    assert {key: evaluating.read().spoken[key] for key in before} == dict(before)


def test_a_full_disk_leaves_no_part_of_a_record(evaluating: Evaluating, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluating.run(steps=[1], no_base=True)
    before, size = evaluating.read(), (evaluating.results / FILE).stat().st_size
    write = module.EvaluationWriter.write

    def limited(writer: Any, entry: Any) -> None:
        with file_size_limit(size + 100):
            write(writer, entry)

    with monkeypatch.context() as patch, failing("cannot-write"):
        patch.setattr(module.EvaluationWriter, "write", limited)
        evaluating.run()
    assert evaluating.read() == before
    assert evaluating.run().failed == []


def test_a_judge_that_cannot_work_is_reported_and_the_others_judge(
    evaluating: Evaluating, monkeypatch: pytest.MonkeyPatch
) -> None:
    assess = panel.assess

    def fail(name: str, *arguments: Any) -> Any:
        if name == "voice":
            raise FishtuiError("broken", "Mend it.", code="damaged-judge")
        return assess(name, *arguments)

    monkeypatch.setattr(panel, "assess", fail)
    evaluating.run()
    found = evaluating.read()
    assert found.plan is not None
    assert "voice" in found.plan.missing
    assert all(record.judges.keys() == {"failures"} for record in found.records.values())


def test_a_missing_recording_is_spoken_again(evaluating: Evaluating) -> None:
    evaluating.run()
    record = next(iter(evaluating.read().records.values()))
    (evaluating.results / record.wav).unlink()
    assert evaluating.run().done == 1


def test_a_recording_without_a_record_is_not_taken_for_an_earlier_one(
    evaluating: Evaluating, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluating.run(steps=[1], no_base=True)
    names = [record.wav for record in evaluating.read().spoken.values()]
    sounds = {name: (evaluating.results / name).read_bytes() for name in names}
    write = EvaluationWriter.write

    def stop(writer: EvaluationWriter, entry: Any) -> None:
        if isinstance(entry, SpokenLine):
            raise KeyboardInterrupt
        write(writer, entry)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(EvaluationWriter, "write", stop)
        evaluating.run("synthesize.seed=43", steps=[1], no_base=True)
    assert evaluating.run(steps=[1], no_base=True).done == 0
    assert {name: (evaluating.results / name).read_bytes() for name in sounds} == sounds
    evaluating.run("synthesize.seed=43", steps=[1], no_base=True)
    assert not any((evaluating.results / name).exists() for name in sounds)


def test_a_checkpoint_that_was_removed_since_it_spoke_is_not_in_the_verdict(evaluating: Evaluating) -> None:
    evaluating.run()
    discard(checkpoint_path(evaluating.results / "checkpoints", 1))
    assert evaluating.run().done == 0
    rows = read_outcome(evaluating.results).verdict.table.rows
    assert [row.step for row in rows] == ["base", 2]


MISSING = ("no clips are held out", "no hard lines", "no reference")


def keep(evaluating: Evaluating, train: int, held_out: int) -> None:
    """Keep only so many clips of the manifest."""
    path = evaluating.project.root / "data" / "protos" / "manifest.jsonl"
    entries = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    kept = [
        *[each for each in entries if each["split"] == "train"][:train],
        *[each for each in entries if each["split"] == "validation"][:held_out],
    ]
    path.write_text("".join(json.dumps(each) + "\n" for each in kept), encoding="utf-8")


@pytest.mark.parametrize(
    ("train", "held_out", "missing"),
    [
        (12, 0, ["no clips are held out", "no hard lines"]),
        (1, 0, ["no clips are held out", "no hard lines"]),
        (0, 1, ["no hard lines", "no reference"]),
        (1, 1, ["no hard lines"]),
    ],
)
def test_few_clips_are_evaluated_with_a_remark_on_what_is_missing(
    evaluating: Evaluating, train: int, held_out: int, missing: list[str]
) -> None:
    keep(evaluating, train, held_out)
    (evaluating.project.root / "lines.txt").write_text("A line of my own.\n")
    ledger = evaluating.run(steps=[2])
    assert (ledger.done, ledger.failed) == (2 * (held_out + 1), [])
    messages = evaluating.messages()
    assert [start for start in MISSING if any(message.startswith(start) for message in messages)] == missing


def test_a_missing_recognizer_is_reported_and_the_others_judge(evaluating: Evaluating) -> None:
    ledger = evaluating.run('evaluate.judges=["failures", "intelligibility"]', "evaluate.recognizer=ctc:nowhere.pt")
    found = evaluating.read()
    assert ledger.failed == []
    assert found.plan is not None
    assert found.plan.missing.keys() == {"intelligibility"}
    assert found.plan.missing["intelligibility"].remedy
    assert all(record.judges.keys() == {"failures"} for record in found.records.values())


def test_a_model_that_never_stops_is_cut_off_and_that_is_a_failure(
    evaluating: Evaluating, monkeypatch: pytest.MonkeyPatch
) -> None:
    speech_logits = DualAR.speech_logits

    def endless(model: DualAR, hidden: Tensor) -> Tensor:
        scores = speech_logits(model, hidden).clone()
        scores[..., -1] = float("-inf")
        return scores

    monkeypatch.setattr(DualAR, "speech_logits", endless)
    monkeypatch.setattr(sentences, "PAUSES", 0.2)
    evaluating.run("synthesize.max_seconds=60", "synthesize.seconds_per_character=0.01", steps=[2])
    records = evaluating.read().records.values()
    assert records
    for record in records:
        assert not record.stopped
        assert record.seconds <= 0.2 + 0.01 * len(record.line.text)
        assert "not-stopped" in dict(record.failures)


def test_the_report_has_the_verdict(evaluating: Evaluating, tmp_path: Path) -> None:
    evaluating.run(report=tmp_path / "report.html")
    assert "step 2" in (tmp_path / "report.html").read_text(encoding="utf-8").lower()
    notes = " ".join(evaluating.messages())
    assert "base" in notes


def test_a_training_of_another_base_is_refused(evaluating: Evaluating, tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "other", seed=1)
    other = f"paths.checkpoint={tmp_path / 'other'}"
    assert evaluating.run(other, dry_run=True).done
    # As trainings of earlier releases have none.
    (evaluating.results / "checkpoints" / bases.FILE).unlink()
    with failing("other-base", MisuseError):
        evaluating.run(other)


def test_shards_without_a_manifest_are_refused(evaluating: Evaluating) -> None:
    (evaluating.project.root / "data" / "protos" / "manifest.jsonl").unlink()
    with failing("no-manifest", MisuseError):
        evaluating.run()


def test_records_are_valid_json(evaluating: Evaluating) -> None:
    evaluating.run()
    for line in (evaluating.results / FILE).read_text(encoding="utf-8").splitlines():
        assert json.loads(line)["kind"] in ("plan", "line")
