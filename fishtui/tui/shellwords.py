"""The words of a command as they are typed in a shell: splitting, completion, and paths with spaces."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

from click.shell_completion import split_arg_string

from fishtui.project import Project
from fishtui.tui.commands import run_fishtui

# Characters of a path that a shell does not take as they are.
SPECIAL = re.compile(r"([^\w@%+=:,./~-])")
QUOTES = "'\""


def words_of(text: str, root: Path) -> list[str]:
    """Return the words of a command, as a shell does; those that together are the path of something are one.

    Paths are relative to `root`. Raises ValueError for an open quotation.
    """
    words = [os.path.expanduser(word) for word in shlex.split(text)]
    joined: list[str] = []
    while words:
        end = next((end for end in range(len(words), 1, -1) if _exists(" ".join(words[:end]), root)), 1)
        joined.append(" ".join(words[:end]))
        del words[:end]
    return joined


def _exists(path: str, root: Path) -> bool:
    return "/" in path and os.path.exists(os.path.join(root, path))


def last_word(text: str) -> tuple[str, str]:
    """Return the last word of a command that is being typed: as it is, and without quotes and backslashes."""
    start, quote, plain = 0, "", ""
    place = 0
    while place < len(text):
        character = text[place]
        if character == "\\" and quote != "'":
            place += 1
            plain += text[place : place + 1]
        elif quote:
            plain, quote = (plain, "") if character == quote else (plain + character, quote)
        elif character in QUOTES:
            quote = character
        elif character == " ":
            start, plain = place + 1, ""
        else:
            plain += character
        place += 1
    return text[start:], plain


def candidates(typed: str, project: Project) -> list[str]:
    """Return the completions of the last word of `typed`, as the shells' completion finds them. Blocks."""
    last, plain = last_word(typed)
    before = len(split_arg_string(typed[: len(typed) - len(last)]))
    variables = {"_FISHTUI_COMPLETE": "bash_complete", "COMP_WORDS": f"fishtui {typed}", "COMP_CWORD": str(before + 1)}
    found: list[str] = []
    _, answer, _ = run_fishtui([], project, variables=variables)
    for line in answer.splitlines():
        kind, _, value = line.partition(",")
        if kind in ("dir", "file"):
            found += _paths(plain, project.root, only_folders=kind == "dir")
        elif value:
            found.append(value)
    return sorted(found)


def _paths(typed: str, root: Path, only_folders: bool) -> list[str]:
    """Return the paths that begin with `typed`, relative to the project as it is; a folder ends with a slash."""
    folder, _, start = typed.rpartition("/")
    base = f"{folder}/" if "/" in typed else ""
    found = []
    try:
        for each in os.scandir(root / Path(base).expanduser()):
            if each.name.startswith(start) and (start or not each.name.startswith(".")):
                if each.is_dir():
                    found.append(f"{base}{each.name}/")
                elif not only_folders:
                    found.append(base + each.name)
    except OSError:
        return []
    return [escaped(path) for path in found]


def escaped(path: str) -> str:
    """Return a path as it is typed in a shell."""
    return SPECIAL.sub(r"\\\1", path)
