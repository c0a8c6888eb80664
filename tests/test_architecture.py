"""Rules about imports between parts, checked on the source."""

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
# Parts that run outside a stage, which must not import torch.
LIGHT = [
    "cli",
    "runs",
    "shards",
    "audio",
    "catalog",
    "checks",
    "importers",
    "judges",
    "listen",
    "tui",
    "pipeline",
    "distributed.py",
    "evaluation",
    "settings",
    "project.py",
    "errors.py",
    "files.py",
    "codehash.py",
    "checkpoint.py",
    "bases.py",
    "filehashes.py",
    "acceptance.py",
    "families/family.py",
    "families/registry.py",
    "families/s1_mini/family.py",
    "families/s1_mini/text.py",
    "families/s2_pro/family.py",
    "families/s2_pro/published.py",
    "tensorfiles/header.py",
    "tensorfiles/names.py",
    "codes.py",
    "dataset.py",
    "speakers.py",
    "signals.py",
    "speakerlabels.py",
    "workers.py",
    "memory.py",
]

# The parts of the package from bottom to top: each may import only those before it.
ORDER = [
    *("errors", "glyphs", "sanitize", "nn", "codehash"),
    *(
        "wording",
        "extras",
        "memory",
        "signals",
        "workers",
        "gauges",
        "files",
        "charsets",
        "reading",
        "filehashes",
        "project",
        "trust",
        "settings",
        "devices",
    ),
    *("stagekind", "stage"),
    *(
        "weights",
        "tensorfiles",
        "speakers",
        "speakerlabels",
        "styletags",
        "dataset",
        "names",
        "shards",
        "audio",
        "codec",
        "codes",
        "lm",
    ),
    *("families", "acceptance", "checkpoint", "bases", "load", "sentences", "speech"),
    "runs",
    *("checks", "catalog"),
    *("distributed", "results", "training"),
    "judges",
    "evaluation",
    "stages",
    "selftest",
    *("importers", "listen", "pipeline"),
    "demo",
    "cli",
    "tui",
    "__main__",
]
# Imports that break a rule until they are removed. The tests fail if one of these no longer occurs.
KNOWN_CIRCLES: set[frozenset[str]] = set()
KNOWN_UPWARD: set[tuple[str, str]] = set()
KNOWN_KEYS: set[tuple[str, str]] = set()


def imports(path: Path, top_level: bool = False) -> Iterator[str]:
    """Yield the modules that a file imports; with `top_level` only those that it imports at its top."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = tree.body if top_level else ast.walk(tree)
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def module_name(path: Path) -> str:
    """Return the dotted name of a module or package."""
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    return name.removesuffix(".__init__")


def part_of(module: str) -> str:
    """Return the top-level part that a module belongs to; the package itself is a part without a name."""
    return [*module.split("."), ""][1]


def at_run_time(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield all nodes of a tree except those that only a type checker reads."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        only_types = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        waiting += node.orelse if only_types and isinstance(node, ast.If) else ast.iter_child_nodes(node)


def import_graph(with_types: bool = False) -> dict[str, set[str]]:
    """Return the modules of the package that each module imports, at its top or inside a function.

    `with_types` includes imports that only a type checker reads.
    """
    names = {module_name(path): path for path in MODULES}
    graph: dict[str, set[str]] = {}
    for name, path in names.items():
        targets = graph.setdefault(name, set())
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree) if with_types else at_run_time(tree):
            if isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{name}:{node.lineno}: relative import"
                members = {f"{node.module}.{alias.name}" for alias in node.names}
                targets |= {member if member in names else str(node.module) for member in members} & names.keys()
            elif isinstance(node, ast.Import):
                targets |= {alias.name for alias in node.names} & names.keys()
        targets.discard(name)
    return graph


def circles(graph: dict[str, set[str]]) -> set[frozenset[str]]:
    """Return the groups of nodes that lead to each other."""
    reached: dict[str, set[str]] = {}
    for start in graph:
        seen: set[str] = set()
        waiting = [start]
        while waiting:
            new = graph[waiting.pop()] - seen
            seen |= new
            waiting += new
        reached[start] = seen
    return {
        frozenset(other for other in graph if other in reached[node] and node in reached[other])
        for node in graph
        if node in reached[node]
    }


def below(*names: str) -> list[Path]:
    return [path for path in MODULES for name in names if path.is_relative_to(PACKAGE / name)]


# A network, which a judge imports when it is needed.
NETWORKS = [PACKAGE / "judges" / "ctc.py"]


@pytest.mark.parametrize(
    "path", [path for path in below(*LIGHT) if path not in NETWORKS], ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_light_modules_load_nothing_heavy(path: Path) -> None:
    assert not {name.partition(".")[0] for name in imports(path, top_level=True)} & HEAVY


@pytest.mark.parametrize("path", below("codec", "lm"), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_the_models_know_nothing_of_projects_runs_or_settings(path: Path) -> None:
    allowed = {"codec", "devices", "lm", "errors", "nn", "reading", "weights", "wording"}
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
    assert not loaded & (
        HEAVY | {"numpy", "tiktoken", "tokenizers", "soundfile", "sqlite_utils", "scipy", "safetensors"}
    )


def test_families_know_nothing_of_projects_runs_or_settings() -> None:
    allowed = {"families", "lm", "errors", "files", "nn", "reading", "tensorfiles", "weights", "wording"}
    for path in below("families"):
        assert {name.split(".")[1] for name in imports(path) if name.startswith("fishtui.")} <= allowed


def test_modules_do_not_import_each_other_in_a_circle() -> None:
    assert circles(import_graph(with_types=True)) == KNOWN_CIRCLES


def test_parts_do_not_import_each_other_in_a_circle() -> None:
    graph: dict[str, set[str]] = {}
    for name, targets in import_graph().items():
        part = part_of(name)
        graph.setdefault(part, set()).update({part_of(target) for target in targets} - {part})
    assert circles(graph) == set()


def test_every_part_has_a_place_in_the_order() -> None:
    parts = [part_of(module_name(path)) for path in MODULES]
    assert sorted(ORDER) == sorted(set(parts) - {""})


def test_imports_point_downwards() -> None:
    height = {part: number for number, part in enumerate(["", *ORDER])}
    upward = {
        (name, target)
        for name, targets in import_graph().items()
        for target in targets
        if part_of(name) != part_of(target) and height[part_of(target)] >= height[part_of(name)]
    }
    assert upward == KNOWN_UPWARD


def test_training_knows_only_the_reporter_of_runs() -> None:
    found = {
        target
        for name, targets in import_graph().items()
        if part_of(name) == "training"
        for target in targets
        if part_of(target) == "runs"
    }
    assert found == {"fishtui.runs.reporter"}


# A key that does something (`press x`, `y asks for it`), or a screen and its number (`Clips (2)`).
KEYS = re.compile(
    r"\b[Pp]ress(es)? (\w|[?:/]|ctrl\+\w|space|enter|tab)(?![\w-])"
    r"|(?<![\w`'<./-])[b-zB-HJ-Z?] (asks|edits|filters|hears|launches|marks|opens|plays|serves|shows|stops|types)\b"
    r"|\b(Overview|Clips|Runs|Launch|Models|Settings) \(\d\)"
)


@pytest.mark.parametrize(
    ("text", "is_key"),
    [
        *[("press y to hear it", True), ("L serves it", True), ("as Clips (2) shows it", True), ("press ctrl+c", True)],
        *[("a filter shows", False), ("press release", False), ("2 clips (2)", False), ("`t` stops", False)],
    ],
)
def test_keys_and_screens_are_recognized(text: str, is_key: bool) -> None:
    assert bool(KEYS.search(text)) is is_key


def test_only_the_interface_names_its_keys_and_screens() -> None:
    found = {
        (path.relative_to(ROOT).as_posix(), match[0])
        for path in MODULES
        if not path.is_relative_to(PACKAGE / "tui")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        for match in KEYS.finditer(node.value)
    }
    assert found == KNOWN_KEYS


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
    # A form has the options of its command, and reads them from the command itself; the palette finds all commands.
    assert {each for each in found if each[1].startswith("fishtui.cli")} <= {
        ("tui", "fishtui.cli"),
        ("tui", "fishtui.cli.commands"),
        ("tui", "fishtui.cli.drafts"),
        ("tui", "fishtui.cli.forms"),
    }


def test_only_the_interface_imports_textual() -> None:
    outside = [path for path in MODULES if not path.is_relative_to(PACKAGE / "tui")]
    assert [path for path in outside for name in imports(path) if name.partition(".")[0] == "textual"] == []


def test_the_interface_shows_text_only_through_the_widget_that_sanitizes_it() -> None:
    using = {
        path.stem
        for path in below("tui")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Name) and node.id in ("Static", "Label")
    }
    assert using == {"line"}


def test_only_the_app_shows_notifications_which_it_sanitizes() -> None:
    using = {
        path.stem
        for path in below("tui")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr == "notify"
    }
    assert using == {"notices"}


def test_no_module_has_more_than_400_lines() -> None:
    lengths = {str(path.relative_to(PACKAGE)): len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}
    assert {name: lines for name, lines in lengths.items() if lines > 400} == {}


def test_the_readme_lists_the_parts_of_the_package() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    block = readme.partition("## Layout")[2].partition("```")[2].partition("```")[0]
    named = set(re.findall(r"^ {4}([\w.]+/?)", block, re.MULTILINE))
    there = {
        f"{path.name}/" if path.is_dir() else path.name for path in PACKAGE.iterdir() if path.name != "__pycache__"
    }
    assert named == there


def test_the_package_contains_no_paths_of_a_developers_machine() -> None:
    for path in [*MODULES, ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "pyproject.toml"]:
        assert not re.search(r"/(root|home|work)/", path.read_text(encoding="utf-8")), path
