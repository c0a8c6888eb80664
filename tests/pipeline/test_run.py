"""The pipeline runs outdated steps in order, and continues after a failure or a kill."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fishtui.errors import FishtuiError
from fishtui.pipeline.plan import UP_TO_DATE, Planned
from fishtui.pipeline.run import known_to_pipeline
from fishtui.runs.ledger import Entry, Ledger
from fishtui.runs.reporter import Reporter
from fishtui.stage import pipeline_names
from tests.pipeline.conftest import Pipeline


def test_all_steps_run_in_order_and_a_second_run_starts_none(fresh: Pipeline) -> None:
    ledger = fresh.run()
    assert [each.step for each in fresh.started] == list(pipeline_names())
    assert (ledger.unit, ledger.done, ledger.total) == ("stages", 7, 7)
    assert fresh.started[3].command == ["train", "voice", "--resume"]
    ledger = fresh.run()
    assert ledger.skipped == [Entry(name, UP_TO_DATE) for name in pipeline_names()]


def test_a_stage_started_by_hand_counts_if_it_has_the_arguments_of_the_pipeline(fresh: Pipeline) -> None:
    root = fresh.project.root
    merged = fresh.base.with_name("base-voice-lora")
    checkpoint = fresh.results / "checkpoints" / "step_000010000.ckpt"
    by_hand: dict[str, dict[str, object]] = {
        "normalize": {"source": root / "raw", "target": fresh.data, "clean": False},
        "extract": {"data": fresh.data, "checkpoint": fresh.base / "codec.pth"},
        "pack": {"data": fresh.data, "output": fresh.data / "protos"},
        "train": {"name": "voice", "resume": False, "restart": False},
        "evaluate": {"name": "voice", "steps": [], "no_base": False, "no_reference": True, "report": root / "x.html"},
        "merge": {"base": fresh.base, "adapter": checkpoint, "output": merged, "template": None},
    }
    other: dict[str, dict[str, object]] = {
        "normalize": {"source": root / "other"},
        "extract": {"data": fresh.data / "anna"},
        "pack": {"output": root / "elsewhere"},
        "train": {"name": "trial"},
        "evaluate": {"steps": [10_000]},
        "merge": {"adapter": fresh.results / "checkpoints" / "step_000000100.ckpt"},
    }

    def run_by_hand(name: str, arguments: dict[str, object]) -> None:
        def work(reporter: Reporter) -> Ledger:
            fresh.start(Planned(name, "due", "", [name, *map(str, planned[name][1:])]))
            return Ledger()

        known_to_pipeline(fresh.project, fresh.settings, name, arguments, work)(Reporter())

    for name, arguments in by_hand.items():
        planned = {each.step: each.command for each in fresh.plan()}
        assert name in fresh.reasons()
        run_by_hand(name, {**arguments, **other[name]})
        assert name in fresh.reasons()
        run_by_hand(name, arguments)
        assert name not in fresh.reasons()
    assert list(fresh.reasons()) == ["synthesize"]


def test_a_training_resumed_by_hand_counts_only_if_the_pipeline_would_resume_it(done: Pipeline) -> None:
    def train(**given: bool) -> None:
        def work(reporter: Reporter) -> Ledger:
            done.train(["voice", *(["--restart"] if given["restart"] else [])])
            return Ledger()

        known_to_pipeline(done.project, done.settings, "train", {"name": "voice", **given}, work)(Reporter())

    done.change("train", max_steps=20_000)
    train(resume=True, restart=False)
    assert "train" not in done.reasons()
    done.change("train", learning_rate=0.5)
    train(resume=True, restart=False)
    assert "learning_rate" in done.reasons()["train"]
    train(resume=False, restart=True)
    assert "train" not in done.reasons()


def test_a_stage_started_by_hand_that_fails_counts_as_not_finished(done: Pipeline) -> None:
    def work(reporter: Reporter) -> Ledger:
        raise FishtuiError("no more", code="no-more")

    arguments = {"data": done.data, "output": done.data / "protos"}
    with pytest.raises(FishtuiError, match="no more"):
        known_to_pipeline(done.project, done.settings, "pack", arguments, work)(Reporter())
    assert done.reasons()["pack"] == "its last run did not finish"


def test_a_failure_ends_the_pipeline_and_the_next_run_continues_there(fresh: Pipeline) -> None:
    fresh.fails["pack"] = "failed"
    with pytest.raises(FishtuiError, match="pack failed: pack broke"):
        fresh.run()
    assert [each.step for each in fresh.started] == ["normalize", "extract", "pack"]
    fresh.fails.clear()
    assert fresh.reasons()["pack"] == "its last run did not finish"
    assert fresh.ran() == ["pack", "train", "evaluate", "merge", "synthesize"]


def test_later_steps_do_not_run_if_a_step_gives_the_same_output_as_before(done: Pipeline) -> None:
    done.change("extract", precision="tf32")
    assert list(done.reasons()) == list(pipeline_names()[1:])
    assert done.ran() == ["extract"]
    assert done.reasons() == {}


def test_partial_steps_count_as_done_and_are_not_repeated(done: Pipeline) -> None:
    done.change("pack", shard_size=9.0)
    (done.data / "anna" / "00.lab").unlink()
    done.fails["synthesize"] = "partial"
    ledger = done.run()
    assert [entry.item for entry in ledger.failed] == ["synthesize"]
    assert "2 items failed" in ledger.failed[0].reason
    assert "synthesize" not in done.reasons()


def test_the_run_names_why_a_step_is_left_out(done: Pipeline) -> None:
    done.change("evaluate", language="xx", lines=0)
    (skipped,) = [entry.reason for entry in done.run().skipped if entry.item == "evaluate"]
    assert skipped.startswith("no lines to speak")
    assert done.started == []


def test_a_stopped_step_ends_the_pipeline(done: Pipeline) -> None:
    done.change("run", text="Good evening.")
    done.fails["synthesize"] = "stopped"
    with pytest.raises(FishtuiError, match="synthesize stopped"):
        done.run()


def test_only_requested_steps_run(fresh: Pipeline) -> None:
    assert fresh.ran(until="pack") == ["normalize", "extract", "pack"]
    assert fresh.run(first="train", until="train").total == 1


def test_a_change_while_a_step_runs_is_a_reason_for_the_next_run(done: Pipeline) -> None:
    (done.data / "anna" / "00.lab").write_text("One thing.")
    done.meanwhile["pack"] = lambda: (done.data / "anna" / "00.lab").write_text("Another thing.")
    done.run(until="pack")
    assert done.reasons(until="pack") == {"pack": "transcripts changed"}


def test_a_restarted_training_that_was_killed_is_resumed(done: Pipeline) -> None:
    done.change("train", seed=1)

    def killed() -> None:
        raise KeyboardInterrupt

    done.meanwhile["train"] = killed
    with pytest.raises(KeyboardInterrupt):
        done.run()
    assert done.started[-1].command == ["train", "voice", "--restart"]
    done.meanwhile.clear()
    assert done.ran() == ["train", "evaluate", "synthesize"]
    assert done.started[-3].command == ["train", "voice", "--resume"]


def test_a_training_stopped_before_it_moved_old_results_restarts_again(done: Pipeline) -> None:
    done.change("train", seed=1)
    done.fails["train"] = "stopped"
    with pytest.raises(FishtuiError):
        done.run()
    done.fails.clear()
    done.run()
    assert [each.command for each in done.started[:2]] == [["train", "voice", "--restart"]] * 2


@settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    changes=st.lists(
        st.sampled_from(
            ["transcript", "codes", "shards", "steps", "seed", "text", "base", "checkpoint", "stamp", "gone"]
        ),
        max_size=4,
    ),
    fails=st.sampled_from([None, *pipeline_names()]),
)
def test_after_any_changes_and_any_failure_a_run_brings_everything_up_to_date(
    finished: Path, tmp_path: Path, changes: list[str], fails: str | None
) -> None:
    shutil.rmtree(tmp_path / "project", ignore_errors=True)
    shutil.copytree(finished, tmp_path / "project")
    pipeline = Pipeline(tmp_path / "project")
    for number, change in enumerate(changes):
        if change == "transcript":
            (pipeline.data / "anna" / "01.lab").write_text(f"Version {number} of the text.")
        elif change == "codes":
            (pipeline.data / "anna" / "02.npy").unlink(missing_ok=True)
        elif change == "shards":
            shutil.rmtree(pipeline.data / "protos", ignore_errors=True)
        elif change == "steps":
            pipeline.change("train", max_steps=20_000 + number)
        elif change == "seed":
            pipeline.change("train", seed=number)
        elif change == "text":
            pipeline.change("run", text=f"Number {number}.")
        elif change == "base":
            (pipeline.base / "model.pth").write_text(f"another {number}")
        elif change == "checkpoint":
            shutil.rmtree(pipeline.results, ignore_errors=True)
        elif change == "stamp":
            shutil.rmtree(pipeline.project.state / "stamps", ignore_errors=True)
        else:
            (pipeline.data / "anna" / "03.wav").unlink(missing_ok=True)
    if fails:
        pipeline.fails[fails] = "failed"
        with suppress(FishtuiError):
            pipeline.run()
        pipeline.fails.clear()
    pipeline.run()
    assert pipeline.reasons() == {}
    assert pipeline.ran() == []
