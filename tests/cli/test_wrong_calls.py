"""Wrong calls of every stage: an error with a code, at once, and nothing is loaded, recorded or created."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from fishtui.stage import stage_names
from tests.builders import packable, project, snapshot, tone, write_clip

HEAVY = ("torch", "torchaudio", "lightning", "peft", "transformers", "scipy", "textual", "huggingface_hub")
# Run in one fresh interpreter, because what one call loads stays loaded.
SCRIPT = f"""
import contextlib, io, json, sys
from fishtui.cli.main import run
for call in json.loads(sys.argv[1]):
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        status = run([*call, "--json"])
    heavy = [name for name in {HEAVY} if name in sys.modules]
    print(json.dumps({{"call": call, "status": status, "shown": shown.getvalue(), "heavy": heavy}}))
"""
ADAPTER = ["--adapter", "adapter"]
CALLS: dict[str, list[tuple[list[str], str]]] = {
    "normalize": [
        ([], "usage"),
        (["audio"], "usage"),
        (["nowhere", "out"], "not-a-folder"),
        (["file", "out"], "usage"),
        (["empty", "out"], "no-audio"),
        (["audio", "audio"], "overlap"),
        (["audio", "audio/below"], "overlap"),
        (["audio", "file/out"], "not-a-folder"),
        (["audio", "out", "--loudness", "x"], "usage"),
        (["audio", "out", "--workers", "-1"], "bad-setting"),
    ],
    "slice": [
        ([], "usage"),
        (["nowhere"], "not-found"),
        (["empty"], "no-audio"),
        (["data"], "overlap"),
        (["data/anna/0.wav"], "overlap"),
        (["audio", "--min-seconds", "20"], "bad-setting"),
        (["audio", "--channels", "left"], "usage"),
    ],
    "extract": [
        (["nowhere"], "not-a-folder"),
        (["empty"], "no-audio"),
        (["audio", "--set", "paths.checkpoint=nope"], "no-checkpoint-folder"),
        (["audio", "--checkpoint", "nope/codec.pth"], "no-checkpoint-folder"),
        (["audio", "--checkpoint", "empty/codec.pth"], "no-checkpoint-file"),
        (["audio", "--device", "gpu"], "bad-setting"),
        (["audio", "--device", "cuda:99"], "no-such-device"),
    ],
    "score": [
        (["nofield:x"], "unknown-field"),
        (["--adapter", "a/b"], "no-adapter"),
        (["--adapter", "nobody"], "no-checkpoints"),
        (["--adapter", "done:7"], "no-such-step"),
        (["--set", "paths.data=audio"], "no-codes"),
        (["--set", "paths.checkpoint=nope"], "no-checkpoint-folder"),
        (["--dry-run"], "no-catalog"),
        (["--device", "cuda:99"], "no-such-device"),
        (["--batch-tokens", "0"], "bad-setting"),
    ],
    "transcribe": [
        (["nofield:x"], "unknown-field"),
        (["--recognizer", "other"], "usage"),
        (["--recognizer", "server"], "no-server"),
        (["--recognizer", "server", "--url", "http://user:word@host"], "bad-setting"),
        (["--recognizer", "pocketsphinx", "--language", "de"], "unknown-language"),
        (["--model", "./nowhere"], "missing-recognizer"),
        (["--recognizer", "server", "--url", "http://host"], "no-audio"),
        (["--recognizer", "server", "--url", "http://host", "--set", "paths.data=audio", "--dry-run"], "no-catalog"),
    ],
    "pack": [
        (["nowhere"], "not-a-folder"),
        (["audio"], "no-complete-clips"),
        (["data", "--output", "file/below"], "not-a-folder"),
        (["data", "--output", "foreign"], "output-in-use"),
        (["--shard-size", "0"], "bad-setting"),
    ],
    "train": [
        ([], "usage"),
        (["a/b"], "invalid-name"),
        ([".."], "invalid-name"),
        (["x", "--resume", "--restart"], "conflicting-options"),
        (["x", "--set", "paths.checkpoint=nope"], "no-checkpoint-folder"),
        (["x", "--set", "paths.checkpoint=empty"], "no-checkpoint-file"),
        (["x"], "no-shards"),
        (["x", "--lora", "r8"], "bad-setting"),
        (["x", "--lora", "r_0_alpha_0"], "bad-setting"),
        (["x", "--set", "train.targets=atention"], "bad-setting"),
        (["done"], "has-checkpoints"),
        (["x", "--device", "cuda:99"], "no-such-device"),
    ],
    "merge": [
        ([], "choose-one"),
        (["x", *ADAPTER], "choose-one"),
        (["x"], "no-checkpoints"),
        (["done", "--step", "7"], "no-such-step"),
        (["--adapter", "nope"], "no-adapter"),
        (["--adapter", "empty"], "not-a-peft-adapter"),
        ([*ADAPTER, "--base", "/nope"], "no-checkpoint-folder"),
        ([*ADAPTER, "--base", "empty"], "no-checkpoint-file"),
        ([*ADAPTER, "--template", "x"], "usage"),
        ([*ADAPTER, "--output", "audio"], "output-in-use"),
        ([*ADAPTER, "--output", "file/below"], "not-a-folder"),
        ([*ADAPTER, "--output", "{checkpoint}/below"], "output-overlaps-base"),
    ],
    "synthesize": [
        ([], "missing-option"),
        (["--text", " "], "missing-option"),
        (["--text-file", "nope"], "cannot-read"),
        (["--text", "x", "--checkpoint", "/nope"], "no-checkpoint-folder"),
        (["--text", "x", "--checkpoint", "empty"], "no-checkpoint-file"),
        (["--text", "x", "--adapter", "nope"], "no-adapter"),
        (["--text", "x", "--reference", "nope.wav"], "no-reference"),
        (["--text", "x", "--reference", "audio/bare.wav"], "no-transcript"),
        (["--text", "x", "--output", "a.txt"], "output-format"),
        (["--text", "x", "--output", "audio/a.wav"], "exists"),
        (["--text", "x", "--output", "file/a.wav"], "not-a-folder"),
        (["--text", "x", "--temperature", "-1"], "bad-setting"),
        (["--text", "x", "--device", "cuda:99"], "no-such-device"),
    ],
    "run": [
        (["pak"], "usage"),
        (["pack", "--until", "train"], "conflicting-options"),
        (["--from", "merge", "--until", "pack"], "wrong-order"),
        (["--set", "paths.checkpoint=nope"], "no-checkpoint-folder"),
        (["pack", "--set", "paths.data=nope"], "not-a-folder"),
        (["--set", "run.source=nope"], "not-a-folder"),
        (["--set", "run.name=a/b"], "bad-setting"),
        (["pack", "train", "--set", "train.device=cuda:99"], "no-such-device"),
    ],
    "evaluate": [
        ([], "usage"),
        (["a/b"], "invalid-name"),
        (["x"], "no-checkpoints"),
        (["done", "--step", "7"], "no-such-step"),
        (["done", "--set", "paths.checkpoint=nope"], "no-checkpoint-folder"),
        (["done"], "no-manifest"),
        (["done", "--device", "cuda:99"], "no-such-device"),
    ],
    "export": [
        ([], "usage"),
        (["--output", "out"], "choose-one"),
        (["x", "--output", "out"], "no-checkpoints"),
        (["--adapter", "nope", "--output", "out"], "no-adapter"),
        ([*ADAPTER, "--output", "audio"], "output-in-use"),
        ([*ADAPTER, "--output", "adapter"], "exists"),
        ([*ADAPTER, "--output", "file/below"], "not-a-folder"),
    ],
    "download": [
        (["nothing"], "not-a-repository"),
        (["a/b/c"], "not-a-repository"),
        (["../x"], "not-a-repository"),
        (["a/b", "--set", "paths.checkpoint=file/b"], "not-a-folder"),
        (["a/b", "--judge", "intelligibility"], "conflicting-options"),
        (["--judge", "voice"], "nothing-to-download"),
        (["--judge", "nothing"], "unknown-judge"),
        (["--judge", "similarity"], "nothing-to-download"),
        (["--judge", "intelligibility", "--set", "evaluate.recognizer=pocketsphinx"], "nothing-to-download"),
        (["--judge", "intelligibility", "--set", "evaluate.recognizer=whisper"], "bad-setting"),
    ],
}


def called(folder: Path, calls: list[list[str]]) -> list[dict]:
    """Run the calls in a fresh interpreter; return their outcomes."""
    result = subprocess.run(
        [sys.executable, "-P", "-c", SCRIPT, json.dumps(calls)], cwd=folder, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    outcomes = [json.loads(line) for line in result.stdout.splitlines()]
    assert [each["call"] for each in outcomes] == calls
    return outcomes


def names(folder: Path) -> list[str]:
    return sorted(str(path) for path in folder.rglob("*"))


@pytest.mark.parametrize("stage", stage_names())
def test_a_wrong_call_loads_records_and_creates_nothing(stage: str, tmp_path: Path, checkpoint: Path) -> None:
    root = project(tmp_path, f'[paths]\ncheckpoint = "{checkpoint}"\n').root
    write_clip(root / "audio" / "a.wav", samples=tone(0.1))
    write_clip(root / "audio" / "bare.wav", None, samples=tone(0.1))
    packable(root / "data", clips=1)
    (root / "empty").mkdir()
    (root / "file").touch()
    for path in ("foreign/0.protos", "adapter/adapter_config.json", "results/done/checkpoints/step_000000020.ckpt"):
        (root / path).parent.mkdir(parents=True)
        (root / path).write_text("{}")
    before = names(tmp_path), snapshot(tmp_path)
    calls = [[stage, *(word.format(checkpoint=checkpoint) for word in words)] for words, _ in CALLS[stage]]
    for outcome, (_, code) in zip(called(root, calls), CALLS[stage], strict=True):
        (line,) = outcome["shown"].splitlines()
        error = json.loads(line)
        assert (outcome["call"], error["kind"], error["code"]) == (outcome["call"], "error", code)
        assert outcome["status"] in (1, 2)
        assert error["remedy"]
        assert outcome["heavy"] == []
    assert (names(tmp_path), snapshot(tmp_path)) == before


@pytest.mark.parametrize("stage", [*stage_names(), "import"])
def test_outside_a_project_nothing_is_created(stage: str, tmp_path: Path, checkpoint: Path) -> None:
    write_clip(tmp_path / "audio" / "a.wav", samples=tone(0.1))
    right = {
        "normalize": ["audio", "out"],
        "slice": ["audio"],
        "extract": ["audio"],
        "pack": ["audio"],
        "score": [],
        "transcribe": [],
        "train": ["x"],
        "merge": [*ADAPTER],
        "evaluate": ["x"],
        "synthesize": ["--text", "x", "--checkpoint", str(checkpoint)],
        "run": [],
        "export": [*ADAPTER, "--output", "out"],
        "download": ["owner/name"],
        "import": ["audio", "--speaker", "anna"],
    }
    before = names(tmp_path)
    calls = [[stage, *right[stage]], *([stage, *words] for words, _ in CALLS.get(stage, ()))]
    outcomes = called(tmp_path, calls)
    assert json.loads(outcomes[0]["shown"])["code"] == "no-project"
    assert {each["status"] for each in outcomes} <= {1, 2}
    assert all(each["heavy"] == [] for each in outcomes)
    assert names(tmp_path) == before
