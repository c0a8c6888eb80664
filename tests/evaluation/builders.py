"""Evaluations to test with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from fishtui.audio.encode import write_audio
from fishtui.evaluation.lines import Line
from fishtui.evaluation.record import (
    EvaluationWriter,
    JudgeState,
    MissingJudge,
    Outcome,
    SpokenLine,
    Step,
    new_plan,
    new_record,
)
from fishtui.files import hash_file
from fishtui.results.checkpoints import checkpoint_path, write_losses
from tests.builders import tone

JUDGES = {"failures": JudgeState("1", "k1"), "similarity": JudgeState("1", "k2"), "intelligibility": JudgeState("2")}
MISSING = {"quality": MissingJudge("onnxruntime not installed", "Install it: pip install onnxruntime")}
LINES = [
    Line(kind="held-out", text="The first line.", speaker="anna", language="en", clip="anna/01", reference="anna/09"),
    Line(kind="held-out", text="<b>Second</b> & \u202eline", speaker="anna", language="en", clip="anna/02"),
    *[Line(kind="own", text=f"Own line {number}", speaker="bert", language="en") for number in range(8)],
]


def outcomes(similarity: float, errors: float = 0.0, failures: Sequence[tuple[str, str]] = ()) -> dict[str, Outcome]:
    return {
        "failures": Outcome(version="1", key="k1", failures=tuple(failures)),
        "similarity": Outcome(version="1", key="k2", figures={"similarity": similarity}),
        "intelligibility": Outcome(version="2", figures={"character_errors": errors}, heard="tree fore"),
    }


def record(
    step: Step,
    line: Line,
    judges: Mapping[str, Outcome] | None = None,
    *,
    adapter: str = "",
    recipe: str = "recipe",
    with_reference: bool = True,
) -> SpokenLine:
    return new_record(
        step,
        line,
        with_reference=with_reference,
        seconds=1.0,
        stopped=True,
        recipe=recipe,
        adapter=adapter,
        judges=outcomes(0.5) if judges is None else judges,
    )


def evaluated(
    results: Path,
    similarities: Mapping[Step, float],
    *,
    sounds: bool = False,
    errors: Mapping[Step, float] | None = None,
    recipe: str = "recipe",
    with_reference: bool = True,
) -> Path:
    """Write an evaluation in which each step has this similarity, and missing checkpoints; return `results`."""
    random = np.random.default_rng(1)
    with EvaluationWriter(results) as writer:
        writer.write(new_plan(LINES, recipe, JUDGES, MISSING))
        for step, similarity in similarities.items():
            adapter = ""
            if step != "base":
                path = checkpoint_path(results / "checkpoints", int(step))
                if not path.exists():
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(b"weights %d" % int(step))
                    write_losses(path, 1.0, 1 - int(step) / 10_000)
                adapter = hash_file(path)
            for number, line in enumerate(LINES):
                noise = float(random.normal(0, 0.01))
                found = outcomes(similarity + noise, (errors or {}).get(step, 0.0) + number)
                made = record(step, line, found, adapter=adapter, recipe=recipe, with_reference=with_reference)
                if sounds:
                    write_audio(results / made.wav, tone(0.2, pitch=200 + 10 * number), 44_100)
                writer.write(made)
    return results
