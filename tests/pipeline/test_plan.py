"""The plan: steps run if content, settings or code changed; a new time of change alone is not a reason."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path
from unittest import mock

import pytest

from fishtui.catalog import actions
from fishtui.cli.main import fishtui as commands
from fishtui.errors import MisuseError
from fishtui.pipeline import evaluation, steps
from fishtui.pipeline.plan import UP_TO_DATE, Planned, plan
from fishtui.pipeline.stamps import read_stamp, stamp_path
from fishtui.pipeline.steps import pipeline_steps
from fishtui.results.checkpoints import checkpoint_path, list_checkpoints
from fishtui.runs.gpus import list_gpus
from fishtui.settings import known
from fishtui.stage import find_stage, pipeline_names
from tests.builders import snapshot
from tests.evaluation.builders import evaluated
from tests.expecting import failing
from tests.pipeline.conftest import Pipeline
from tests.test_architecture import import_graph

EVERYTHING_AFTER = {name: f"{before} runs before it" for before, name in pairwise(pipeline_names())}


def after(step: str, reason: str) -> dict[str, str]:
    """Return the reasons of a plan in which `step` is the first that runs, for `reason`."""
    later = pipeline_names()[pipeline_names().index(step) + 1 :]
    return {step: reason, **{name: EVERYTHING_AFTER[name] for name in later}}


def arguments(pipeline: Pipeline, step: str) -> list[str]:
    return next(each.command for each in pipeline.plan() if each.step == step)


def forge(path: Path, content: bytes) -> None:
    """Change a file's content but not its size and time of change."""
    status = path.stat()
    assert len(content) == status.st_size
    with path.open("r+b") as file:
        file.write(content)
    # The file system's clock may be slower than this test.
    while path.stat().st_ctime_ns == status.st_ctime_ns:
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_a_new_project_runs_everything(fresh: Pipeline) -> None:
    assert fresh.reasons() == after("normalize", "never ran")


def test_after_a_run_everything_is_up_to_date(done: Pipeline) -> None:
    assert {each.reason for each in done.plan()} == {UP_TO_DATE}


def test_an_evaluation_that_recommends_another_checkpoint_repeats_the_merge_alone(done: Pipeline) -> None:
    (saved,) = list_checkpoints(done.results / "checkpoints")
    earlier = checkpoint_path(done.results / "checkpoints", 5)
    earlier.write_bytes(b"earlier weights")
    assert done.ran() == ["evaluate"]
    evaluated(done.results, {"base": 0.3, 5: 0.3, saved.step: 0.6})
    assert {each.reason for each in done.plan()} == {UP_TO_DATE}
    evaluated(done.results, {"base": 0.3, 5: 0.6, saved.step: 0.6})
    assert [each.step for each in done.plan() if each.runs] == ["merge", "synthesize"]


@pytest.mark.parametrize("changed", ["checkpoint", "own lines", "seed", "judges", "recording", "spoken again"])
def test_an_evaluation_runs_again_after_a_change_of_what_it_compares(done: Pipeline, changed: str) -> None:
    if changed == "checkpoint":
        checkpoint_path(done.results / "checkpoints", 5).write_bytes(b"earlier weights")
    elif changed == "own lines":
        (done.project.root / "lines.txt").write_text("One more line.\n")
    elif changed == "seed":
        done.change("synthesize", seed=7)
    elif changed == "judges":
        done.change("evaluate", judges=("failures",))
    elif changed == "recording":
        next((done.results / "evaluation").rglob("*.wav")).unlink()
    else:
        evaluated(done.results, {"base": 0.5}, recipe="another recipe", sounds=True)
    reason = {
        "checkpoint": "checkpoints changed",
        "own lines": "lines.txt changed",
        "seed": "synthesize.seed changed from 42 to 7",
        "judges": "evaluate.judges changed from failures intelligibility similarity voice quality to failures;"
        " judges changed",
        "recording": "1 of its 20 spoken lines is gone",
        "spoken again": "10 of its 20 spoken lines are gone",
    }[changed]
    assert done.reasons() == after("evaluate", reason)


def test_a_judge_that_is_installed_or_removed_is_a_reason_to_evaluate_again(done: Pipeline) -> None:
    with mock.patch.object(evaluation, "available", return_value=[]):
        assert done.reasons()["evaluate"] == "judges changed"


def test_more_recordings_by_hand_do_not_make_the_evaluation_due(done: Pipeline) -> None:
    evaluated(done.results, {"base": 0.5}, with_reference=False)
    assert done.reasons() == {}


def effect(pipeline: Pipeline, step: str) -> str:
    return next(each.effect for each in pipeline.plan() if each.step == step)


def test_the_plan_bounds_what_the_evaluation_of_a_new_training_speaks(fresh: Pipeline) -> None:
    assert effect(fresh, "evaluate") == "speaks each line by the base model and up to 6 checkpoints"


def test_the_plan_names_what_an_evaluation_speaks(done: Pipeline) -> None:
    assert effect(done, "evaluate") == ""
    done.change("synthesize", seed=7)
    assert effect(done, "evaluate") == "speaks 8 lines by the base model and 1 checkpoint (16 recordings)"
    done.change("train", max_steps=10_100, validate_every=10_000)
    assert effect(done, "evaluate") == "speaks 8 lines by the base model and up to 2 checkpoints (up to 24 recordings)"
    with mock.patch.object(evaluation, "LARGE", 1):
        assert "hours" in effect(done, "evaluate") or list_gpus()
        done.change("evaluate", device="cuda")
        assert "hours" not in effect(done, "evaluate")


def test_an_evaluation_is_left_out_by_its_setting_or_without_anything_to_speak(done: Pipeline) -> None:
    def planned() -> Planned:
        return next(each for each in done.plan() if each.step == "evaluate")

    done.change("evaluate", language="xx", lines=0)
    assert (planned().state, planned().reason[:19]) == ("excluded", "no lines to speak: ")
    (done.project.root / "lines.txt").write_text("A line of my own.\n")
    assert planned().state == "due"
    (done.project.root / "lines.txt").write_bytes(b"\xff\xfe\xff")
    assert planned().state == "due"
    done.change("run", evaluate=False)
    assert (planned().state, planned().reason) == ("excluded", "run.evaluate is false")


def test_without_a_source_there_is_nothing_to_normalize(done: Pipeline) -> None:
    done.change("run", source="")
    assert done.plan()[0].reason == "run.source is not set"
    assert done.reasons() == {}


def test_touched_files_are_not_a_reason_to_run(done: Pipeline) -> None:
    for path in done.project.root.rglob("*"):
        if path.is_file() and ".fishtui" not in path.parts:
            path.touch()
    assert done.reasons() == {}


def test_a_changed_transcript_is_packed_again(done: Pipeline) -> None:
    (done.data / "anna" / "00.lab").write_text("This is something else.")
    assert done.reasons() == after("pack", "transcripts changed")


def test_steps_run_from_the_first_one_that_reads_a_new_recording(done: Pipeline) -> None:
    (done.data / "anna" / "new.wav").write_bytes((done.data / "anna" / "00.wav").read_bytes())
    (done.data / "anna" / "new.lab").write_text("This is new.")
    assert done.reasons() == after("extract", "recordings changed")
    (done.project.root / "raw" / "anna" / "00.lab").write_text("This is new.")
    assert done.reasons() == after("normalize", "recordings to normalize changed")


def test_a_rejected_clip_is_a_reason_to_run_the_steps_that_used_it(done: Pipeline) -> None:
    with done.scan() as catalog:
        actions.review(catalog, [1], "rejected")
    assert done.reasons() == after("extract", "excluded clips changed")


def test_lost_codes_are_counted(done: Pipeline) -> None:
    for number in range(3):
        (done.data / "anna" / f"{number:02d}.npy").unlink()
    assert done.reasons() == after("extract", "3 of its 5 clips' codes are gone")


@pytest.mark.parametrize(
    ("path", "step", "reason"),
    [
        ("data/protos/00000000.protos", "pack", "1 of its 2 shards is gone"),
        ("results/voice/checkpoints/step_000010000.ckpt", "train", "its checkpoint is gone"),
        ("checkpoints/base-voice-lora/model.pth", "merge", "1 of its 6 files of the merged model is gone"),
        ("results/voice/speech.wav", "synthesize", "its speech is gone"),
    ],
)
def test_missing_outputs_are_made_again(done: Pipeline, path: str, step: str, reason: str) -> None:
    (done.project.root / path).unlink()
    assert done.reasons() == after(step, reason)


def test_changed_outputs_are_made_again(done: Pipeline) -> None:
    (done.results / "speech.wav").write_text("noise")
    assert done.reasons() == {"synthesize": "its speech changed"}


def test_edits_of_the_dataset_after_normalizing_do_not_normalize_it_again(done: Pipeline) -> None:
    for path in done.data.glob("anna/00.*"):
        path.unlink()
    (done.data / "anna" / "01.lab").write_text("Fixed by hand.")
    assert "normalize" not in done.reasons()


def test_changed_content_with_a_forged_time_is_detected(done: Pipeline) -> None:
    path = done.base / "model.pth"
    with mock.patch("fishtui.filehashes.AT_REST_NS", 0):
        assert done.reasons() == {}
        forge(path, path.read_bytes()[::-1])
        assert done.reasons() == after("train", "pretrained model changed")


def test_unchanged_files_are_not_read_again(done: Pipeline) -> None:
    with mock.patch("fishtui.filehashes.AT_REST_NS", 0):
        done.plan()
        with mock.patch("fishtui.filehashes.hash_file", side_effect=AssertionError("read again")):
            assert done.reasons() == {}


def test_a_changed_setting_is_named_with_both_values(done: Pipeline) -> None:
    done.change("train", max_steps=20_000, targets=("mlp",))
    assert done.reasons() == after(
        "train", "train.targets changed from nothing to mlp; train.max_steps changed from 10000 to 20000"
    )


def test_settings_of_speed_and_hardware_are_not_a_reason_to_run(done: Pipeline) -> None:
    done.change("extract", workers=7, device="cpu", batch_size=2)
    done.change("train", device="cpu", gradient_checkpointing="on", batch_size=2, devices=2, strategy="fsdp")
    done.change("pack", workers=3)
    done.change("synthesize", device="cpu", compile=False)
    assert done.reasons() == {}


def test_changed_code_is_a_reason_to_run(done: Pipeline) -> None:
    real = steps.code_hash

    def edited(*names: str) -> str:
        return "edited" if "stages/merge.py" in names else real(*names)

    with mock.patch.object(steps, "code_hash", edited):
        assert done.reasons() == after("merge", "its code in fishtui changed")


def test_a_damaged_stamp_counts_as_missing(done: Pipeline) -> None:
    stamp_path(done.project, "pack").write_text('{"version": 1, "ev')
    assert done.reasons() == after("pack", "never ran")


def test_a_damaged_hash_cache_is_rebuilt(done: Pipeline) -> None:
    for content in ("[", "7", "[1]"):
        (done.project.state / "cache" / "hashes.json").write_text(content)
        assert done.reasons() == {}


def test_steps_outside_the_requested_range_do_not_run(done: Pipeline) -> None:
    (done.data / "anna" / "00.lab").write_text("This is something else.")
    planned = done.plan(first="train", until="merge")
    assert [each.reason for each in planned] == [*["not requested"] * 3, *[UP_TO_DATE] * 3, "not requested"]
    assert list(done.reasons(until="pack")) == ["pack"]


@pytest.mark.parametrize(("first", "until"), [("merge", "pack"), ("bake", None), (None, "bake")])
def test_unknown_and_reversed_step_ranges_are_refused(fresh: Pipeline, first: str | None, until: str | None) -> None:
    with pytest.raises(MisuseError):
        fresh.plan(first=first, until=until)


def test_an_empty_project_has_a_plan(tmp_path: Path) -> None:
    pipeline = Pipeline(tmp_path)
    pipeline.change("run", source="")
    assert pipeline.reasons() == after("extract", "never ran")


@pytest.mark.parametrize("state", ["fresh", "done"])
def test_a_dry_run_writes_nothing(state: str, request: pytest.FixtureRequest) -> None:
    pipeline: Pipeline = request.getfixturevalue(state)
    before = snapshot(pipeline.project.root)
    planned = pipeline.plan(dry_run=True)
    assert [each.runs for each in planned] == [state == "fresh"] * len(pipeline_names())
    assert snapshot(pipeline.project.root) == before


def test_a_dry_run_on_a_damaged_catalog_reports_a_remedy(done: Pipeline) -> None:
    done.project.catalog.write_bytes(b"not a database" * 1000)
    with failing("damaged-catalog") as raised:
        done.plan(dry_run=True)
    assert "Move it away" in raised.value.remedy


def test_the_command_line_accepts_the_planned_commands(done: Pipeline, tmp_path: Path) -> None:
    for each in done.plan():
        command = commands.get_command(None, each.command[0])
        assert command.make_context(each.step, each.command[1:]).params
        # Absolute, so that they work from any folder.
        assert all(Path(word).is_absolute() for word in each.command if "/" in word)


def test_the_default_reference_is_a_held_out_clip(done: Pipeline) -> None:
    words = arguments(done, "synthesize")
    reference = Path(words[words.index("--reference") + 1])
    assert f'"clip": "anna/{reference.stem}"' in next(
        line for line in (done.data / "protos" / "manifest.jsonl").read_text().splitlines() if "validation" in line
    )
    assert "--reference-text" not in words
    other = next(f"raw/anna/{name}.wav" for name in ("03", "04") if name != reference.stem)
    done.change("run", reference=other)
    assert done.reasons() == {"synthesize": f"run.reference changed from nothing to {other}; reference changed"}
    assert str(done.project.root / other) in arguments(done, "synthesize")


def test_the_transcript_of_the_reference_has_the_extension_of_the_setting(done: Pipeline) -> None:
    for path in done.data.glob("anna/*.lab"):
        path.with_suffix(".txt").write_text(f"Right: {path.name}", encoding="utf-8")
    done.change("pack", text_extension=".txt")
    recording, transcript = done.state().reference
    assert transcript == recording.with_suffix(".txt")
    done.change("run", reference="raw/anna/03.wav")
    assert done.state().reference == (done.project.root / "raw/anna/03.wav", done.project.root / "raw/anna/03.txt")


def test_without_held_out_clips_no_reference_is_used(done: Pipeline) -> None:
    manifest = done.data / "protos" / "manifest.jsonl"
    manifest.write_text(manifest.read_text().replace('"validation"', '"train"'))
    assert "--reference" not in arguments(done, "synthesize")


def test_a_manifest_path_outside_the_dataset_is_not_used_as_reference(done: Pipeline) -> None:
    manifest = done.data / "protos" / "manifest.jsonl"
    manifest.write_text(manifest.read_text().replace('"anna/', '"../raw/anna/'))
    assert "--reference" not in arguments(done, "synthesize")


def test_the_plan_names_the_effect_of_the_first_training(fresh: Pipeline) -> None:
    assert effect(fresh, "train") == "starts"


def test_the_plan_names_the_step_of_a_resumed_training(done: Pipeline) -> None:
    assert effect(done, "train") == ""
    saved = list_checkpoints(done.project.results / done.settings.run.name / "checkpoints")
    done.change("train", max_steps=done.settings.train.max_steps + 5)
    most = done.settings.train.max_steps
    assert effect(done, "train") == f"resumes at step {saved[-1].step:,} of {most:,}"
    done.change("train", learning_rate=0.123)
    assert effect(done, "train").endswith(f"{done.settings.run.name} becomes {done.settings.run.name}.1")


def test_the_first_training_does_not_restart(fresh: Pipeline) -> None:
    assert arguments(fresh, "train") == ["train", "voice", "--resume"]


def test_a_training_started_by_hand_is_resumed(done: Pipeline) -> None:
    stamp_path(done.project, "train").unlink()
    assert arguments(done, "train") == ["train", "voice", "--resume"]


@pytest.mark.parametrize("change", [{"max_steps": 20_000}, {"validate_every": 5}, {"keep": 1}])
def test_a_training_with_more_steps_or_other_validation_is_resumed(done: Pipeline, change: dict) -> None:
    done.change("train", **change)
    assert arguments(done, "train") == ["train", "voice", "--resume"]


@pytest.mark.parametrize("change", [{"seed": 1}, {"lora": "r_4_alpha_8"}, {"batch_size": 8}, {"max_length": 99}])
def test_training_restarts_with_changed_settings(done: Pipeline, change: dict) -> None:
    done.change("train", **change)
    assert arguments(done, "train") == ["train", "voice", "--restart"]


def test_training_restarts_with_another_base(done: Pipeline) -> None:
    (done.base / "model.pth").write_text("another")
    assert arguments(done, "train")[-1] == "--restart"


def test_another_name_starts_another_training(done: Pipeline) -> None:
    done.change("run", name="other")
    assert arguments(done, "train") == ["train", "other", "--resume"]
    assert done.reasons()["train"] == "run.name changed from voice to other"


def test_the_settings_and_modules_that_steps_name_exist(done: Pipeline) -> None:
    names = known().keys() | {steps.GLOBAL_BATCH}
    package = Path(steps.__file__).parent.parent
    for step in pipeline_steps().values():
        assert set(step.settings) <= names
        assert all((package / name).exists() for name in step.code)
        stamp = read_stamp(done.project, step.name)
        assert stamp is not None
        empty = {name for name, made in stamp.evidence.inputs.items() if not made.count}
        assert empty <= {"excluded clips", "lines.txt"}


# Modules that a stage loads and that do not change its result: reports, files, records, and the catalog, whose answers
# are inputs of the steps.
NEUTRAL = (
    *(
        "__init__.py",
        "errors.py",
        "files.py",
        "filehashes.py",
        "reading.py",
        "memory.py",
        "project.py",
        "sanitize.py",
        "signals.py",
        "wording.py",
        "workers.py",
        "settings",
    ),
    *("bases.py", "codehash.py", "filehashes.py", "stage.py", "distributed.py", "runs", "results", "catalog", "checks"),
    "stages/refresh.py",
)
# The same for single stages: names of files, speakers that only packing writes down, adapters that the pipeline merges.
NEUTRAL_FOR = {
    "normalize": ("speakers.py",),
    "extract": ("speakers.py", "checkpoint.py"),
    "pack": ("codec/config.py", "lm", "weights.py", "tensorfiles"),
    # Samples only decide when `train.patience` ends a training.
    "train": ("codec/config.py", "dataset.py", "stages/trainingsamples.py"),
    "merge": ("codec/config.py",),
    "evaluate": ("speakers.py",),
    "synthesize": ("dataset.py", "training"),
}


@pytest.mark.parametrize("name", pipeline_names())
def test_a_step_tracks_all_code_that_its_result_depends_on(name: str) -> None:
    ignored = (*NEUTRAL, *NEUTRAL_FOR[name])
    start = find_stage(name).function.partition(":")[0]
    graph = import_graph()
    seen, waiting = set[str](), [start]
    while waiting:
        module = waiting.pop()
        path = module.removeprefix("fishtui.").replace(".", "/")
        if module not in seen and module != "fishtui" and not _is_in(path, ignored):
            seen.add(module)
            waiting += graph[module]
    code = pipeline_steps()[name].code
    assert [module for module in seen if not _is_in(module.removeprefix("fishtui.").replace(".", "/"), code)] == []


def _is_in(path: str, places: tuple[str, ...]) -> bool:
    return any(path == place.removesuffix(".py") or path.startswith(f"{place}/") for place in places)


def test_every_setting_of_a_stage_is_tracked_or_concerns_speed_and_hardware() -> None:
    untracked = {"batch_size", "batch_seconds", "workers", "device", "devices", "nodes", "strategy", "compile"}
    untracked |= {"gradient_checkpointing", "samples", "logger", "gate"}
    # Its effect is tracked: the excluded clips are an input.
    untracked.add("drafts")
    for step in pipeline_steps().values():
        of_stage = {name for name in known() if name.startswith(f"{step.name}.")}
        assert {name.partition(".")[2] for name in of_stage - set(step.settings)} <= untracked


def test_names_that_are_not_utf8_do_not_break_the_plan(done: Pipeline) -> None:
    name = os.fsdecode(b"caf\xe9")
    for ending in (".lab", ".npy"):
        (done.data / "anna" / f"{name}{ending}").write_bytes((done.data / "anna" / f"00{ending}").read_bytes())
    (done.project.root / "raw" / "anna" / f"{name}.wav").write_bytes(b"")
    assert plan(done.project, done.settings)[0].reason == "recordings to normalize changed"
    done.change("run", source="")
    assert "transcripts changed" in done.reasons(first="pack")["pack"]
