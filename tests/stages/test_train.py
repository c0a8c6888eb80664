"""Training on the tiny checkpoint: data, metrics, resuming, stopping, and merging the result."""

from __future__ import annotations

import json
import math
import os
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import msgspec
import numpy as np
import pytest
import torch

from fishtui.checkpoint import CheckpointFolder
from fishtui.errors import MisuseError, Terminated
from fishtui.load import load_model
from fishtui.project import Project
from fishtui.results.checkpoints import list_checkpoints
from fishtui.results.samples import list_samples
from fishtui.runs.events import EventWriter, read_events
from fishtui.runs.ledger import Ledger
from fishtui.runs.reporter import Reporter
from fishtui.settings import PackSettings, Settings, TrainSettings, load
from fishtui.shards.packed import MANIFEST, read_manifest, write_manifest
from fishtui.shards.stream import ShardWriter, encode_sentence
from fishtui.shards.text_data_pb2 import Sentence
from fishtui.stages.merge import export, merge
from fishtui.stages.pack import pack
from fishtui.stages.train import NO_VALIDATION, train
from fishtui.training import callbacks
from fishtui.training.adapter import read_adapter
from fishtui.training.dataset import Example, Examples, load_examples
from fishtui.training.origin import read_checkpoint
from fishtui.training.preset import LoraSpec, parse_preset
from tests.builders import file_size_limit, packable, project, snapshot, write_codes
from tests.expecting import failing, skipped_by_reason

TINY = {
    "batch_size": 2,
    "max_length": 128,
    "max_steps": 6,
    "validate_every": 3,
    "learning_rate": 1e-3,
    "warmup": 2,
    "device": "cpu",
    "dropout": 0.1,
}


class Training:
    """A project with packed clips, and its trainings."""

    def __init__(self, root: Path, checkpoint: Path, clips: int = 12) -> None:
        self.project: Project = project(root)
        self.checkpoint = checkpoint
        data = root / "data"
        packable(data, clips=clips)
        pack(self.project, Settings(pack=PackSettings(workers=1)), Reporter(), data=data, output=data / "protos")

    def settings(self, **changes: object) -> Settings:
        overrides = [f"train.{name}={value}" for name, value in {**TINY, **changes}.items()]
        overrides.append(f"paths.checkpoint={self.checkpoint}")
        return load(self.project.settings_file, {}, overrides).values

    def run(self, name: str = "voice", resume: bool = False, restart: bool = False, **changes: object) -> Ledger:
        self.events = self.project.root / "events.jsonl"
        self.events.unlink(missing_ok=True)
        reporter = Reporter(EventWriter(self.events))
        return train(self.project, self.settings(**changes), reporter, name=name, resume=resume, restart=restart)

    def metrics(self, *names: str) -> dict[int, tuple[float, ...]]:
        return {
            event["step"]: tuple(event["values"][name] for name in names)
            for event in read_events(self.events)
            if event["kind"] == "metric" and names[0] in event["values"]
        }

    def checkpoints(self, name: str = "voice") -> Path:
        return self.project.results / name / "checkpoints"


@pytest.fixture
def training(tmp_path: Path, checkpoint: Path) -> Training:
    return Training(tmp_path, checkpoint)


def test_the_published_settings_of_training_are_the_defaults() -> None:
    wanted = TrainSettings()
    assert (wanted.learning_rate, wanted.warmup, wanted.weight_decay, wanted.clip_norm) == (1e-4, 10, 0.0, 1.0)
    assert (wanted.batch_size, wanted.accumulate, wanted.max_length) == (4, 1, 4096)
    assert (wanted.max_steps, wanted.validate_every) == (10_000, 100)
    lora = parse_preset(wanted.lora, wanted.targets, wanted.dropout)
    assert lora == LoraSpec(8, 16, ("attention", "mlp", "embeddings", "output"), 0.01)
    fast = tuple(f"fast_{group}" for group in lora.targets)
    assert parse_preset("r_32_alpha_16_fast", dropout=None) == LoraSpec(32, 16, fast, 0.1)


def test_a_training_reports_validates_and_saves(training: Training) -> None:
    ledger = training.run(max_steps=7)
    assert ledger.total == 24
    assert skipped_by_reason(ledger) == {"held out for validation": 24 - ledger.done}
    losses = training.metrics("loss", "base", "semantic", "learning_rate", "gradient_norm", "epoch")
    assert list(losses) == [1, 2, 3, 4, 5, 6, 7]
    for loss, base, semantic, *_ in losses.values():
        assert loss == pytest.approx(base + semantic)
    # The rate rises from 0 over the warm-up.
    assert [rate for _, _, _, rate, _, _ in losses.values()] == pytest.approx([0, 5e-4, 1e-3, 1e-3, 1e-3, 1e-3, 1e-3])
    assert all(norm > 0 for *_, norm, _ in losses.values())
    assert list(training.metrics("validation_loss")) == [0, 3, 6, 7]
    assert losses[7][0] < losses[1][0]
    saved = list_checkpoints(training.checkpoints())
    assert [each.step for each in saved] == [3, 6, 7]
    assert all(each.train_loss and each.validation_loss for each in saved)
    content = torch.load(saved[-1].path, weights_only=True)
    assert all("lora_" in name for name in content["state_dict"])
    [group] = content["optimizer_states"][0]["param_groups"]
    assert (group["betas"], group["eps"], group["weight_decay"]) == ((0.9, 0.95), 1e-5, 0.0)
    origin, _ = read_checkpoint(saved[-1].path)
    assert (origin.step, origin.template, origin.method, origin.lora.r) == (7, "interleave", "lora", 8)


def test_a_validation_takes_a_limited_number_of_clips_always_the_same(training: Training) -> None:
    names = [f"SA/{number}" for number in range(40)]
    examples = Examples([], [Example(name, "SA", "", np.zeros((10, 1)), 1) for name in names], [], [], [])
    chosen = {each.name for each in examples.to_validate(10)}
    assert len(chosen) == 10
    fewer = Examples([], examples.validation[:30], [], [], [])
    assert {name for name in chosen if name in names[:30]} <= {each.name for each in fewer.to_validate(10)}
    assert examples.to_validate(0) == examples.to_validate(40) == examples.validation
    ledger = training.run(max_steps=1, validation_clips=1)
    assert skipped_by_reason(ledger)["held out for validation"] > 1
    assert list(training.metrics("validation_loss")) == [0, 1]


def test_a_training_without_validation_warns(training: Training) -> None:
    protos = training.project.root / "data" / "protos"
    write_manifest(protos / MANIFEST, [entry | {"split": "train"} for entry in read_manifest(protos)])
    training.run(max_steps=1)
    assert NO_VALIDATION in [event["message"] for event in read_events(training.events) if event["kind"] == "warning"]


def test_the_last_usable_clip_of_a_speaker_is_trained_on(training: Training) -> None:
    """Also if the split held out all clips that are left, or an older version held out the only one."""
    entries = read_manifest(training.project.root / "data" / "protos")
    split = {("anna", number): "validation" for number in (0, 3)} | {("bert", 1): "validation"}
    for entry in entries:
        entry["split"] = split.get((entry["speaker"], int(entry["clip"][-2:])), "train")
    write_manifest(training.project.root / "data" / "protos" / MANIFEST, entries)
    checkpoint = CheckpointFolder(training.checkpoint)
    prompts, config = checkpoint.prompts("interleave"), checkpoint.config()
    anna = {entry["clip"] for entry in entries if entry["speaker"] == "anna"}

    def load(excluded: set[str]) -> Examples:
        protos = training.project.root / "data" / "protos"
        return load_examples(protos, checkpoint.family, prompts, config, 128, 0.05, excluded)

    assert {each.name for each in load(set()).validation} == {"anna/00", "anna/03", "bert/01"}
    left = load(anna - {"anna/00", "anna/03"})
    assert len([each for each in left.train if each.speaker == "anna"]) == 1
    assert len([each for each in left.validation if each.speaker == "anna"]) == 1
    alone = load({entry["clip"] for entry in entries} - {"bert/01"})
    assert [each.name for each in alone.train] == ["bert/01"]


def test_clips_that_a_short_training_does_not_reach_are_skipped(training: Training) -> None:
    ledger = training.run(max_steps=1, clips_per_sequence=1, max_length=64)
    unreached = "not reached: the training ended within its first epoch of these clips"
    assert ledger.total == 24
    assert 0 < ledger.done < 12
    assert (
        skipped_by_reason(ledger)[unreached] == 24 - ledger.done - skipped_by_reason(ledger)["held out for validation"]
    )
    # The same holds if the order changes and the training ends in the epoch that begins then.
    ledger = training.run(max_steps=2, resume=True, clips_per_sequence=1, max_length=64, seed=7)
    assert 0 < ledger.done < 12
    ledger = training.run(max_steps=30, resume=True, clips_per_sequence=1, max_length=64, seed=7)
    assert unreached not in skipped_by_reason(ledger)


@pytest.mark.parametrize("method", ["lora", "full"])
def test_a_resumed_training_has_the_same_losses_to_the_last_bit(training: Training, method: str) -> None:
    training.run("whole", method=method, accumulate=2)
    whole = training.metrics("loss", "gradient_norm", "learning_rate", "epoch")
    validated = training.metrics("validation_loss")
    training.run("parts", method=method, accumulate=2, max_steps=3)
    training.run("parts", resume=True, method=method, accumulate=2)
    assert training.metrics("loss", "gradient_norm", "learning_rate", "epoch") == {
        step: whole[step] for step in (4, 5, 6)
    }
    assert training.metrics("validation_loss") == {6: validated[6]}
    first, second = (
        torch.load(training.checkpoints(name) / "step_000000006.ckpt", weights_only=True) for name in ("whole", "parts")
    )
    assert first["state_dict"].keys() == second["state_dict"].keys()
    assert all(torch.equal(value, second["state_dict"][name]) for name, value in first["state_dict"].items())
    assert first["fishtui"] == second["fishtui"]


def test_accumulated_batches_train_as_one_large_batch(training: Training) -> None:
    # Rows differ in their numbers of labels, so that a mean of means would be another one.
    same = {"dropout": 0.0, "max_length": 96, "max_steps": 3, "clip_norm": 1e6}
    figures = ("loss", "base", "semantic", "gradient_norm", "epoch")
    training.run("large", batch_size=3, **same)
    large = training.metrics(*figures)
    training.run("parts", batch_size=1, accumulate=3, **same)
    parts = training.metrics(*figures)
    assert parts.keys() == large.keys()
    for step, values in parts.items():
        assert values == pytest.approx(large[step], rel=1e-4)
    assert {values[-1] for values in large.values()} == {0}


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Handle SIGINT as in a terminal, even if the tests run in the background, where it is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize(
    ("where", "step"), [("on_train_batch_end", 2), ("on_train_batch_start", 1), ("on_validation_start", 3)]
)
def test_a_training_stopped_by_a_signal_resumes_as_if_uninterrupted(
    training: Training, number: int, where: str, step: int, monkeypatch: pytest.MonkeyPatch, interruptible: None
) -> None:
    """Includes a signal in the middle of an accumulation, and one during a validation."""
    training.run("whole", accumulate=2)
    whole = training.metrics("loss")
    sent = []

    def interrupt(self: callbacks.CheckpointSaver, trainer, *arguments: object) -> None:
        usual(self, trainer, *arguments)
        if trainer.global_step == step and trainer.state.fn == "fit" and not sent:
            sent.append(number)
            os.kill(os.getpid(), number)

    usual = getattr(callbacks.CheckpointSaver, where)
    with monkeypatch.context() as patch:
        patch.setattr(callbacks.CheckpointSaver, where, interrupt)
        with pytest.raises(KeyboardInterrupt if number == signal.SIGINT else Terminated):
            training.run("parts", accumulate=2)
    expected = {"on_train_batch_end": 3, "on_train_batch_start": 2, "on_validation_start": 3}[where]
    assert [saved.step for saved in list_checkpoints(training.checkpoints("parts"))] == [expected]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    training.run("parts", resume=True, accumulate=2)
    assert training.metrics("loss") == {step: loss for step, loss in whole.items() if step > expected}
    assert [saved.step for saved in list_checkpoints(training.checkpoints("parts"))] == sorted({expected, 3, 6})
    assert all(
        saved.validation_loss for saved in list_checkpoints(training.checkpoints("parts")) if saved.step in (3, 6)
    )


def test_existing_results_are_kept_unless_resume_or_restart_is_set(training: Training) -> None:
    training.run(max_steps=3)
    before = snapshot(training.project.results)
    with failing("has-checkpoints", MisuseError):
        training.run()
    assert snapshot(training.project.results) == before
    training.run(restart=True, max_steps=3)
    after = snapshot(training.project.results)
    assert {
        f"voice.1/{name.removeprefix('voice/')}": content for name, content in before.items()
    }.items() <= after.items()
    assert list(training.metrics("loss")) == [1, 2, 3]


@pytest.mark.parametrize("change", [{"lora": "r_4_alpha_8"}, {"template": "instruct"}, {"method": "full"}])
def test_another_kind_of_training_does_not_resume(training: Training, change: dict[str, str]) -> None:
    training.run(max_steps=3)
    with failing("different-training", MisuseError):
        training.run(resume=True, **change)


def test_a_resumed_training_uses_a_changed_learning_rate(training: Training) -> None:
    training.run(max_steps=3)
    training.run(resume=True, max_steps=4, learning_rate=2e-5)
    assert training.metrics("learning_rate") == {4: (2e-5,)}


def test_a_resumed_training_reaches_max_steps_with_another_accumulation(training: Training) -> None:
    training.run(max_steps=3)
    training.run(resume=True, max_steps=6, accumulate=3)
    newest = list_checkpoints(training.checkpoints())[-1]
    assert (newest.step, newest.validation_loss is not None) == (6, True)


def test_resuming_a_finished_training_changes_nothing(training: Training) -> None:
    done = training.run(max_steps=5)
    before = snapshot(training.checkpoints())
    # The model is not even loaded.
    with mock.patch("fishtui.stages.fitting.fit", side_effect=AssertionError("trained again")):
        again = training.run(resume=True, max_steps=5)
    assert snapshot(training.checkpoints()) == before
    assert (again.done, again.skipped) == (done.done, done.skipped)
    # A checkpoint whose validation was interrupted is validated.
    training.checkpoints().joinpath("step_000000005.json").unlink()
    training.run(resume=True, max_steps=5)
    assert list(training.metrics("validation_loss")) == [5]


def test_a_training_without_gain_ends_at_its_patience(training: Training) -> None:
    still = {"learning_rate": 1e-30, "validate_every": 1, "max_steps": 30}
    training.run(**still, patience=2)
    assert list(training.metrics("validation_loss")) == [0, 1, 2]
    assert any("train.patience = 2" in event.get("message", "") for event in read_events(training.events))
    before = snapshot(training.checkpoints())
    training.run(**still, patience=2, resume=True)
    assert snapshot(training.checkpoints()) == before
    training.run(**still, patience=4, resume=True)
    assert [each.step for each in list_checkpoints(training.checkpoints())] == [1, 2, 3, 4]


def test_samples_are_spoken_at_each_validation_and_change_nothing_else(training: Training) -> None:
    training.run("silent")
    before = training.metrics("loss", "gradient_norm")
    training.run("speaking", samples=1)
    assert training.metrics("loss", "gradient_norm") == before
    spoken = list_samples(training.project.results / "speaking", {})
    assert [each.note.step for each in spoken] == [3, 6]
    assert all(each.is_playable for each in spoken)
    assert training.metrics("sample_failures").keys() == {3, 6}


def test_a_problem_with_samples_does_not_end_the_training(training: Training, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> None:
        raise RuntimeError("[enforce fail] can't allocate memory")

    monkeypatch.setattr("fishtui.stages.trainingsamples.Speaker.speak_tasks", fail)
    training.run(samples=1)
    assert [each.step for each in list_checkpoints(training.checkpoints())] == [3, 6]
    warnings = [event["message"] for event in read_events(training.events) if event["kind"] == "warning"]
    assert len([each for each in warnings if "samples" in each]) == 1


def test_a_training_resumed_on_changed_data_warns_and_starts_a_new_epoch(training: Training) -> None:
    training.run(max_steps=3)
    training.run(resume=True, max_steps=4, batch_size=1)
    assert any(event["kind"] == "warning" and "changed" in event["message"] for event in read_events(training.events))
    (epoch,) = training.metrics("epoch").values()
    assert epoch[0] == int(epoch[0]) >= 1


def test_a_clip_too_long_for_a_row_is_skipped_with_a_reason(training: Training) -> None:
    data = training.project.root / "data"
    write_codes(data / "anna" / "long.npy", 500)
    (data / "anna" / "long.lab").write_text("Very long.", encoding="utf-8")
    pack(training.project, Settings(pack=PackSettings(workers=1)), Reporter(), data=data, output=data / "protos")
    ledger = training.run(max_steps=1)
    assert [entry.item for entry in ledger.skipped if "max_length" in entry.reason] == ["anna/long"]


def test_shards_of_another_tool_are_split_and_trained_on(training: Training) -> None:
    (training.project.root / "data" / "protos" / "manifest.jsonl").unlink()
    ledger = training.run(max_steps=1)
    assert ledger.total == 24
    assert len(ledger.skipped) >= 2


def test_empty_sentences_of_another_tool_are_skipped_with_a_reason(training: Training) -> None:
    protos = training.project.root / "data" / "protos"
    for path in protos.iterdir():
        path.unlink()
    writer = ShardWriter(protos, 1_000_000)
    for number in range(12):
        writer.add("anna", encode_sentence(f"Clip {number}.", np.ones((10, 5), np.int64)))
    writer.add("anna", Sentence(texts=["No codes."]).SerializeToString())
    writer.add("anna", encode_sentence("No frames.", np.ones((10, 0), np.int64)))
    writer.add("anna", encode_sentence("😀", np.ones((10, 5), np.int64)))
    writer.close()
    ledger = training.run(max_steps=1)
    reasons = Counter(entry.reason for entry in ledger.skipped)
    assert reasons["no text or no codes in its shard"] == 3
    assert ledger.total == 15


def test_shards_of_another_tool_hold_out_copies_of_a_recording_together(training: Training) -> None:
    protos = training.project.root / "data" / "protos"
    (protos / MANIFEST).unlink()
    writer = ShardWriter(protos, 1_000_000)
    for number in range(80):
        writer.add("anna", encode_sentence(f"Clip {number}.", np.full((10, 5), number % 20)))
    writer.close()
    base = CheckpointFolder(training.checkpoint)
    examples = load_examples(protos, base.family, base.prompts("interleave"), base.config(), 128, 0.1)
    held_out, trained = ({each.codes[0, 0] for each in some} for some in (examples.validation, examples.train))
    assert held_out
    assert trained
    assert held_out.isdisjoint(trained)


def test_rows_beyond_the_context_of_the_model_are_refused(training: Training) -> None:
    context = CheckpointFolder(training.checkpoint).config().max_seq_len
    for dry_run in (False, True):
        with failing("beyond-context", MisuseError):
            settings = training.settings(max_length=context + 1)
            train(training.project, settings, Reporter(), name="voice", resume=False, restart=False, dry_run=dry_run)
    training.run(max_length=context, max_steps=1)


def test_a_loss_that_is_not_finite_stops_the_training_before_a_checkpoint(
    training: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fishtui.training import module

    compute = module.losses

    def spoiled(model, *arguments: object):
        part = compute(model, *arguments)
        if model.training and spoiled.calls == 4:
            part = type(part)(**{**vars(part), "total": part.total * math.nan, "base": part.base * math.nan})
        spoiled.calls += model.training
        return part

    spoiled.calls = 0
    monkeypatch.setattr(module, "losses", spoiled)
    with failing("not-finite"):
        training.run()
    assert list(training.metrics("loss")) == [1, 2, 3, 4]
    assert [saved.step for saved in list_checkpoints(training.checkpoints())] == [3]


def test_running_out_of_memory_is_reported(training: Training, monkeypatch: pytest.MonkeyPatch) -> None:
    from fishtui.training import module

    def too_much(*arguments: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(module, "losses", too_much)
    with failing("out-of-memory") as caught:
        training.run()
    assert "batch_size" in caught.value.remedy


def test_a_full_disk_damages_no_existing_checkpoint(training: Training) -> None:
    training.run(max_steps=3)
    before = snapshot(training.checkpoints())
    with file_size_limit(200_000), failing("cannot-write") as caught:
        training.run(resume=True)
    assert "ulimit -f" in caught.value.remedy
    after = snapshot(training.checkpoints())
    assert before.items() <= after.items()
    assert not [name for name in after if name.endswith(".partial")]
    training.run(resume=True)
    assert [saved.step for saved in list_checkpoints(training.checkpoints())] == [3, 6]


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../x"])
def test_a_name_with_a_path_is_rejected(training: Training, name: str) -> None:
    with failing("invalid-name", MisuseError):
        training.run(name)


@pytest.mark.parametrize(
    "settings", [{"lora": "r_4_alpha_8_fast"}, {"targets": "attention,fast_mlp"}, {"method": "full"}]
)
def test_a_trained_adapter_merges_with_a_proof(training: Training, settings: dict[str, str]) -> None:
    training.run(learning_rate=1e-2, **settings)
    output = training.project.checkpoints / "merged"
    adapter = list_checkpoints(training.checkpoints())[-1].path
    preset = parse_preset("r_8_alpha_16")
    merge(
        training.project,
        Reporter(),
        base=training.checkpoint,
        adapter=adapter,
        output=output,
        preset=preset,
        template=None,
    )
    record = json.loads((output / "merge.json").read_text(encoding="utf-8"))
    proof = record["proof"]
    assert record["template"] == "interleave"
    assert proof["largest_change"] > 0
    assert (output / "codec.pth").samefile(training.checkpoint / "codec.pth")
    changed = load_model(output).state_dict()
    base = load_model(training.checkpoint).state_dict()
    names = {name for name in base if not torch.equal(base[name], changed[name])}
    if settings.get("lora"):
        assert names
        assert all(name.startswith("fast_") for name in names)
    if settings.get("targets"):
        assert all("attention" in name or name.startswith("fast_layers") for name in names)


def test_an_exported_adapter_reads_the_same(training: Training, tmp_path: Path) -> None:
    training.run(template="instruct")
    adapter = list_checkpoints(training.checkpoints())[-1].path
    preset = parse_preset("r_2_alpha_2")
    export(training.project, Reporter(), adapter=adapter, output=tmp_path / "peft", preset=preset)
    ours, exported = read_adapter(adapter, preset), read_adapter(tmp_path / "peft", preset)
    assert (exported.template, exported.step) == ("instruct", 6)
    assert msgspec.structs.replace(ours.spec, targets=(), dropout=0.0) == msgspec.structs.replace(
        exported.spec, dropout=0.0
    )
    for module, change in ours.low_rank.items():
        other = exported.low_rank[module]
        assert (other.scaling, other.embedding) == (change.scaling, change.embedding)
        assert torch.equal(other.a, change.a)
        assert torch.equal(other.b, change.b)
