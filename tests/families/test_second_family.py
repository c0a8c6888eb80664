"""A family that is registered works in every stage, without a change elsewhere."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from fishtui.audio.decode import read_audio
from fishtui.checkpoint import UNTRAINED, CheckpointFolder, files_to_download
from fishtui.cli.settingoptions import choices
from fishtui.codec.config import sizes_file
from fishtui.errors import CheckpointError
from fishtui.families import registry
from fishtui.lm.loss import losses
from fishtui.load import load_model
from fishtui.results.speechfiles import SpeechFiles
from fishtui.runs.reporter import Reporter
from fishtui.sentences import Limits, Line, Speech
from fishtui.settings import ExtractSettings, PackSettings, PathSettings, Settings, SynthesizeSettings, TrainSettings
from fishtui.shards.packed import shard_paths
from fishtui.shards.stream import read_sentences
from fishtui.speech import Voice
from fishtui.stages.extract import extract
from fishtui.stages.merge import merge
from fishtui.stages.pack import pack
from fishtui.stages.synthesize import Request, synthesize
from fishtui.stages.train import train
from fishtui.training.preset import parse_preset
from tests.builders import project, tone, write_clip
from tests.expecting import failing
from tests.families.toy import END, PAD, PREFIX, SEMANTIC, START, WEIGHTS, Toy
from tests.tinymodels.checkpoint import WRITERS, write_checkpoint

PACKAGE = Path(registry.__file__).parents[1]
TOY = Toy()


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CheckpointFolder:
    """A tiny checkpoint of a family that only this test registers."""
    monkeypatch.setitem(registry.FAMILIES, TOY.model_type, TOY)
    monkeypatch.setitem(WRITERS, TOY.model_type, TOY.write_tiny)
    write_checkpoint(tmp_path / "toy", family=TOY)
    return CheckpointFolder(tmp_path / "toy")


def test_a_folder_is_of_the_family_that_its_config_names(toy: CheckpointFolder, tmp_path: Path) -> None:
    assert toy.family is TOY
    assert toy.missing() == []
    assert toy.template() == "toy"
    assert {path.name for path in toy.model_files} == {"config.json", WEIGHTS, "tokens.json"}
    assert CheckpointFolder(tmp_path / "nothing").family_or_default is registry.DEFAULT
    with failing("unknown-template", CheckpointError):
        toy.prompts("instruct")


def test_files_to_download_are_those_of_the_family(toy: CheckpointFolder) -> None:
    names = [path.name for path in toy.path.iterdir() if path.name != UNTRAINED]
    assert set(files_to_download("a/b", [*names, "README.md"])) == set(names)
    with failing("no-checkpoint-in-repository", CheckpointError):
        files_to_download("a/b", [name for name in names if name != WEIGHTS])


def test_every_stage_runs_on_a_checkpoint_of_another_family(toy: CheckpointFolder, tmp_path: Path) -> None:
    found = project(tmp_path)
    for number in range(3):
        clip = write_clip(tmp_path / "data" / "anna" / f"{number}.wav", samples=tone(0.5 + 0.1 * number))
        clip.with_suffix(".lab").write_text(f" hello {number} ", encoding="utf-8")
    settings = Settings(
        paths=PathSettings(checkpoint="toy"),
        extract=ExtractSettings(device="cpu", workers=1),
        pack=PackSettings(workers=1, validation=0),
        train=TrainSettings(device="cpu", max_steps=2, validate_every=2, max_length=256),
    )
    data, protos = tmp_path / "data", found.path(settings.paths.protos)
    extract(found, settings, Reporter(), data=data, checkpoint=toy.codec_file)
    assert pack(found, settings, Reporter(), data=data, output=protos).done == 3
    texts = [sentence.text for _, sentence in read_sentences(shard_paths(protos))]
    assert sorted(texts) == [" HELLO 0 ", " HELLO 1 ", " HELLO 2 "]
    assert train(found, settings, Reporter(), name="voice", resume=False, restart=False).done == 3

    adapter = next((found.results / "voice" / "checkpoints").glob("*.ckpt"))
    preset = parse_preset(settings.train.lora)
    merged = CheckpointFolder(tmp_path / "merged")
    merge(found, Reporter(), base=toy.path, adapter=adapter, output=merged.path, preset=preset, template=None)
    assert merged.missing() == []
    before, after = load_file(toy.path / WEIGHTS), load_file(merged.path / WEIGHTS)
    assert before.keys() == after.keys()
    assert all(name.startswith(PREFIX) for name in after)
    assert (merged.path / "LICENSE.md").read_text() == "Terms."
    assert (merged.path / "Notice").read_text() == "A toy."
    assert json.loads(merged.record_file.read_text())["template"] == "toy"

    request = Request(checkpoint=merged.path, texts=["Hi"], files=SpeechFiles(tmp_path / "out.wav"), preset=preset)
    synthesize(found, SynthesizeSettings(device="cpu", max_seconds=0.3), Reporter(), request)
    assert read_audio(tmp_path / "out.wav").seconds > 0


def test_training_sequences_are_in_the_prompts_of_the_family(toy: CheckpointFolder) -> None:
    prompts = toy.prompts("toy")
    assert prompts.padding == PAD
    codes = np.arange(30).reshape(10, 3)
    inputs, labels = prompts.training_sequence([("A", codes)])
    assert inputs[0].tolist() == [START, ord("A"), SEMANTIC, SEMANTIC + 1, SEMANTIC + 2]
    assert labels[0].tolist() == [-100, SEMANTIC, SEMANTIC + 1, SEMANTIC + 2, END]
    model = load_model(toy.path)
    tokens, targets = torch.from_numpy(inputs)[None], torch.from_numpy(labels)[None]
    assert torch.isfinite(losses(model, tokens, targets).total)


def test_each_message_is_answered_after_the_one_before_it(toy: CheckpointFolder) -> None:
    voice = Voice(toy.path, device="cpu", precision="float32")
    assert voice.sampling.temperature == 1.0
    asked = []
    prompt = voice.prompts.synthesis_prompt
    voice.prompts.synthesis_prompt = lambda *given: asked.append(given) or prompt(*given)  # type: ignore[method-assign, func-returns-value]
    [(_, speech)] = voice.speak_lines([Line("one|two", seed=0)], limits=Limits(1.0))
    assert isinstance(speech, Speech)
    codes = speech.codes
    assert [list(messages) for messages, _, _ in asked] == [["ONE"], ["ONE", "TWO"]]
    first = asked[1][1][0]
    np.testing.assert_array_equal(codes[:, : first.shape[1]], first)
    assert codes.shape[1] > first.shape[1]


def test_the_settings_repeat_what_the_families_decide() -> None:
    # The settings are below the families, and name the folder again.
    default, settings = registry.DEFAULT, Settings()
    assert choices("train.template") == tuple(registry.known_templates())
    assert settings.paths.checkpoint == f"checkpoints/{default.repository.rpartition('/')[2]}"


def module_strings(path: Path) -> list[str]:
    """Return the strings of a module, without its docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings
    ]


def test_only_families_and_the_checkpoint_folder_know_files_and_kinds_of_models() -> None:
    family = registry.DEFAULT
    names = {"config.json", "codec.pth", "merge.json", *family.weight_names(()), *family.tokenizer_names}
    names |= {sizes_file(Path("codec.pth")).name, family.model_type}
    allowed = {PACKAGE / "checkpoint.py", PACKAGE / "codec" / "config.py"}
    found = []
    for path in PACKAGE.rglob("*.py"):
        if path in allowed or path.is_relative_to(PACKAGE / "families"):
            continue
        source = path.read_text(encoding="utf-8")
        found += [(path.name, name) for text in module_strings(path) for name in names if name in text]
        found += [(path.name, part) for part in ("model_type", "families.s1_mini") if part in source]
    # The config of an adapter is peft's own file, that of a judge is transformers' or faster-whisper's.
    own = {(name, "config.json") for name in ("adapters.py", "encoders.py", "recognizers.py")}
    assert [each for each in found if each not in own] == []
