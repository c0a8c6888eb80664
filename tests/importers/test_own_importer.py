"""An importer is a module with a layout, and its entry in `LAYOUTS`."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from fishtui.importers.layouts import LAYOUTS
from tests.builders import fishtui, project
from tests.importers.builders import imported, recording, table

MODULE = """
from fishtui.importers.layout import ListedClip, TableLayout
from fishtui.importers.lines import clips_of_lines

def is_arrows(line, columns):
    return " -> " in line

def read_arrows(path, columns):
    return clips_of_lines(path, lambda where, line: ListedClip(where, *line.strip().split(" -> ")))

ARROWS = TableLayout("arrows", is_arrows, read_arrows, "lines of audio -> text")
"""
FOLDER_MODULE = """
from fishtui.importers.layout import FolderLayout, ListedClip

def is_titled(folder):
    return (folder / "title").exists()

def read_titled(folder):
    for path in sorted(folder.glob("*.wav")):
        yield ListedClip(path.name, path.name, path.stem.replace("_", " "), "bert")

TITLED = FolderLayout("titled", is_titled, read_titled, "file names are the transcripts")
"""
# A process imports this module when it starts, so that runs have the layouts too.
REGISTRATION = """
from fishtui.importers.layouts import LAYOUTS
from arrows import ARROWS
from titled import TITLED
LAYOUTS |= {layout.name: layout for layout in (ARROWS, TITLED)}
"""


def extended(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run fishtui with the two layouts registered."""
    modules = root / "modules"
    modules.mkdir()
    for name, content in {"arrows": MODULE, "titled": FOLDER_MODULE, "sitecustomize": REGISTRATION}.items():
        (modules / f"{name}.py").write_text(content)
    paths = os.pathsep.join([str(modules), *filter(None, [os.environ.get("PYTHONPATH")])])
    return fishtui(*arguments, cwd=project(root).root, PYTHONPATH=paths)


@pytest.mark.parametrize("options", [("--layout", "arrows"), ()])
def test_a_registered_table_is_imported(tmp_path: Path, options: tuple[str, ...]) -> None:
    recording(tmp_path / "in" / "a.wav")
    table(tmp_path / "in" / "x.list", "a.wav -> Hello.")
    result = extended(tmp_path, "import", "in", *options, "--json")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout.splitlines()[-1])["ledger"]["done"] == 1
    assert imported(tmp_path) == {"in/a.wav": "Hello. <a.wav>"}


def test_a_registered_folder_is_imported(tmp_path: Path) -> None:
    recording(tmp_path / "in" / "Good_morning.wav")
    (tmp_path / "in" / "title").touch()
    result = extended(tmp_path, "import", "in")
    assert result.returncode == 0, result.stderr
    assert imported(tmp_path) == {"bert/Good_morning.wav": "Good morning <Good_morning.wav>"}


def test_a_registered_layout_is_in_the_help(tmp_path: Path) -> None:
    result = extended(tmp_path, "import", "--help")
    assert "lines of audio -> text" in result.stdout
    listed = result.stdout.partition("Layouts:\n")[2].splitlines()
    # Later lines of a long help are indented further.
    names = [line.split()[0] for line in listed if re.match(r"  \S", line)]
    assert names == [*LAYOUTS, "arrows", "titled"]
