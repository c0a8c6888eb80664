"""Hashes of fishtui's own code: a result is out of date if the code that made it has changed."""

from __future__ import annotations

import ast
import hashlib
from functools import cache
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).parent


@cache
def code_hash(*names: str) -> str:
    """SHA-256 of modules (`files.py`, `lm/loss.py`) and packages (`lm`), by their paths within fishtui.

    Comments, docstrings and layout do not count, and the order of `names` does not either.
    Raises FileNotFoundError for a name that does not exist.
    """
    paths = {path for name in names for path in _modules(PACKAGE / name)}
    hashes = sorted((path.relative_to(PACKAGE).as_posix(), _file_hash(path)) for path in paths)
    return hashlib.sha256(repr(hashes).encode()).hexdigest()


def source_hash(source: str | bytes) -> str:
    """SHA-256 of a module's syntax tree without docstrings, the same under every version of Python."""
    words: list[str] = []
    _collect(ast.parse(source), words)
    return hashlib.sha256("\0".join(words).encode()).hexdigest()


@cache
def _file_hash(path: Path) -> str:
    return source_hash(path.read_bytes())


def _modules(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise FileNotFoundError(path)
    return list(path.rglob("*.py"))


def _collect(node: Any, words: list[str]) -> None:
    """Append the words of a syntax tree; empty fields are left out, because newer versions of Python add some."""
    if isinstance(node, list):
        words.append("[")
        for each in node:
            if not _is_docstring(each):
                _collect(each, words)
        words.append("]")
    elif isinstance(node, ast.AST):
        words.append(f"{type(node).__name__}(")
        for name in node._fields:
            value = getattr(node, name, None)
            if value is not None and value != []:
                words.append(name)
                _collect(value, words)
        words.append(")")
    else:
        words.append(repr(node))


def _is_docstring(node: Any) -> bool:
    """True for a statement that is only a string: it has no effect."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
