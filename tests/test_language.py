"""The writing rules of `.github/CONTRIBUTING.md`, checked on every string, docstring, comment and name."""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "fishtui"
PARTS = sorted(path for path in PACKAGE.iterdir() if path.suffix == ".py" or (path.is_dir() and path.name[0] != "_"))
# Parts that are still to be rewritten.
PENDING = {}
PARTS = [part for part in PARTS if part.name not in PENDING]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md"]
PAGES = [page for page in PAGES if page.name not in PENDING]

# Each pattern is a habit that the writing rules drop; the comment names the replacement.
HABITS = {
    "report, show, detect": r"\b(tell|tells|told|telling)\b",
    "report, name, describe": r"\b(say|says|said|saying)\b",
    "is not a": r"\b(is|are|was|were|be) (?-i:no|none)\b(?! longer)",
    "match, like this": r"\b(is|are) such\b",
    "if, any, every": r"\b(whoever|whatever|whichever|whatsoever|wherever|whosoever)\b",
    "again, new": r"\banew\b",
    "fix": r"\bmend(s|ed|ing)?\b",
    "next to, besides": r"\bbeside\b",
    "continue, happen": r"\b(go|goes|going|gone|went) on\b(?! (to|disk))",
    "is, means": r"\bstands?\b(?!ard|alone)",
    "is, be": r"\b(lies|lain)\b",
    "otherwise": r"\bto the contrary\b|\bthe contrary\b",
    "fix, correct": r"\bput right\b",
    "reset, unchanged": r"\bas it was\b",
    "cannot": r"\bcan't be\b",
    "when there are several": r"\bof several\b",
    "either, or": r"\bbe it\b",
    "modern words": r"\b(amiss|in vain|hence|thereof|therein|thus|nor|lest|kin|likeliest|gravest|hither|upon)\b",
    "aside from": r"\bbut for\b",
}
# How a docstring may not begin: it is a sentence that says what the thing does or returns.
OPENINGS = re.compile(r"(What|Whether|Which|Whose|Who|How|Where|When|Why|That)\b")
NAMES = re.compile(r"(^|_)(told|tell|tells|say|says|said|look|looks|looked|looker|aside|closer|mend|mends|anew)(_|$)")


def words_of(name: str) -> str:
    """A class's name as its functions would be named."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """Line and text of every string with a space in it, every docstring and every comment of a module."""
    source = path.read_text(encoding="utf-8")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value.strip():
            yield node.lineno, node.value
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT and not token.string.startswith("#!"):
            yield token.start[0], token.string


def modules(part: Path) -> list[Path]:
    found = [part] if part.suffix == ".py" else sorted(part.rglob("*.py"))
    return [path for path in found if not path.name.endswith("_pb2.py")]


def habits_in(text: str) -> list[str]:
    return [f"{match[0]!r} ({better})" for better, each in HABITS.items() for match in re.finditer(each, text, re.I)]


@pytest.mark.parametrize("part", PARTS, ids=lambda path: path.name)
def test_texts_are_plain_english(part: Path) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {habit}"
        for path in modules(part)
        for line, text in texts(path)
        for habit in habits_in(text)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("part", PARTS, ids=lambda path: path.name)
def test_docstrings_state_what_a_thing_does(part: Path) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 1)}: {first}"
        for path in modules(part)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and OPENINGS.match(first := (ast.get_docstring(node) or "").partition("\n")[0])
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("part", PARTS, ids=lambda path: path.name)
def test_names_are_words_of_the_field(part: Path) -> None:
    found = []
    for path in modules(part):
        names = [(path.stem, 1)]
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                names.append((node.name, node.lineno))
            elif isinstance(node, ast.arg):
                names.append((node.arg, node.lineno))
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                names.append((node.id, node.lineno))
        found += [f"{path.relative_to(ROOT)}:{line}: {name}" for name, line in names if NAMES.search(words_of(name))]
    assert not found, "\n".join(found)


def test_no_module_shadows_the_standard_library() -> None:
    names = {path.stem for path in PACKAGE.rglob("*.py")} - {"__init__", "__main__"}
    assert not names & set(sys.stdlib_module_names)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_pages_are_plain_english(page: Path) -> None:
    lines = enumerate(page.read_text(encoding="utf-8").splitlines(), 1)
    found = [f"{page.name}:{number}: {habit}" for number, line in lines for habit in habits_in(line)]
    assert not found, "\n".join(found)
