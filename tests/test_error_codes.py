"""Every error that a user can meet has a stable code, read from the source."""

from __future__ import annotations

import ast
import pickle
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from fishtui.errors import CheckpointError, DataError, FishtuiError, MisuseError
from fishtui.settings import SettingError

ROOT = Path(__file__).parent.parent
MODULES = sorted(path for path in (ROOT / "fishtui").rglob("*.py") if not path.name.endswith("_pb2.py"))
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in MODULES}
CODE = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def error_classes() -> set[str]:
    """Return the names of FishtuiError and all its subclasses."""
    classes = [node for tree in TREES.values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    found = {"FishtuiError"}
    while more := {node.name for node in classes if found & {_name(base) for base in node.bases}} - found:
        found |= more
    return found


def error_calls() -> Iterator[tuple[str, ast.Call]]:
    """Yield the place and call of each constructor of such an error."""
    kinds = error_classes()
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and _name(node.func) in kinds:
                yield f"{path.relative_to(ROOT)}:{node.lineno}", node


def codes_of(call: ast.Call) -> list[ast.expr]:
    return [keyword.value for keyword in call.keywords if keyword.arg == "code"]


def test_every_error_has_a_code() -> None:
    assert [place for place, call in error_calls() if not codes_of(call)] == []


def test_codes_are_short_words() -> None:
    literals = [
        (place, code.value)
        for place, call in error_calls()
        for code in codes_of(call)
        if isinstance(code, ast.Constant)
    ]
    assert [(place, code) for place, code in literals if not CODE.fullmatch(code)] == []


@pytest.mark.parametrize("kind", [FishtuiError, MisuseError, CheckpointError, DataError])
def test_an_error_is_pickled_with_problem_remedy_and_code(kind: type[FishtuiError]) -> None:
    error = pickle.loads(pickle.dumps(kind("a.wav: cut short", "Record it again.", code="cut-short")))
    assert type(error) is kind
    assert (error.problem, error.remedy, error.code) == ("a.wav: cut short", "Record it again.", "cut-short")
    assert str(error) == "a.wav: cut short\nRecord it again."


def test_an_error_with_other_arguments_is_pickled() -> None:
    error = pickle.loads(pickle.dumps(SettingError("--set", "train.seed", "x", "not a number", "", code="bad-setting")))
    assert (error.name, error.value, error.reason, error.code) == ("train.seed", "x", "not a number", "bad-setting")
