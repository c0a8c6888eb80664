"""The command line from a user's view: help, errors, output, interrupts."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import jsonschema
import psutil
import pytest

from fishtui.cli.clips import clips
from fishtui.cli.commands import command_names, load_command, summary_of
from fishtui.cli.main import run
from fishtui.cli.runs import runs
from fishtui.project import Project
from fishtui.runs.events import read_events
from fishtui.runs.identity import is_alive
from fishtui.runs.state import find_run
from fishtui.settings import load
from fishtui.shards.packed import read_manifest
from tests.builders import command, packable, project, restore_signals, snapshot, tone, write_clip
from tests.expecting import error_in
from tests.forking import fishtui

SCHEMA = json.loads((Path(__file__).parents[2] / "schemas" / "run_event.schema.json").read_text(encoding="utf-8"))
HEAVY = {"numpy", "torch", "torchaudio", "lightning", "peft", "textual", "soundfile", "sqlite_utils", "rich", "scipy"}


@pytest.mark.parametrize("code", ["import fishtui", "from fishtui.cli.main import run; run(['--help'])"])
def test_help_imports_nothing_heavy(code: str) -> None:
    shown = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print('loaded:', *sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = {name.partition(".")[0] for name in shown.stdout.rpartition("loaded:")[2].split()}
    assert not loaded & HEAVY


# Commands that write nothing except the catalog, which a scan can create again.
READING = {"doctor", "scan", "validate", "speakers", "stats", "clips list", "clips search", "clips show", "listen"}
# Its page stores what a person decides there.
READING |= {"compare"}
# Commands on runs have no --dry-run either, except `remove`.
READING |= {f"runs {name}" for name in runs.commands if name != "remove"}
GROUPS = {"clips": clips, "runs": runs}
PARTS = [f"{group} {name}" for group, commands in GROUPS.items() for name in commands.commands]


@pytest.mark.parametrize("name", [*(name for name in command_names() if name not in GROUPS), *PARTS])
def test_every_command_has_a_help_with_json_and_dry_run_where_it_writes(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*name.split(), "--help"]) == 0
    text = capsys.readouterr().out
    assert "--json" in text
    assert ("--dry-run" in text) == (name not in READING)


@pytest.mark.parametrize("name", ["", *command_names(), *PARTS])
def test_every_help_fits_a_terminal_of_80_columns(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert run([*name.split(), "--help"]) == 0
    assert [line for line in capsys.readouterr().out.splitlines() if len(line) > 80] == []


@pytest.mark.parametrize("name", [*command_names(), *PARTS])
def test_every_command_has_a_summary_that_fits(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    *group, name = name.split()
    assert run([*group, "--help"]) == 0
    summary = next(line for line in capsys.readouterr().out.splitlines() if line.startswith(f"  {name} "))
    assert not summary.endswith("...")


@pytest.mark.parametrize("name", command_names())
def test_the_list_of_commands_has_the_summary_of_each(name: str) -> None:
    command = load_command(name)
    assert command is not None
    assert command.get_short_help_str(200) == click.Command(name, help=summary_of(name)).get_short_help_str(200)


def test_the_plan_names_the_training_that_it_starts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_clip(tmp_path / "data" / "anna" / "1.wav")
    (tmp_path / "fishtui.toml").touch()
    assert run(["run", "--dry-run", "--set", "run.name=second", "--project", str(tmp_path)]) == 0
    train = next(line for line in capsys.readouterr().out.splitlines() if " train " in line)
    assert "second" in train


WRONG = [
    (["extrct"], 2, "no-such-command", "extrct"),
    (["extract", "--bach-size", "3"], 2, "usage", "--bach-size"),
    (["extract", "--batch-size", "0"], 2, "bad-setting", "extract.batch_size"),
    (["extract", "--set", "extract.batchsize=3"], 2, "unknown-setting", "extract.batch_size"),
    (["extract", "--set", "extract.batch_size"], 2, "no-value", "extract.batch_size"),
    (["extract", "nowhere"], 2, "no-project", "fishtui init"),
    (["train", "x", "--resume", "--restart"], 2, "conflicting-options", "--restart"),
    (["merge"], 2, "choose-one", "NAME"),
    (["merge", "x"], 2, None, "x"),
    (["synthesize"], 2, "missing-option", "--text"),
    (
        ["synthesize", "--text", "x", "--reference", "a.wav", "--reference", "b.wav", "--reference-text", "x"],
        2,
        "reference-texts",
        "2 references",
    ),
    (["synthesize", "--text", "x", "--reference", "a.wav"], 2, "no-reference", "a.wav"),
    (["synthesize", "--text-file", "x.txt"], 2, "cannot-read", "x.txt"),
    (["normalize", "a", "a"], 2, None, "a"),
    (["runs", "remove", ""], 2, None, ""),
    (["runs", "stop", ""], 2, None, ""),
    (["runs", "remove"], 2, "choose-one", "--ended"),
    (["run", "pack", "--until", "train"], 2, "conflicting-options", "--until"),
    (["run", "pak"], 2, "usage", "pak"),
    (["run", "--from", "merge", "--until", "pack"], 2, "wrong-order", "merge"),
    (["run"], 2, "no-project", "fishtui init"),
    (["init", "x", "--project", "y"], 2, "conflicting-options", "--project"),
    (["init", "x", "--set", "train.sed=1"], 2, "unknown-setting", "train.seed"),
    (["demo", "x", "--set", "train.seed=z"], 2, "bad-setting", "train.seed"),
    (["listen", "--limit", f"{10**20}"], 2, "usage", "--limit"),
    (["pack", "--shard-size", "inf"], 2, "bad-setting", "pack.shard_size"),
    (["train", "x", "--set", f"train.seed={10**30}"], 2, "bad-setting", "train.seed"),
    (["run", "--set", "run.name=../x"], 2, "bad-setting", "run.name"),
    (["scan"], 2, "no-dataset", "data"),
    (["clips", "tag", "--where", "x"], 2, "missing-option", "--add"),
    (["clips", "fix", "clipped"], 2, "no-repair", "clipped"),
    (["import", ".", "--column", "text"], 2, "bad-column", "text"),
    (["import", ".", "--data", "/elsewhere"], 2, "outside-project", "/elsewhere"),
]


@pytest.mark.parametrize(("arguments", "status", "code", "named"), WRONG)
def test_an_error_under_json_is_one_object(
    arguments: list[str],
    status: int,
    code: str | None,
    named: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run([*arguments, "--json"]) == status
    shown = capfd.readouterr()
    error = error_in(shown.out)
    assert code in (None, error["code"])
    assert named in f"{error['problem']} {error['remedy']}"
    assert error["remedy"]
    assert shown.err == ""


@pytest.mark.parametrize(("arguments", "status", "code", "named"), WRONG)
def test_an_error_is_lines_on_stderr(
    arguments: list[str],
    status: int,
    code: str | None,
    named: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(arguments) == status
    shown = capfd.readouterr()
    assert named in shown.err
    assert "Traceback" not in shown.err
    assert shown.out == ""


def test_init_creates_a_project_in_the_requested_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    assert run(["init", "--project", "../there"]) == 0
    assert run(["init", "below", "--set", "train.seed=3", "--set", "train.targets=mlp"]) == 0
    assert load(here / "below" / "fishtui.toml", {}).values.train.seed == 3
    assert load(here / "below" / "fishtui.toml", {}).values.train.targets == ("mlp",)
    assert run(["init", "below", "--set", "train.seed=4"]) == 2
    assert load(here / "below" / "fishtui.toml", {}).values.train.seed == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["here", "there"]
    assert [path.name for path in here.iterdir()] == ["below"]
    assert (tmp_path / "there" / "fishtui.toml").is_file()


def test_run_with_stage_names_runs_the_pipeline_up_to_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd
) -> None:
    monkeypatch.chdir(project(tmp_path, '[run]\nsource = "raw"\n').root)
    packable(tmp_path / "data")

    def requested(*words: str) -> list[str]:
        assert run(["run", *words, "--dry-run", "--json"]) == 0
        planned = json.loads(capfd.readouterr().out)
        return [each["stage"] for each in planned if each["reason"] != "not requested"]

    assert requested("pack") == requested("pack", "pack") == ["normalize", "extract", "pack"]
    assert requested("train", "extract") == ["extract", "pack", "train"]


def test_a_full_disk_and_a_removed_working_directory_are_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(command("--help"), stdout=full, stderr=subprocess.PIPE, text=True)
    assert result.returncode == 1
    assert "no space left" in result.stderr
    gone = tmp_path / "gone"
    gone.mkdir()
    for words in (["scan"], ["scan", "--project", "../here"], ["init", "new"]):
        gone.mkdir(exist_ok=True)
        script = f"cd {gone}; rmdir {gone}; exec {shlex.join(command(*words))}"
        result = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
        assert result.returncode == 2
        assert "has been removed" in result.stderr


def test_a_stage_writes_a_record_and_events_that_match_the_schema(tmp_path: Path) -> None:
    root = project(tmp_path).root
    packable(root / "data")
    (root / "data" / "anna" / "00.lab").write_bytes(b"")
    result = fishtui("pack", "--set", "pack.validation=0.2", cwd=root)
    assert result.returncode == 3
    assert "24 clips: 23 done, 1 failed" in result.stdout
    assert "anna/00: empty-transcript" in result.stdout
    (folder,) = (root / ".fishtui" / "runs").iterdir()
    record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    assert (record["stage"], record["state"], record["exit_status"]) == ("pack", "partial", 3)
    assert record["ledger"]["total"] == 24
    assert record["settings"]["pack"]["validation"] == 0.2
    assert record["sources"] == {"pack.validation": "--set"}
    assert record["process"]["pid"] > 0
    assert record["versions"]["fishtui"]
    events = list(read_events(folder / "events.jsonl"))
    for event in events:
        jsonschema.validate(event, SCHEMA)
    assert events[-1]["kind"] == "end"
    assert (folder / "output.log").exists()


def test_json_output_is_one_object_per_line_on_stdout_only(tmp_path: Path) -> None:
    root = project(tmp_path).root
    packable(root / "data")
    result = fishtui("pack", "--json", cwd=root)
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert (lines[0]["kind"], lines[-1]["kind"]) == ("run", "end")
    assert lines[-1]["ledger"]["done"] == 24
    assert result.stderr == ""
    dry = fishtui("pack", "--json", "--dry-run", cwd=root)
    assert json.loads(dry.stdout)["ledger"]["done"] == 24


@pytest.mark.parametrize(
    "arguments", [["normalize", "data", "out"], ["extract"], ["pack"], ["init"], ["demo", "somewhere"]]
)
def test_a_dry_run_writes_nothing(arguments: list[str], tmp_path: Path, checkpoint: Path) -> None:
    root = project(tmp_path, f'[paths]\ncheckpoint = "{checkpoint}"\n').root
    write_clip(root / "data" / "anna" / "a.wav", samples=tone(0.3))
    packable(root / "data")
    before = snapshot(tmp_path)
    assert fishtui(*arguments, "--dry-run", cwd=root).returncode == 0
    assert snapshot(tmp_path) == before


def test_an_internal_error_is_reported_without_its_traceback_which_is_in_the_log(tmp_path: Path) -> None:
    root = project(tmp_path).root
    packable(root / "data")
    faulty = tmp_path / "faulty"
    faulty.mkdir()
    # Python imports this module when it starts.
    (faulty / "sitecustomize.py").write_text(
        "import fishtui.stages.pack as pack\ndef broken(*a, **k): raise ZeroDivisionError('oops')\npack.pack = broken\n"
    )
    plain, debug = (fishtui("pack", *more, cwd=root, PYTHONPATH=str(faulty)) for more in ([], ["--debug"]))
    assert plain.returncode == debug.returncode == 1
    assert "ZeroDivisionError: oops" in plain.stderr
    assert "Traceback" not in plain.stderr
    assert "Traceback" in debug.stderr
    log = next((root / ".fishtui" / "runs").glob("*/output.log"))
    assert "Traceback" in log.read_text(encoding="utf-8")


HOSTILE = {
    "newline": "a\nb",
    "markup": "[red]bold[red]",
    "escape": "\x1b[2J\x1b]0;title\x07",
    "arabic": "مرحبا",
    "bidi": "a\u202egnp",
    "not utf-8": os.fsdecode(b"caf\xe9"),
    "spaces": "  two  spaces ",
    "percent": "%s{0}$(id);`id`",
}


@pytest.mark.long
def test_hostile_names_pass_every_stage_and_are_shown_sanitized(tmp_path: Path, checkpoint: Path) -> None:
    root = project(tmp_path / "p", f'[paths]\ncheckpoint = "{checkpoint}"\n').root
    for name in HOSTILE.values():
        write_clip(root / "raw" / name / f"{name}.wav", samples=tone(0.5))
        (root / "raw" / name / f"{name} bad.wav").write_bytes(b"")
    outputs = []
    for arguments in (["normalize", "raw", "data"], ["extract"], ["pack"]):
        result = fishtui(*arguments, cwd=root)
        outputs += [result.stdout, result.stderr]
        assert f"{len(HOSTILE)} done" in result.stdout, result.stderr
        assert "Traceback" not in result.stderr
    for name in HOSTILE.values():
        assert f"{name}.npy" in os.listdir(root / "data" / name)
    for text in outputs:
        assert not set(text) & set("\x1b\x07\u202e\udce9")
        assert all(line.isprintable() for line in text.split("\n"))
    manifest = read_manifest(root / "data" / "protos")
    assert {entry["clip"] for entry in manifest} == {f"{name}/{name}" for name in HOSTILE.values()}
    dry = json.loads(fishtui("pack", "--dry-run", "--json", cwd=root).stdout)
    assert dry["ledger"]["done"] == len(HOSTILE)


CLIPS = 600


@pytest.fixture
def normalizing(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], Project]]:
    """`fishtui normalize` in the foreground, after its first clips."""
    found = project(tmp_path)
    first = write_clip(tmp_path / "recordings" / "anna" / "0.wav", samples=tone(1.0))
    for number in range(1, CLIPS):
        os.link(first, first.with_name(f"{number}.wav"))
        os.link(first.with_suffix(".lab"), first.with_name(f"{number}.lab"))
    process = subprocess.Popen(
        command("normalize", "recordings", "data", "--json", "--workers", "1"),
        cwd=found.root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=restore_signals,
    )
    assert process.stdout is not None
    next(line for line in process.stdout if json.loads(line).get("done"))
    yield process, found
    process.kill()
    process.communicate()


def normalized(project: Project) -> int:
    return len(list((project.root / "data" / "anna").glob("*.wav")))


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_stage_ends_and_keeps_finished_clips(
    normalizing: tuple[subprocess.Popen[str], Project], number: int, status: int
) -> None:
    process, project = normalizing
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == status
    assert "Traceback" not in stderr
    assert json.loads(stdout.splitlines()[-1])["kind"] == "end"
    run = find_run(project, "last")
    assert (run.state, run.exit_status) == ("stopped", status)
    assert 0 < normalized(project) < CLIPS


def test_a_second_interrupt_kills_a_stage_that_does_not_end(
    normalizing: tuple[subprocess.Popen[str], Project],
) -> None:
    process, project = normalizing
    run = find_run(project, "last")
    assert run.process is not None
    psutil.Process(run.process.pid).suspend()
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    assert "second Ctrl-C" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert is_alive(run.process) is False
    assert find_run(project, "last").state == "stopped"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGHUP, signal.SIGPIPE])
def test_a_stage_continues_after_its_terminal_or_reader_is_gone(
    normalizing: tuple[subprocess.Popen[str], Project], number: int
) -> None:
    process, project = normalizing
    if number == signal.SIGPIPE:
        # `| head` closes its end of the pipe like this.
        assert process.stdout is not None
        process.stdout.close()
    else:
        process.send_signal(number)
    process.wait(timeout=60)
    assert process.returncode != 0
    assert find_run(project, "last").state == "running"
    assert fishtui("runs", "attach", cwd=project.root).returncode == 0
    assert normalized(project) == CLIPS
