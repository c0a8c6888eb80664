"""The checkpoint of a training to merge: the recommended one where an evaluation exists, and the rule that chose it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fishtui.errors import FishtuiError, MisuseError
from fishtui.evaluation.record import FILE, Evaluation, read_evaluation
from fishtui.files import hash_file
from fishtui.results.adapters import check_adapter
from fishtui.results.checkpoints import Checkpoint, best_checkpoint, check_name, choose_checkpoint, list_checkpoints
from fishtui.wording import reason_of

ChoiceRule = Literal["step", "evaluation", "validation-loss", "newest"]


@dataclass(frozen=True)
class Choice:
    """A checkpoint, the rule that chose it, and the rule in words."""

    checkpoint: Checkpoint
    rule: ChoiceRule
    reason: str


def choose_to_merge(
    results: Path, step: int | None = None, hash_adapter: Callable[[Path], str | None] = hash_file
) -> Choice:
    """Return the checkpoint of `step`, or the recommended one, otherwise the best or the newest.

    An evaluation counts for the checkpoints that exist and have not changed since they spoke; `hash_adapter` returns
    the hash of a file. Raises MisuseError, code `no-checkpoints` or `no-such-step`.
    """
    if step is not None:
        return Choice(choose_checkpoint(results, step), "step", f"step {step}, as asked for")
    recommended, remark = _recommended(results, hash_adapter)
    if recommended is not None:
        return Choice(recommended, "evaluation", f"step {recommended.step}: {remark}")
    saved = choose_checkpoint(results, None)
    if saved.validation_loss is not None and best_checkpoint([saved]):
        reason = f"step {saved.step}: the lowest validation loss, {saved.validation_loss:.3f}"
        return Choice(saved, "validation-loss", _with(reason, remark))
    return Choice(saved, "newest", _with(f"step {saved.step}: the newest checkpoint; none was validated", remark))


def choose_adapter(results: Path, name: str) -> Path:
    """Return the adapter that `name` means: a training NAME, NAME:STEP, or the path of an adapter.

    Raises MisuseError, code `no-checkpoints`, `no-such-step` or `invalid-name`; CheckpointError if a path is not an
    adapter.
    """
    path = Path(name)
    if "/" in name or path.is_file():
        check_adapter(path)
        return path.absolute()
    training, separator, step = name.partition(":")
    check_name(training)
    if separator and not (step.isascii() and step.isdigit()):
        raise MisuseError(f"{name}: the step is not a number", "Write it as NAME:STEP.", code="no-such-step")
    return choose_to_merge(results / training, int(step) if separator else None).checkpoint.path


def _with(reason: str, remark: str) -> str:
    return f"{reason} ({remark})" if remark else reason


def _recommended(results: Path, hash_adapter: Callable[[Path], str | None]) -> tuple[Checkpoint | None, str]:
    """Return the recommended checkpoint and why, or None and the reason, empty without an evaluation."""
    if not (results / FILE).exists():
        return None, ""
    try:
        evaluation = read_evaluation(results)
    except FishtuiError as error:
        return None, error.problem
    saved = {each.step: each for each in list_checkpoints(results / "checkpoints")}
    return _verified(evaluation, saved, hash_adapter)


def _verified(
    evaluation: Evaluation, saved: dict[int, Checkpoint], hash_adapter: Callable[[Path], str | None]
) -> tuple[Checkpoint | None, str]:
    # Imported here, because numpy takes a tenth of a second and most trainings have no evaluation.
    from fishtui.evaluation.table import build_table, losses_by_step
    from fishtui.evaluation.verdict import judge_table

    losses = losses_by_step(evaluation.results, saved.values())
    changed: set[int] = set()
    while True:
        verdict = judge_table(build_table(evaluation, losses).of_steps(saved.keys() - changed))
        step = verdict.recommended
        if verdict.rule in ("validation-loss", "nothing"):
            return None, _note(("nothing was measured by its evaluation",), changed)
        if step is None:
            return None, _note(verdict.sentences, changed)
        if _hash(saved[step].path, hash_adapter) == evaluation.adapter(step):
            return saved[step], _note(verdict.sentences, changed)
        changed.add(step)


def _hash(path: Path, hash_adapter: Callable[[Path], str | None]) -> str | None:
    try:
        return hash_adapter(path)
    except OSError as error:
        return reason_of(error)


def _note(sentences: Sequence[str], changed: set[int]) -> str:
    found = [sentences[0].rstrip(".")]
    if changed:
        steps = ", ".join(map(str, sorted(changed)))
        found.append(f"evaluated before its file changed, and left out: step {steps}")
    return "; ".join(found)
