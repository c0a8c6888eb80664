"""Every stage with S2-Pro, next to openaudio-s1-mini over the same codes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from fishtui.checkpoint import CheckpointFolder
from fishtui.errors import CheckpointError, DataError, MisuseError
from fishtui.families.registry import DEFAULT, FAMILIES
from fishtui.lm.loss import losses
from fishtui.load import load_model
from fishtui.runs.reporter import Reporter
from fishtui.sentences import Limits, Line, Speech
from fishtui.settings import ExtractSettings, PackSettings, PathSettings, Settings, TrainSettings
from fishtui.shards.packed import read_manifest
from fishtui.speech import Voice
from fishtui.stages.extract import extract
from fishtui.stages.merge import merge
from fishtui.stages.pack import pack
from fishtui.stages.train import train
from fishtui.training.preset import parse_preset
from tests.builders import project, tone, write_clip
from tests.expecting import failing
from tests.tinymodels.checkpoint import write_checkpoint

S2 = FAMILIES["fish_qwen3_omni"]
TEXTS = ["<|speaker:0|>Hello [laughs] 0. <|speaker:1|>Yes?", "Hello 1.", "[sighs] Hello 2.", "Hello 3."]


class Listening(Reporter):
    """Keeps the warnings."""

    def __init__(self) -> None:
        super().__init__()
        self.warnings: list[str] = []

    def warning(self, message: str, item: str = "") -> None:
        self.warnings.append(message)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiny checkpoints of both families, in folders of their names."""
    root = tmp_path_factory.mktemp("families")
    write_checkpoint(root / "s1")
    write_checkpoint(root / "s2", family=S2)
    return root


def settings_of(kind: str) -> Settings:
    return Settings(
        paths=PathSettings(checkpoint=kind),
        extract=ExtractSettings(device="cpu", workers=1),
        pack=PackSettings(workers=1, validation=0),
        train=TrainSettings(device="cpu", max_steps=2, validate_every=2, max_length=400),
    )


def test_trainings_of_both_families_use_the_same_codes(folders: Path, tmp_path: Path) -> None:
    for kind in ("s1", "s2"):
        shutil.copytree(folders / kind, tmp_path / kind)
    found, data = project(tmp_path), tmp_path / "data"
    for number, text in enumerate(TEXTS):
        clip = write_clip(data / "anna" / f"{number}.wav", samples=tone(0.3 + 0.1 * number))
        clip.with_suffix(".lab").write_text(text, encoding="utf-8")
    protos = found.path(settings_of("s2").paths.protos)
    extract(found, settings_of("s1"), Reporter(), data=data, checkpoint=tmp_path / "s1" / "codec.pth")

    warnings: dict[tuple[str, str], list[str]] = {}
    for packed, trained in (("s1", "s1"), ("s1", "s2"), ("s2", "s2"), ("s2", "s1")):
        pack(found, settings_of(packed), Reporter(), data=data, output=protos)
        reporter = Listening()
        name = f"{packed}-{trained}"
        assert train(found, settings_of(trained), reporter, name=name, resume=False, restart=False).done == len(TEXTS)
        warnings[packed, trained] = [each for each in reporter.warnings if "tags" in each]
    assert {key for key, found_ones in warnings.items() if found_ones} == {("s1", "s2")}
    assert "fishtui pack" in warnings["s1", "s2"][0]

    with failing("different-training", MisuseError) as caught:
        train(found, settings_of("s1"), Reporter(), name="s2-s2", resume=True, restart=False)
    assert str(tmp_path / "s1") in caught.value.problem

    pack(found, settings_of("s2"), Reporter(), data=data, output=protos)
    texts = {entry["clip"]: entry["text"] for entry in read_manifest(protos)}
    assert texts["anna/0"] == "<|speaker:0|>Hello [laughs] 0.\n<|speaker:1|>Yes?"
    assert texts["anna/2"] == "[sighs] Hello 2."

    adapter = next((found.results / "s2-s2" / "checkpoints").glob("*.ckpt"))
    merged = CheckpointFolder(tmp_path / "merged")
    preset = parse_preset("r_8_alpha_16")
    merge(found, Reporter(), base=tmp_path / "s2", adapter=adapter, output=merged.path, preset=preset, template=None)
    assert merged.template() == "chat"
    assert (merged.path / "config.json").read_bytes() == (tmp_path / "s2" / "config.json").read_bytes()
    load_model(merged.path)


def test_turns_are_spoken_one_message_after_the_other(folders: Path) -> None:
    voice = Voice(folders / "s2", device="cpu", precision="float32")
    asked = []
    prompt = voice.prompts.synthesis_prompt
    voice.prompts.synthesis_prompt = lambda *given: asked.append(given) or prompt(*given)  # type: ignore[method-assign, func-returns-value]
    text = " ".join(f"<|speaker:{number % 2}|>Turn {number} [sighs]." for number in range(7))
    references = [("A reference.", np.zeros((10, 3), dtype=np.int64))] * 2
    [(_, speech)] = voice.speak_lines([Line(text, references, seed=0)], limits=Limits(1.0))
    assert isinstance(speech, Speech)
    messages, answers = asked[-1][:2]
    # One that does not end leaves frames to the other.
    frames = int(1.0 * voice.sample_rate / voice.codec.frame_length)
    assert answers[0].shape[1] == frames * len(messages[0]) // sum(map(len, messages))
    assert [message.count("\n") + 1 for message in messages] == [5, 2]
    assert "\n".join(messages) == text.replace(" <|", "\n<|")
    # Two voices speak: the references stay apart.
    assert [words for words, _ in asked[0][2]] == ["A reference."] * 2
    next(voice.speak_lines([Line("One voice.", references, seed=0)], limits=Limits(1.0)))
    assert [words for words, _ in asked[-1][2]] == ["<|speaker:0|>A reference."] * 2


@pytest.mark.parametrize("text", ["<|speaker:1|>", "<|speaker:0|> {x} <|speaker:1|>..."])
def test_tags_alone_are_nothing_to_speak(folders: Path, text: str) -> None:
    voice = Voice(folders / "s2", device="cpu", precision="float32")
    [(_, error)] = voice.speak_lines([Line(text)])
    assert isinstance(error, DataError)
    assert error.code == "nothing-to-speak"


def test_training_loss_and_steps_see_the_same_network(folders: Path) -> None:
    model = load_model(folders / "s2")
    prompts = CheckpointFolder(folders / "s2").prompts("chat")
    codes = np.random.default_rng(0).integers(0, 1024, (10, 4))
    inputs, labels = prompts.training_sequence([("Hi.", codes)], [("Ho.", codes), ("Hu.", codes)])
    found = losses(model, torch.from_numpy(inputs)[None], torch.from_numpy(labels)[None])
    assert torch.isfinite(found.total)
    assert (found.tokens.item(), found.codes.item()) == (5, 40)


@pytest.mark.parametrize(
    ("config", "others"), [("s2", ("tokenizer.tiktoken", "special_tokens.json")), ("s1", ("tokenizer.json",))]
)
def test_the_tokenizer_of_another_family_is_named(
    folders: Path, tmp_path: Path, config: str, others: tuple[str, ...]
) -> None:
    mixed = CheckpointFolder(tmp_path / "mixed")
    shutil.copytree(folders / config, mixed.path)
    for name in mixed.family.tokenizer_names:
        (mixed.path / name).unlink()
    for name in others:
        shutil.copyfile(folders / ("s1" if config == "s2" else "s2") / name, mixed.path / name)
    with failing("mixed-models", CheckpointError) as caught:
        mixed.check()
    assert any(name in caught.value.problem for name in others)


def test_weights_of_another_family_are_named(folders: Path, tmp_path: Path) -> None:
    mixed = CheckpointFolder(tmp_path / "mixed")
    shutil.copytree(folders / "s2", mixed.path)
    for path in mixed.weight_files:
        path.unlink()
    shutil.copyfile(folders / "s1" / "model.pth", mixed.path / "model.pth")
    with failing("mixed-models", CheckpointError) as caught:
        mixed.check()
    assert "model.pth" in caught.value.problem


def test_a_template_of_another_family_is_refused(folders: Path) -> None:
    with failing("unknown-template", CheckpointError) as caught:
        CheckpointFolder(folders / "s2").prompts("instruct")
    assert "chat" in caught.value.remedy
    assert json.loads((folders / "s2" / "config.json").read_text())["model_type"] == S2.model_type != DEFAULT.model_type
