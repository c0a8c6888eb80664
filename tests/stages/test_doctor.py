from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import pytest
import torch

from fishtui.project import Project
from fishtui.settings import EvaluateSettings, PathSettings, Settings
from fishtui.stages import doctor
from tests.builders import fishtui, snapshot


def diagnoses(root: Path, checkpoint: Path) -> dict[str, doctor.Diagnosis]:
    settings = Settings(paths=PathSettings(checkpoint=str(checkpoint)))
    return {finding.name: finding for finding in doctor.examine(Project(root), settings)}


def test_a_good_checkpoint_has_no_problems(tmp_path: Path, checkpoint: Path) -> None:
    found = diagnoses(tmp_path, checkpoint)
    assert {found[name].state for name in ("python", "torch", "model", "codec")} == {"ok"}
    assert "million parameters" in found["model"].found
    assert all(each.remedy for each in found.values() if each.state != "ok")


@pytest.mark.parametrize(
    ("spoil", "name", "named"),
    [
        (lambda folder: (folder / "model.pth").unlink(), "model", "model.pth"),
        (lambda folder: (folder / "tokenizer.tiktoken").write_bytes(b"?"), "model", "tokenizer"),
        (lambda folder: edit(folder / "config.json", lambda config: config.pop("dim")), "model", "dim"),
        (lambda folder: edit(folder / "config.json", lambda config: config.update(n_layer=3)), "model", "layers.2"),
        (lambda folder: drop(folder / "model.pth", "norm.weight"), "model", "missing: norm.weight"),
        (lambda folder: cut(folder / "codec.pth"), "codec", "cannot read"),
        (lambda folder: drop(folder / "codec.pth", "decoder.model.0.conv.bias"), "codec", "decoder.model.0.conv.bias"),
    ],
)
def test_a_faulty_checkpoint_is_reported_with_a_remedy(
    tmp_path: Path, checkpoint: Path, spoil, name: str, named: str
) -> None:
    folder = tmp_path / "checkpoint"
    shutil.copytree(checkpoint, folder)
    spoil(folder)
    finding = diagnoses(tmp_path, folder)[name]
    assert finding.state == "error"
    assert named in finding.found
    assert finding.remedy


def edit(path: Path, change) -> None:
    config = json.loads(path.read_text(encoding="utf-8"))
    change(config)
    path.write_text(json.dumps(config), encoding="utf-8")


def drop(path: Path, name: str) -> None:
    tensors = torch.load(path, weights_only=True)
    tensors = {known: value for known, value in tensors.items() if known != name}
    torch.save(tensors, path)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


def test_a_torchaudio_that_cannot_be_imported_is_explained(
    tmp_path: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torchaudio", None)
    finding = diagnoses(tmp_path, checkpoint)["torch"]
    assert finding.state == "error"
    assert "pip install" in finding.remedy


@pytest.mark.parametrize(("answer", "state"), [("b true", "warning"), ("b false", "ok")])
def test_a_machine_that_ends_runs_at_logout_is_reported(
    tmp_path: Path, answer: str, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    busctl = tmp_path / "busctl"
    busctl.write_text(f"#!/bin/sh\necho {answer}\n")
    busctl.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert diagnoses(tmp_path, tmp_path / "none")["logout"].state == state


def test_the_command_exits_with_3_on_an_error_and_writes_nothing(tmp_path: Path) -> None:
    result = fishtui("doctor", "--json", cwd=tmp_path)
    assert result.returncode == 3
    shown = {finding["name"]: finding for finding in json.loads(result.stdout)}
    assert shown["checkpoint"]["state"] == "error"
    assert "fishtui download" in shown["checkpoint"]["remedy"]
    assert snapshot(tmp_path) == {}


@pytest.mark.parametrize(
    ("token", "complete", "state"), [("hf_x", False, "ok"), ("", True, "ok"), ("", False, "warning")]
)
def test_a_token_of_the_hub_is_explained_and_not_shown(
    token: str, complete: bool, state: str, tmp_path: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", token)
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "token"))
    finding = diagnoses(tmp_path, checkpoint if complete else tmp_path)["hub"]
    assert finding.state == state
    assert "hf_x" not in finding.found
    assert ("HF_TOKEN" in finding.remedy) == (state != "ok")


def test_missing_judges_are_warnings_with_a_remedy_each(tmp_path: Path) -> None:
    settings = Settings(evaluate=EvaluateSettings(recognizer="ctc:digits.bin", similarity="wavlm:./wavlm"))
    found = [each for each in doctor.examine(Project(tmp_path), settings) if each.name == "judges"]
    assert [each.state for each in found][:3] == ["ok", "warning", "warning"]
    assert "failures" in found[0].found
    assert "preprocessor_config.json" in found[2].found
    assert all(each.remedy for each in found[1:])


def test_a_folder_of_recordings_that_is_missing_is_reported(tmp_path: Path, checkpoint: Path) -> None:
    assert "data" not in diagnoses(tmp_path, checkpoint)
    (tmp_path / "fishtui.toml").touch()
    assert diagnoses(tmp_path, checkpoint)["data"].state == "error"
    (tmp_path / "data" / "ANNA").mkdir(parents=True)
    assert diagnoses(tmp_path, checkpoint)["data"].state == "warning"
    (tmp_path / "data" / "ANNA" / "01.WAV").touch()
    assert diagnoses(tmp_path, checkpoint)["data"].state == "ok"
