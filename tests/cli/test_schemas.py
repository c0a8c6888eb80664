"""Real output of every command with --json, against its published schema."""

from __future__ import annotations

import json
import signal
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import click
import jsonschema
import pytest
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from fishtui.catalog.store import Catalog
from fishtui.cli.main import fishtui as commands
from fishtui.runs.state import find_run
from fishtui.settings import ScanSettings, Settings
from tests import builders
from tests.builders import packable, project, time_limit, tone, write_clip
from tests.cutclips import FIRST, cut_talk
from tests.following import ended
from tests.forking import fishtui
from tests.golden_data import GOLDEN

SCHEMAS = Path(__file__).parents[2] / "schemas"
CONTENTS = {path.name: json.loads(path.read_text(encoding="utf-8")) for path in SCHEMAS.glob("*.json")}
OUTPUT = CONTENTS["output.schema.json"]
REGISTRY: Registry = Registry().with_resources(
    (name, DRAFT202012.create_resource(content)) for name, content in CONTENTS.items()
)
SETTINGS = """
[paths]
checkpoint = "{checkpoint}"
[synthesize]
max_seconds = 0.3
[train]
max_steps = 2
[evaluate]
language = "xx"
lines = 1
"""
ADAPTER = str(next((GOLDEN / "lora").glob("step_*.ckpt")))

# Each command in all forms of its output, in an order in which they work; `SOURCE` is a dataset to import.
CALLS: list[list[str]] = [
    ["init", "new"],
    ["init", "new", "--dry-run"],
    ["demo", "new-demo", "--dry-run"],
    ["settings"],
    ["settings", "train.seed", "7"],
    ["settings", "train.seed", "--reset"],
    ["trust", "."],
    ["trust", ".", "--revoke"],
    ["doctor"],
    ["import", "SOURCE", "--speaker", "carla", "--dry-run"],
    ["import", "SOURCE", "--speaker", "carla", "--yes"],
    ["scan"],
    ["validate"],
    ["speakers"],
    ["stats"],
    ["clips", "list"],
    ["clips", "search", "spoken"],
    ["clips", "accept", "anna/a"],
    ["clips", "reject", "anna/b", "--note", "cough"],
    ["clips", "reopen", "anna/b"],
    ["clips", "tag", "anna/a", "--add", "loud"],
    ["clips", "edit", "anna/a", "--text", "Other words."],
    ["clips", "fix", "silence-at-ends", "--dry-run"],
    ["clips", "fix", "silence-at-ends"],
    ["clips", "show", "anna/a"],
    ["clips", "show", "anna/broken"],
    ["clips", "export-reviews", "reviews.jsonl"],
    ["clips", "import-reviews", "reviews.jsonl"],
    ["clips", "undo"],
    ["clips", "move", FIRST, "--end", "0.1"],
    ["clips", "split", FIRST, "1"],
    ["clips", "merge", FIRST],
    ["clips", "merge", FIRST, "--dry-run"],
    ["download", "nobody/nothing"],
    ["normalize", "raw", "louder"],
    ["normalize", "raw", "louder", "--dry-run"],
    ["slice", "raw", "--dry-run"],
    ["extract"],
    ["transcribe", "--recognizer", "server", "--url", "http://127.0.0.1:1/v1", "--dry-run"],
    ["score"],
    ["score", "--dry-run"],
    ["pack"],
    ["run", "pack"],
    ["run", "--dry-run"],
    ["train", "voice"],
    ["evaluate", "voice"],
    ["evaluate", "voice", "--dry-run"],
    ["merge", "voice", "--output", "merged"],
    ["synthesize", "--text", "Bread and salt."],
    ["export", "--adapter", ADAPTER, "--output", "exported"],
    ["runs", "list"],
    ["runs", "show"],
    ["runs", "logs"],
    ["runs", "attach"],
    ["runs", "rerun", "pack"],
    ["runs", "attach"],
    ["pack", "--detach"],
    ["runs", "attach"],
    ["runs", "stop", "last"],
    ["runs", "remove", "last"],
]
# Stages that no other test starts with Python; the others run in a fork of this process.
STARTED = {"evaluate", "export"}
# Cannot be in the list: two serve until they are interrupted, and the demo takes minutes.
OTHERS = {"listen", "compare", "demo"}


def names(group: click.Group = commands, prefix: str = "") -> Iterator[str]:
    """Yield the names of the commands that have --json."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from names(command, f"{name}-")
        elif any("--json" in parameter.opts for parameter in command.params):
            yield f"{prefix}{name}"


def check(name: str, document: Any) -> None:
    """Raise ValidationError unless a document matches the schema of the command `name`."""
    schema = {"$ref": f"output.schema.json#/$defs/{name}"}
    jsonschema.Draft202012Validator(schema, registry=REGISTRY).validate(document)


def fault_of(name: str, document: Any) -> str:
    """Return why a document does not match the schema of the command `name`, empty if it does."""
    try:
        check(name, document)
    except jsonschema.ValidationError as error:
        worst = jsonschema.exceptions.best_match([error]) or error
        return f"{worst.json_path}: {worst.message}"[:1000]
    return ""


def name_of(call: list[str]) -> str:
    return "-".join(call[:2]) if call[0] in ("clips", "runs") else call[0]


def test_every_command_with_json_has_a_schema_and_is_tried() -> None:
    wanted = set(names())
    assert wanted - OUTPUT["$defs"].keys() == set()
    assert wanted - {name_of(call) for call in CALLS} - OTHERS == set()
    jsonschema.Draft202012Validator.check_schema(OUTPUT)


def test_schemas_are_strict() -> None:
    """A field that nobody has described must fail."""
    check("scan", {"clips": 1, "new": 0, "changed": 0, "moved": 0, "gone": 0})
    for wrong in ({"clips": 1}, {"clips": 1, "new": 0, "changed": 0, "moved": 0, "gone": 0, "more": 1}):
        with pytest.raises(jsonschema.ValidationError):
            check("scan", wrong)


@pytest.mark.long
def test_the_output_of_every_command_matches_its_schema(tmp_path: Path, checkpoint: Path) -> None:
    root = project(tmp_path / "p", SETTINGS.format(checkpoint=checkpoint)).root
    for name in ("a", "b", "c"):
        write_clip(root / "data" / "anna" / f"{name}.wav", f" It was spoken {name}.", samples=tone(0.5))
        write_clip(root / "raw" / "anna" / f"{name}.wav", samples=tone(0.5))
        write_clip(tmp_path / "source" / f"{name}.wav", samples=tone(0.4, pitch=300))
    (root / "data" / "anna" / "broken.wav").write_bytes(b"not audio")
    packable(root / "data", ["bert"], clips=12)
    with Catalog(builders.Project(root), root / "data") as catalog:
        cut_talk(catalog, Settings(scan=ScanSettings(workers=1)))
    seen: Counter[str] = Counter()
    faults = []
    for call in CALLS:
        words = [word.replace("SOURCE", str(tmp_path / "source")) for word in call]
        name = name_of(call)
        offline = {"HF_HUB_OFFLINE": "1"} if name == "download" else {}
        start = builders.fishtui if name in STARTED else fishtui
        result = start(*words, "--json", cwd=root, **offline)
        documents = [json.loads(line) for line in result.stdout.splitlines()]
        if result.returncode in (1, 2):
            faults += [] if name == "download" else [f"{' '.join(call)}: {result.stdout}{result.stderr}"]
            check("error", documents.pop())
        faults += [f"{' '.join(call)}: {fault}" for fault in map(partial(fault_of, name), documents) if fault]
        if call == ["evaluate", "voice"]:
            assert documents[-1]["kind"] == "verdict"
            assert [row["step"] for row in documents[-1]["table"]["rows"]] == ["base", 2]
        seen[name] += len(documents)
        if "--detach" in call or call[1:2] == ["rerun"]:
            with time_limit(60):
                ended(builders.Project(root), find_run(builders.Project(root), "last"))
    assert not faults, "\n".join(faults)
    assert [name for name, count in seen.items() if not count] == []


def test_listen_matches_its_schema(tmp_path: Path) -> None:
    root = project(tmp_path).root
    write_clip(root / "data" / "anna" / "a.wav", samples=tone(0.5))
    assert fishtui("scan", cwd=root).returncode == 0
    with builders.serving(root, "listen", "--json") as process:
        assert process.stdout is not None
        check("listen", json.loads(process.stdout.readline()))
        process.send_signal(signal.SIGINT)
    assert process.returncode == 0
