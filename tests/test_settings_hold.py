"""Each setting holds in every stage and command that reads what it is about."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import fishtui
from fishtui.catalog.actions import current_transcript, edit
from fishtui.catalog.measurements import measure_clips
from fishtui.catalog.scan import scan
from fishtui.catalog.store import Catalog
from fishtui.checks.facts import ClipFacts
from fishtui.checks.files import missing_transcript
from fishtui.cli.model import _references
from fishtui.dataset import clip_named
from fishtui.demo import run as demo
from fishtui.errors import DataError
from fishtui.importers.run import import_clips
from fishtui.pipeline.state import ProjectState
from fishtui.pipeline.steps import pipeline_steps
from fishtui.project import Project
from fishtui.results.reference import find_reference
from fishtui.runs.ledger import Ledger
from fishtui.runs.reporter import Reporter
from fishtui.settings import Settings, known, load
from fishtui.shards.packed import read_manifest
from fishtui.stages.excluded import find_recordings
from fishtui.stages.init import init
from fishtui.stages.normalize import normalize
from fishtui.stages.pack import pack
from tests import builders, forking
from tests.builders import write_clip, write_codes

PACKAGE = Path(fishtui.__file__).parent
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in PACKAGE.rglob("*.py")}
SETTINGS = "[pack]\ntext_extension = '.txt'\nworkers = 1\n[normalize]\nworkers = 1\n[scan]\nworkers = 1\n"


def tempting(recording: Path, text: str) -> Path:
    """Write a recording with its transcript, and another text where the default setting would look for one."""
    write_clip(recording, "Wrong.")
    recording.with_suffix(".txt").write_text(text, encoding="utf-8")
    return recording


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return builders.project(tmp_path, SETTINGS)


@pytest.fixture
def values(project: Project) -> Settings:
    return load(project.settings_file, {}).values


def test_the_extension_of_transcripts_holds_in_every_stage_and_command(project: Project, values: Settings) -> None:
    """The case text-extension-txt."""
    raw, data, reporter = project.root / "raw", project.root / "data", Reporter()
    tempting(raw / "anna" / "1.wav", "Right.")
    imported = project.root / "imported"
    import_clips(project, reporter, source=raw, data=imported, text_extension=values.pack.text_extension)
    assert {path.name: path.read_text() for path in imported.rglob("*.txt")} == {"1.txt": "Right."}
    assert not list(imported.rglob("*.lab"))
    assert forking.fishtui("import", "raw", "--data", "new", cwd=project.root).returncode == 0
    assert {path.suffix for path in (project.root / "new" / "anna").iterdir()} == {".wav", ".txt"}

    normalize(project, values, reporter, source=raw, target=data, clean=False)
    assert {path.name for path in (data / "anna").iterdir()} == {"1.wav", "1.txt"}

    (data / "anna" / "1.lab").write_text("Wrong.", encoding="utf-8")
    (data / "anna" / "orphan.lab").write_text("Wrong.", encoding="utf-8")
    ledger = Ledger()
    assert [clip.name for clip, _ in find_recordings(data, values.pack.text_extension, ledger)] == ["anna/1"]
    assert ledger.total == 0
    write_codes(data / "anna" / "1.npy")
    with Catalog(project, data) as catalog:
        scan(catalog, values, reporter)
        measure_clips(catalog, values, reporter)
        [(clip, text)] = [tuple(row) for row in catalog.query("SELECT id, text FROM clips")]
        assert text == current_transcript(catalog, values, clip) == "Right."
        assert edit(catalog, values, clip, "Right again.")
    assert (data / "anna" / "1.txt").read_text() == "Right again."
    assert (data / "anna" / "1.lab").read_text() == "Wrong."

    pack(project, values, reporter, data=data, output=data / "protos")
    assert [entry["text"] for entry in read_manifest(data / "protos")] == ["Right again."]

    for name in ("anna/1", "data/anna/1.wav", "data/anna/1.npy"):
        reference = find_reference(project, values, name)
        assert reference is not None
        assert reference.text == "Right again."
    recording = data / "anna" / "1.wav"
    assert _references((recording,), (), values.pack.text_extension) == [(recording, "Right again.")]
    state = ProjectState(project, load(project.settings_file, {}, [f"run.reference={recording}"]).values, reporter)
    assert state.reference == (recording, data / "anna" / "1.txt")
    assert {"pack.text_extension"} <= set(pipeline_steps()["normalize"].settings)


def test_without_a_transcript_of_the_extension_none_is_taken(project: Project, values: Settings) -> None:
    recording = write_clip(project.root / "data" / "anna" / "1.wav", "Wrong.")
    clip = clip_named(project.root / "data", "anna/1", values.pack.text_extension)
    with pytest.raises(DataError):
        clip.read_transcript()
    detail = missing_transcript(
        ClipFacts(name="1", speaker="a", files=("1.wav",), text_fault="missing-transcript"), values
    )
    assert detail is not None
    assert ".txt" in detail
    result = forking.fishtui("synthesize", "--text", "x", "--reference", str(recording), "--json", cwd=project.root)
    assert result.returncode == 2
    assert '"no-transcript"' in result.stdout


def test_the_demo_and_init_follow_the_settings(tmp_path: Path) -> None:
    made = demo._prepare(tmp_path / "demo", ["pack.text_extension=.txt"])
    assert {path.suffix for path in (made.root / "data-raw").rglob("*.*")} == {".flac", ".txt"}
    assert "voices/" in init(Project(tmp_path), ["paths.data=voices"])
    assert (tmp_path / "voices").is_dir()
    assert not (tmp_path / "data").exists()


@dataclass(frozen=True)
class Defaulted:
    """A parameter of a function of fishtui whose name and default are those of a setting."""

    module: Path
    function: str
    parameter: str
    # Without `self`; None if it is given by name only.
    position: int | None
    required: int
    is_method: bool


def defaulted() -> Iterator[Defaulted]:
    """Yield all such parameters; a class is the function that makes its objects."""
    defaults = defaultdict(list)
    for setting in known().values():
        defaults[setting.name.partition(".")[2]].append(setting.default)
    for path, tree in TREES.items():
        classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
        owners = {node: owner for owner in classes for node in owner.body}
        for node in ast.walk(tree):
            if not isinstance(node, ast.FunctionDef):
                continue
            owner = owners.get(node)
            by_position = node.args.args[bool(owner) :]
            required = len(by_position) - len(node.args.defaults)
            pairs = list(zip(by_position[required:], node.args.defaults, range(required, 100), strict=False))
            pairs += [
                (each, default, None) for each, default in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
            ]
            for argument, default, position in pairs:
                value = ".lab" if getattr(default, "id", "") == "TEXT_EXTENSION" else getattr(default, "value", None)
                if any(type(value) is type(each) and value == each for each in defaults[argument.arg]):
                    is_made = owner is not None and node.name == "__init__"
                    name = owner.name if is_made else node.name
                    yield Defaulted(path, name, argument.arg, position, required, bool(owner) and not is_made)


def may_call(path: Path, tree: ast.Module, call: ast.Call, wanted: Defaulted) -> bool:
    """Return True if a call in a module can be one of the function `wanted`."""
    if isinstance(call.func, ast.Attribute):
        given = len(call.args) + len(call.keywords)
        return call.func.attr == wanted.function and wanted.is_method and given >= wanted.required
    if getattr(call.func, "id", "") != wanted.function or wanted.is_method:
        return False
    module = ".".join(["fishtui", *wanted.module.relative_to(PACKAGE).with_suffix("").parts])
    imported = (node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom))
    return path == wanted.module or module in imported


def test_no_call_leaves_a_setting_at_the_default_of_a_function() -> None:
    """Functions of the Python API have defaults of their own; fishtui itself always passes the setting."""
    functions = list(defaulted())
    assert {"find_clips", "clip_named", "import_clips", "Voice"} <= {each.function for each in functions}
    left = []
    for path, tree in TREES.items():
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            for each in (each for each in functions if may_call(path, tree, call, each)):
                by_name = each.parameter in {keyword.arg for keyword in call.keywords}
                if not by_name and (each.position is None or len(call.args) <= each.position):
                    left.append(f"{path.relative_to(PACKAGE)}:{call.lineno}: {each.function} without {each.parameter}")
    assert left == []


def test_only_the_dataset_and_the_settings_name_the_default_extension() -> None:
    places = {
        str(path.relative_to(PACKAGE))
        for path, tree in TREES.items()
        for node in ast.walk(tree)
        if (isinstance(node, ast.Constant) and node.value == ".lab")
        or (isinstance(node, ast.Name) and node.id == "TEXT_EXTENSION")
    }
    # The importers read folders of other tools; their parameters, and the demo's, are checked above.
    ours = {place for place in places if not place.startswith(("importers/", "demo/"))}
    assert ours == {"dataset.py", "settings/sections.py"}


def test_every_setting_is_read() -> None:
    """By an attribute of its name, somewhere other than in the declarations of settings, stages and steps."""
    declared = {PACKAGE / "settings/sections.py", PACKAGE / "stage.py"}
    read = {
        node.attr
        for path, tree in TREES.items()
        if path not in declared
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)
    }
    assert [name for name in known() if name.partition(".")[2] not in read] == []
