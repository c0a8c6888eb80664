"""The record of an evaluation: appended, damaged, superseded, continued."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import jsonschema
import msgspec
import pytest

from fishtui.evaluation.blind import Comparison
from fishtui.evaluation.record import (
    FILE,
    EvaluationWriter,
    JudgeState,
    Key,
    Outcome,
    Plan,
    SpokenLine,
    hash_sound,
    needs_judging,
    new_plan,
    read_evaluation,
    recording_name,
)
from fishtui.evaluation.table import build_table
from fishtui.evaluation.verdict import judge_table, verdict_dict
from tests.evaluation.builders import JUDGES, LINES, evaluated, outcomes, record
from tests.expecting import failing

SCHEMA = json.loads((Path(__file__).parents[2] / "schemas" / "evaluation.schema.json").read_text(encoding="utf-8"))


def write(results: Path, *entries: Plan | SpokenLine) -> None:
    with EvaluationWriter(results) as writer:
        for entry in entries:
            writer.write(entry)


def matches(value: object, name: str) -> None:
    jsonschema.validate(value, {**SCHEMA, "$ref": f"#/$defs/{name}"})


def test_an_evaluation_is_read_back(tmp_path: Path) -> None:
    assert read_evaluation(tmp_path).records == {}
    assert read_evaluation(tmp_path).steps == read_evaluation(tmp_path).lines == []
    plan, spoken = new_plan(LINES, "recipe", JUDGES), [record(step, line) for step in (200, "base") for line in LINES]
    write(tmp_path, plan, *spoken)
    found = read_evaluation(tmp_path)
    assert found.plan == plan
    assert list(found.records.values()) == [*spoken[len(LINES) :], *spoken[: len(LINES)]]
    assert (found.steps, found.lines, found.remarks) == (["base", 200], LINES, ())


def test_every_line_matches_the_schema(tmp_path: Path) -> None:
    evaluated(tmp_path, {"base": 0.3, 100: 0.6})
    lines = (tmp_path / FILE).read_text(encoding="utf-8").splitlines()
    for line in lines:
        matches(json.loads(line), "entry")
    broken = json.loads(lines[1])
    for change in ({"step": -1}, {"step": "first"}, {"version": 2}, {"judges": []}, {"kind": "other"}, {"wav": 1}):
        with pytest.raises(jsonschema.ValidationError):
            matches({**broken, **change}, "entry")
    matches(verdict_dict(judge_table(build_table(read_evaluation(tmp_path), {100: 0.9}))), "verdict")


@pytest.mark.parametrize(("name", "kind"), [("plan", Plan), ("line", SpokenLine), ("comparison", Comparison)])
def test_the_schema_has_the_fields_that_are_written(name: str, kind: type[msgspec.Struct]) -> None:
    described = SCHEMA["$defs"][name]
    tag = {"kind"} if kind.__struct_config__.tag else set()
    assert set(described["properties"]) == {*kind.__struct_encode_fields__, *tag}
    assert described["additionalProperties"] is False


def test_a_later_record_replaces_an_earlier_one(tmp_path: Path) -> None:
    first, second = (record(100, LINES[0], outcomes(value)) for value in (0.1, 0.2))
    write(tmp_path, new_plan(LINES, "recipe", JUDGES), first, second)
    assert read_evaluation(tmp_path).records == {first.key: second}


def test_records_of_other_lines_recipes_adapters_and_judges_are_ignored(tmp_path: Path) -> None:
    current = record(100, LINES[0], adapter="new")
    other_judge = {**outcomes(0.4), "similarity": Outcome(version="0", figures={"similarity": 0.9})}
    write(
        tmp_path,
        record(100, LINES[2], adapter="old"),
        record(100, LINES[3], adapter="new", recipe="earlier"),
        record(200, LINES[9], adapter="new"),
        current,
        record(100, LINES[1], other_judge, adapter="new"),
        new_plan(LINES[:9], "recipe", JUDGES),
    )
    found = read_evaluation(tmp_path)
    assert [key.line for key in found.records] == [LINES[0].id, LINES[1].id]
    assert set(found.records[Key(100, True, LINES[1].id)].judges) == {"failures", "intelligibility"}
    assert found.adapter(100) == "new"
    assert found.adapter(200) == ""
    # They can still be used again.
    assert len(found.spoken) == 5
    assert needs_judging(found.spoken[Key(100, True, LINES[1].id)], JUDGES) == ["similarity"]
    assert needs_judging(current, {**JUDGES, "quality": JudgeState("1")}) == ["quality"]


@pytest.mark.parametrize(
    "damage",
    [
        b"{}\n",
        b"\0\0\0\n",
        b'{"kind": "line"}\n',
        b"[" * 10_000 + b"\n",
        b"\xff\xfe\n",
        b"x" * (2 << 20) + b"\n",
        b'{"kind": "plan", "version": 1, "ti',
    ],
)
def test_a_damaged_line_is_skipped_and_named(tmp_path: Path, damage: bytes) -> None:
    write(tmp_path, new_plan(LINES, "recipe", JUDGES), record(100, LINES[0]))
    with (tmp_path / FILE).open("ab") as file:
        file.write(damage)
    write(tmp_path, record(100, LINES[1]))
    found = read_evaluation(tmp_path)
    assert len(found.records) == 2
    assert len(found.remarks) == 1
    assert "line 3" in found.remarks[0]


@pytest.mark.parametrize("cut", range(1, 12))
def test_a_killed_run_continues_after_the_last_whole_record(tmp_path: Path, cut: int) -> None:
    spoken = [record("base", line) for line in LINES]
    write(tmp_path, new_plan(LINES, "recipe", JUDGES), *spoken)
    whole = read_evaluation(tmp_path).records
    path = tmp_path / FILE
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:cut]) + (lines[cut][: 7 * cut] if cut < len(lines) else b""))
    before = read_evaluation(tmp_path)
    assert len(before.records) == cut - 1
    write(tmp_path, *[each for each in spoken if each.key not in before.records])
    assert read_evaluation(tmp_path).records == whole


def test_without_its_plan_the_newest_record_decides(tmp_path: Path) -> None:
    write(tmp_path, record(100, LINES[1], recipe="earlier"), record("base", LINES[0]), record(100, LINES[0]))
    found = read_evaluation(tmp_path)
    assert [(key.step, key.line) for key in found.records] == [("base", LINES[0].id), (100, LINES[0].id)]
    assert found.plan is not None
    assert found.plan.judges == JUDGES


@pytest.mark.parametrize("name", ["../secret.wav", "/etc/passwd", "evaluation/../../x.wav", "other/x.wav", ""])
def test_a_recording_outside_is_refused(tmp_path: Path, name: str) -> None:
    write(tmp_path, new_plan(LINES, "recipe", JUDGES), msgspec.structs.replace(record(100, LINES[0]), wav=name))
    found = read_evaluation(tmp_path)
    assert found.records == {}
    assert "outside" in found.remarks[0]


@pytest.mark.parametrize("field", ["clip", "reference"])
def test_a_clip_outside_is_refused(tmp_path: Path, field: str) -> None:
    line = msgspec.structs.replace(LINES[0], **{field: "../../x"})
    write(tmp_path, new_plan([line], "recipe", JUDGES), record(100, line))
    assert read_evaluation(tmp_path).records == {}


def test_a_recording_is_reused_only_with_the_same_sound(tmp_path: Path) -> None:
    made = record(100, LINES[0], adapter="a")
    write(tmp_path, new_plan(LINES, "recipe", JUDGES), made)
    sound = hash_sound("recipe", "a", LINES[0], True)
    found = read_evaluation(tmp_path)
    assert found.reusable(made.key, sound) is None
    path = tmp_path / made.wav
    path.parent.mkdir(parents=True)
    path.touch()
    assert found.reusable(made.key, sound) == made
    for other in (
        hash_sound("recipe", "b", LINES[0], True),
        hash_sound("other", "a", LINES[0], True),
        hash_sound("recipe", "a", LINES[0], False),
        hash_sound("recipe", "a", LINES[1], True),
    ):
        assert found.reusable(made.key, other) is None
    assert replace(found, spoken={}).reusable(made.key, sound) is None


def test_recordings_have_a_folder_for_each_step() -> None:
    sounds = [hash_sound("recipe", "a", LINES[0], has) for has in (True, False)]
    names = {recording_name(step, LINES[0], sound) for step in ("base", 0, 100) for sound in sounds}
    assert len(names) == 6
    assert all(name.startswith(f"evaluation/step_000000100/{LINES[0].id}-") for name in names if "100" in name[:30])


def test_figures_that_are_not_finite_are_missing(tmp_path: Path) -> None:
    judges = {"a": Outcome(version="1", figures={"x": float("nan"), "y": float("inf"), "z": 1})}
    made = record(100, LINES[0], judges)
    assert made.judges["a"].figures == {"z": 1.0}
    write(tmp_path, made)
    assert read_evaluation(tmp_path).remarks == ()


def test_a_file_that_cannot_be_read_or_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    with failing("cannot-read"):
        read_evaluation(tmp_path)
    with failing("cannot-write"):
        EvaluationWriter(tmp_path)
    (tmp_path / "pipe").mkdir()
    os.mkfifo(tmp_path / "pipe" / FILE)
    with failing("cannot-read"):
        read_evaluation(tmp_path / "pipe")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_an_error(tmp_path: Path) -> None:
    (tmp_path / FILE).symlink_to("/dev/full")
    with failing("cannot-write"), EvaluationWriter(tmp_path) as writer:
        writer.write(new_plan(LINES, "recipe", JUDGES))


def test_the_table_compares_the_lines_of_the_plan(tmp_path: Path) -> None:
    results = evaluated(tmp_path, {"base": 0.3, 100: 0.6}, errors={100: 5.0})
    table = build_table(read_evaluation(results), {100: 1.5})
    assert [column.name for column in table.columns] == ["failures", "errors", "similarity"]
    assert [(row.step, row.loss, row.lines) for row in table.rows] == [("base", None, 10), (100, 1.5, 10)]
    assert table.rows[1].cells["errors"].change.mean == pytest.approx(5.0)
    assert table.rows[1].cells["similarity"].change.is_above_zero
    assert table.missing == {"quality": "onnxruntime not installed"}
