"""The writing rules of `.github/CONTRIBUTING.md`, checked on every docstring, comment and name, and on the pages.

Strings of the package are checked too; strings of tests are data, such as transcripts.
"""

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
TESTS = ROOT / "tests"
PARTS = sorted(
    path
    for folder in (PACKAGE, TESTS)
    for path in folder.iterdir()
    if path.suffix == ".py" or (path.is_dir() and path.name[0] != "_")
)
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md"]
# Snapshots are stored under the names of these tests.
KEPT_NAMES = [TESTS / "tui" / "test_pictures.py"]

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
# A docstring does not begin like this: it is a sentence that describes what the thing does or returns.
OPENINGS = re.compile(r"(What|Whether|Which|Whose|Who|How|Where|When|Why|That)\b")
NAMES = re.compile(r"(^|_)(told|tell|tells|say|says|said|look|looks|looked|looker|aside|closer|mend|mends|anew)(_|$)")


def words_of(name: str) -> str:
    """Return a name in snake case."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def docstrings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield line and text of every docstring."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield getattr(node, "lineno", 1), ast.get_docstring(node) or ""


def function_names(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield line and name of every function and class, as words."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.lineno, words_of(node.name).replace("_", " ")


def strings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield line and text of every string with a space in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value.strip():
            yield node.lineno, node.value


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line and text of every comment and string of the package, or comment, docstring and name of a test."""
    source = path.read_text(encoding="utf-8")
    tree = ast.parse(source)
    if path.is_relative_to(PACKAGE):
        yield from strings(tree)
    else:
        yield from docstrings(tree)
        yield from function_names(tree)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT and not token.string.startswith("#!"):
            yield token.start[0], token.string


def modules(part: Path) -> list[Path]:
    """Return the modules of a part, except generated ones."""
    found = [part] if part.suffix == ".py" else sorted(part.rglob("*.py"))
    return [path for path in found if not path.name.endswith("_pb2.py")]


def habits_in(text: str) -> list[str]:
    """Return each habit found in a text, with its replacement."""
    return [f"{match[0]!r} ({better})" for better, each in HABITS.items() for match in re.finditer(each, text, re.I)]


@pytest.mark.parametrize("part", PARTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_texts_are_plain_english(part: Path) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {habit}"
        for path in modules(part)
        for line, text in texts(path)
        for habit in habits_in(text)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("part", PARTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_docstrings_state_what_a_thing_does(part: Path) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {docstring}"
        for path in modules(part)
        for line, docstring in docstrings(ast.parse(path.read_text(encoding="utf-8")))
        if OPENINGS.match(docstring)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("part", PARTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_names_are_words_of_the_field(part: Path) -> None:
    found = []
    for path in modules(part):
        if path in KEPT_NAMES:
            continue
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
