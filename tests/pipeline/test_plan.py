"""What is up to date, and why not: by content, settings and code, never by time alone."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path
from unittest import mock

import pytest

from fishtui.catalog import actions
from fishtui.cli.main import fishtui as commands
from fishtui.errors import MisuseError
from fishtui.pipeline import steps
from fishtui.pipeline.plan import UP_TO_DATE, plan
from fishtui.pipeline.stamps import read_stamp, stamp_path
from fishtui.pipeline.steps import pipeline_steps
from fishtui.settings import known
from fishtui.stage import pipeline_names
from tests.builders import snapshot
from tests.expecting import failing
from tests.pipeline.conftest import Pipeline

EVERYTHING_AFTER = {name: f"{before} runs before it" for before, name in pairwise(pipeline_names())}


def after(step: str, reason: str) -> dict[str, str]:
    """Reasons where `step` is the first that runs."""
    later = pipeline_names()[pipeline_names().index(step) + 1 :]
    return {step: reason, **{name: EVERYTHING_AFTER[name] for name in later}}


def arguments(pipeline: Pipeline, step: str) -> list[str]:
    return next(each.command for each in pipeline.plan() if each.step == step)


def forge(path: Path, content: bytes) -> None:
    """Change what a file holds, and neither its size nor its time of change."""
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


def test_without_a_source_there_is_nothing_to_normalize(done: Pipeline) -> None:
    done.change("run", source="")
    assert done.plan()[0].reason == "run.source is not set"
    assert done.reasons() == {}


def test_touching_files_changes_nothing(done: Pipeline) -> None:
    for path in done.project.root.rglob("*"):
        if path.is_file() and ".fishtui" not in path.parts:
            path.touch()
    assert done.reasons() == {}


def test_a_changed_transcript_is_packed_anew(done: Pipeline) -> None:
    (done.data / "anna" / "00.lab").write_text("This is something else.")
    assert done.reasons() == after("pack", "transcripts changed")


def test_a_new_recording_begins_where_it_was_put(done: Pipeline) -> None:
    (done.data / "anna" / "new.wav").write_bytes((done.data / "anna" / "00.wav").read_bytes())
    (done.data / "anna" / "new.lab").write_text("This is new.")
    assert done.reasons() == after("extract", "recordings changed")
    (done.project.root / "raw" / "anna" / "00.lab").write_text("This is new.")
    assert done.reasons() == after("normalize", "recordings to normalize changed")


def test_a_rejected_clip_leaves_those_steps_that_it_took_part_in(done: Pipeline) -> None:
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
def test_outputs_that_are_gone_are_made_again(done: Pipeline, path: str, step: str, reason: str) -> None:
    (done.project.root / path).unlink()
    assert done.reasons() == after(step, reason)


def test_outputs_that_were_tampered_with_are_made_again(done: Pipeline) -> None:
    (done.results / "speech.wav").write_text("noise")
    assert done.reasons() == {"synthesize": "its speech changed"}


def test_the_dataset_is_the_users_once_it_is_normalized(done: Pipeline) -> None:
    for path in done.data.glob("anna/00.*"):
        path.unlink()
    (done.data / "anna" / "01.lab").write_text("Mended by hand.")
    assert "normalize" not in done.reasons()


def test_changed_content_is_found_under_a_forged_time(done: Pipeline) -> None:
    path = done.base / "model.pth"
    with mock.patch("fishtui.pipeline.hashes.AT_REST_NS", 0):
        assert done.reasons() == {}
        forge(path, path.read_bytes()[::-1])
        assert done.reasons() == after("train", "pretrained model changed")


def test_large_files_are_not_read_again(done: Pipeline) -> None:
    with mock.patch("fishtui.pipeline.hashes.AT_REST_NS", 0):
        done.plan()
        with mock.patch("fishtui.pipeline.hashes.hash_file", side_effect=AssertionError("read again")):
            assert done.reasons() == {}


def test_a_changed_setting_is_named_with_both_values(done: Pipeline) -> None:
    done.change("train", max_steps=20_000, targets=("mlp",))
    assert done.reasons() == after(
        "train", "train.targets changed from nothing to mlp; train.max_steps changed from 10000 to 20000"
    )


def test_settings_of_speed_and_place_change_nothing(done: Pipeline) -> None:
    done.change("extract", workers=7, device="cpu", batch_size=2)
    done.change("train", device="cpu", gradient_checkpointing="on", batch_size=2, devices=2, strategy="fsdp")
    done.change("pack", workers=3)
    done.change("synthesize", device="cpu", compile=True)
    assert done.reasons() == {}


def test_changed_code_is_a_reason(done: Pipeline) -> None:
    real = steps.code_hash

    def edited(*names: str) -> str:
        return "edited" if "stages/merge.py" in names else real(*names)

    with mock.patch.object(steps, "code_hash", edited):
        assert done.reasons() == after("merge", "its code in fishtui changed")


def test_a_damaged_stamp_counts_as_none(done: Pipeline) -> None:
    stamp_path(done.project, "pack").write_text('{"version": 1, "ev')
    assert done.reasons() == after("pack", "never ran")


def test_damaged_notes_of_hashes_are_found_again(done: Pipeline) -> None:
    for content in ("[", "7", "[1]"):
        (done.project.state / "cache" / "hashes.json").write_text(content)
        assert done.reasons() == {}


def test_what_was_not_asked_for_is_left_out(done: Pipeline) -> None:
    (done.data / "anna" / "00.lab").write_text("This is something else.")
    planned = done.plan(first="train", until="merge")
    assert [each.reason for each in planned] == [*["not requested"] * 3, *[UP_TO_DATE] * 2, "not requested"]
    assert list(done.reasons(until="pack")) == ["pack"]


@pytest.mark.parametrize(("first", "until"), [("merge", "pack"), ("bake", None), (None, "bake")])
def test_steps_that_make_no_sense_are_refused(fresh: Pipeline, first: str | None, until: str | None) -> None:
    with pytest.raises(MisuseError):
        fresh.plan(first=first, until=until)


def test_an_empty_project_is_planned_for_and_its_stages_will_say_what_lacks(tmp_path: Path) -> None:
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
    done.project.catalog.write_bytes(b"no database" * 1000)
    with failing("damaged-catalog") as raised:
        done.plan(dry_run=True)
    assert "Move it away" in raised.value.remedy


def test_the_commands_are_as_the_command_line_takes_them(done: Pipeline, tmp_path: Path) -> None:
    for each in done.plan():
        command = commands.get_command(None, each.command[0])
        assert command.make_context(each.step, each.command[1:]).params
        # Wherever they are started from.
        assert all(Path(word).is_absolute() for word in each.command if "/" in word)


def test_the_reference_is_a_clip_that_was_held_out_with_its_transcript(done: Pipeline) -> None:
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


def test_a_transcript_of_another_ending_is_given_in_words(done: Pipeline) -> None:
    for path in done.data.glob("anna/*.lab"):
        path.rename(path.with_suffix(".txt"))
    done.change("pack", text_extension=".txt")
    words = arguments(done, "synthesize")
    reference = Path(words[words.index("--reference") + 1])
    assert words[words.index("--reference-text") + 1] == reference.with_suffix(".txt").read_text()


def test_without_held_out_clips_there_is_no_reference(done: Pipeline) -> None:
    manifest = done.data / "protos" / "manifest.jsonl"
    manifest.write_text(manifest.read_text().replace('"validation"', '"train"'))
    assert "--reference" not in arguments(done, "synthesize")


def test_a_manifest_leads_to_no_file_outside_the_dataset(done: Pipeline) -> None:
    manifest = done.data / "protos" / "manifest.jsonl"
    manifest.write_text(manifest.read_text().replace('"anna/', '"../raw/anna/'))
    assert "--reference" not in arguments(done, "synthesize")


def test_training_begins_plainly_where_there_is_nothing(fresh: Pipeline) -> None:
    assert arguments(fresh, "train") == ["train", "voice", "--resume"]


def test_training_goes_on_with_what_was_made_by_hand(done: Pipeline) -> None:
    stamp_path(done.project, "train").unlink()
    assert arguments(done, "train") == ["train", "voice", "--resume"]


@pytest.mark.parametrize("change", [{"max_steps": 20_000}, {"validate_every": 5}, {"keep": 1}])
def test_training_goes_on_if_it_is_only_to_last_longer(done: Pipeline, change: dict) -> None:
    done.change("train", **change)
    assert arguments(done, "train") == ["train", "voice", "--resume"]


@pytest.mark.parametrize("change", [{"seed": 1}, {"lora": "r_4_alpha_8"}, {"batch_size": 8}, {"max_length": 99}])
def test_training_begins_anew_with_other_settings(done: Pipeline, change: dict) -> None:
    done.change("train", **change)
    assert arguments(done, "train") == ["train", "voice", "--restart"]


def test_training_begins_anew_with_another_base_or_data(done: Pipeline) -> None:
    (done.base / "model.pth").write_text("another")
    assert arguments(done, "train")[-1] == "--restart"


def test_another_name_is_another_training(done: Pipeline) -> None:
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
        assert all(made.count or name.startswith("excluded clips") for name, made in stamp.evidence.inputs.items())


def test_every_setting_of_a_stage_either_counts_or_is_of_speed_and_place() -> None:
    elsewhere = {"batch_size", "batch_seconds", "workers", "device", "devices", "nodes", "strategy", "compile"}
    elsewhere |= {"gradient_checkpointing"}
    for step in pipeline_steps().values():
        of_stage = {name for name in known() if name.startswith(f"{step.name}.")}
        assert {name.partition(".")[2] for name in of_stage - set(step.settings)} <= elsewhere


def test_plan_is_quiet_about_names_that_are_no_text(done: Pipeline) -> None:
    name = os.fsdecode(b"caf\xe9")
    for ending in (".lab", ".npy"):
        (done.data / "anna" / f"{name}{ending}").write_bytes((done.data / "anna" / f"00{ending}").read_bytes())
    (done.project.root / "raw" / "anna" / f"{name}.wav").write_bytes(b"")
    assert plan(done.project, done.settings)[0].reason == "recordings to normalize changed"
    done.change("run", source="")
    assert "transcripts changed" in done.reasons(first="pack")["pack"]
