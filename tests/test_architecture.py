"""Rules that keep the parts apart, read from the source."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fishtui.catalog.store import Catalog
from fishtui.project import Project

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "fishtui"
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if not path.name.endswith("_pb2.py"))
HEAVY = {"torch", "torchaudio", "lightning", "peft"}
# What torch may not be imported by: everything that runs outside a stage.
LIGHT = [
    "cli",
    "runs",
    "shards",
    "audio",
    "catalog",
    "checks",
    "importers",
    "listen",
    "tui",
    "pipeline",
    "distributed.py",
    "settings.py",
    "project.py",
    "errors.py",
    "files.py",
    "codehash.py",
    "checkpoint.py",
    "families/family.py",
    "families/registry.py",
    "families/s1_mini/family.py",
    "families/s1_mini/text.py",
    "codes.py",
    "dataset.py",
    "workers.py",
]


def imports(path: Path, top_level: bool = False) -> Iterator[str]:
    """Modules that a file imports; with `top_level` only those that importing it imports."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = tree.body if top_level else ast.walk(tree)
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def below(*names: str) -> list[Path]:
    return [path for path in MODULES for name in names if path.is_relative_to(PACKAGE / name)]


@pytest.mark.parametrize("path", below(*LIGHT), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_light_modules_load_nothing_heavy(path: Path) -> None:
    assert not {name.partition(".")[0] for name in imports(path, top_level=True)} & HEAVY


@pytest.mark.parametrize("path", below("codec", "lm"), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_the_models_know_nothing_of_projects_runs_or_settings(path: Path) -> None:
    allowed = {"codec", "lm", "errors", "nn", "weights", "wording"}
    ours = {name.split(".")[1] for name in imports(path) if name.startswith("fishtui.")}
    assert ours <= allowed
    other = "lm" if "codec" in path.parts else "codec"
    assert other not in ours


def test_describing_a_checkpoint_loads_nothing_heavy(tmp_path: Path) -> None:
    code = "import sys\nfrom fishtui.checkpoint import CheckpointFolder\nfrom pathlib import Path\n"
    code += "folder = CheckpointFolder(Path(sys.argv[1])); folder.files, folder.family_or_default.clean('a')\n"
    shown = subprocess.run(
        [sys.executable, "-c", code + "print(*sys.modules)", tmp_path], capture_output=True, text=True, check=True
    )
    loaded = {name.partition(".")[0] for name in shown.stdout.split()}
    assert not loaded & (HEAVY | {"numpy", "tiktoken", "soundfile", "sqlite_utils", "scipy", "safetensors"})


def test_families_know_nothing_of_projects_runs_or_settings() -> None:
    allowed = {"families", "lm", "errors", "files", "nn", "weights", "wording"}
    for path in below("families"):
        assert {name.split(".")[1] for name in imports(path) if name.startswith("fishtui.")} <= allowed


READ = """
import sys
from pathlib import Path
from fishtui.catalog import report, lookup, stats
from fishtui.catalog.filter import parse, sql
from fishtui.catalog.store import Catalog
from fishtui.project import Project
with Catalog(Project(Path(sys.argv[1])), Path(sys.argv[1]) / "data") as catalog:
    lookup.find_page(catalog, "finding:any text:bread sort:-duration", 10)
    report.speakers(catalog)
    stats.stats(catalog, sql(parse("")))
print("loaded:", *sys.modules)
"""


def test_reading_the_catalog_loads_nothing_heavy(tmp_path: Path) -> None:
    Catalog(Project(tmp_path), tmp_path / "data").connection.close()
    shown = subprocess.run([sys.executable, "-c", READ, tmp_path], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in shown.stdout.rpartition("loaded:")[2].split()}
    assert not loaded & (HEAVY | {"numpy", "soundfile", "sqlite_utils", "scipy"})


def test_nothing_imports_the_command_line() -> None:
    outside = [path for path in MODULES if not path.is_relative_to(PACKAGE / "cli") and path.name != "__main__.py"]
    found = {(path.relative_to(PACKAGE).parts[0], name) for path in outside for name in imports(path)}
    # A form asks for what a command can be given, and the command itself says what that is.
    assert {each for each in found if each[1].startswith("fishtui.cli")} <= {
        ("tui", "fishtui.cli"),
        ("tui", "fishtui.cli.forms"),
    }


def test_only_the_interface_knows_of_its_library() -> None:
    outside = [path for path in MODULES if not path.is_relative_to(PACKAGE / "tui")]
    assert [path for path in outside for name in imports(path) if name.partition(".")[0] == "textual"] == []


# Modules that still use Textual's own widgets for text.
UNSAFE = {"launch", "models", "overview", "settings", "runfacts", "speechform", "trainingdetail"}


def test_the_interface_shows_text_only_through_the_widget_that_sanitizes_it() -> None:
    using = {
        path.stem
        for path in below("tui")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Name) and node.id in ("Static", "Label")
    }
    assert using - UNSAFE == {"line"}


def test_modules_hold_one_idea() -> None:
    lengths = {path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}
    assert {name: lines for name, lines in lengths.items() if lines > 400} == {}


def test_the_tree_in_the_readme_is_that_of_the_package() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    block = readme.partition("## Layout")[2].partition("```")[2].partition("```")[0]
    named = set(re.findall(r"^ {4}([\w.]+/?)", block, re.MULTILINE))
    there = {
        f"{path.name}/" if path.is_dir() else path.name for path in PACKAGE.iterdir() if path.name != "__pycache__"
    }
    assert named == there


def test_the_package_says_nothing_of_where_it_was_made() -> None:
    for path in [*MODULES, ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "pyproject.toml"]:
        assert not re.search(r"/(root|home|work)/", path.read_text(encoding="utf-8")), path
