"""The self-test on a model that speaks, and on the same model with one fault each: the right line finds it."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from fishtui.checkpoint import CheckpointFolder
from fishtui.codec.load import load_codec
from fishtui.demo.shipped import write_shipped_checkpoint
from fishtui.families.registry import DEFAULT
from fishtui.selftest import run, speaking, store
from fishtui.selftest.clips import Clip, own_clip, shipped_clips
from fishtui.selftest.codec import check_codec
from fishtui.selftest.files import check_files
from fishtui.selftest.line import Line
from fishtui.selftest.loss import check_loss
from fishtui.selftest.precision import check_precision
from fishtui.selftest.report import markdown
from fishtui.selftest.run import NAMES, run_selftest
from fishtui.selftest.speaking import check_speaking
from fishtui.selftest.spectrum import spectral_distance
from fishtui.selftest.speed import check_speed
from fishtui.selftest.step import check_step
from fishtui.selftest.subject import Clock, Subject
from fishtui.settings import Settings, TrainSettings
from fishtui.speech import Voice
from fishtui.weights import read_file, write_file
from tests.builders import tone, write_clip
from tests.cli.test_schemas import check
from tests.expecting import error_in, failing
from tests.forking import fishtui
from tests.tinymodels.checkpoint import random_codec_tensors, write_codec_files

CPU = Settings(train=TrainSettings(device="cpu"))


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model of the demo, which speaks digits; tests must not change it."""
    folder = tmp_path_factory.mktemp("digits")
    write_shipped_checkpoint(folder)
    return folder


@pytest.fixture
def broken(digits: Path, tmp_path: Path) -> Path:
    """A copy of it to damage."""
    return Path(shutil.copytree(digits, tmp_path / "broken"))


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def subject(folder: Path, budget: float = 600) -> Subject:
    return Subject(Voice(folder, device="cpu"), shipped_clips(), Clock(budget), CPU)


def change_weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], None], codec: bool = False) -> None:
    path = CheckpointFolder(folder).codec_file if codec else folder / DEFAULT.weight_names(())[0]
    # Copies, because the file that is read stays mapped.
    tensors = {name: value.clone() for name, value in read_file(path).items()}
    change(tensors)
    write_file(tensors, path)


def swap(one: str, other: str) -> Callable[[dict[str, torch.Tensor]], None]:
    def change(tensors: dict[str, torch.Tensor]) -> None:
        tensors[one], tensors[other] = tensors[other], tensors[one]

    return change


# A healthy model.


def test_a_healthy_model_passes_every_line(digits: Path) -> None:
    healthy = subject(digits)
    lines = [check(healthy) for check in (check_codec, check_loss, check_precision, check_speaking, check_step)]
    assert {line.name: (line.state, line.found) for line in lines if line.state != "pass"} == {}
    assert check_speed({line.name: line for line in lines}, "CPU").figures.keys() == {
        "extraction",
        "lora_step",
        "synthesis",
    }


# One fault each.


def test_two_exchanged_tensors_are_found_by_the_loss(broken: Path) -> None:
    change_weights(broken, swap("layers.0.attention.wqkv.weight", "layers.2.attention.wqkv.weight"))
    assert check_loss(subject(broken)).state == "fail"


def test_exchanged_tensors_of_the_fast_transformer_are_found_by_the_loss(broken: Path) -> None:
    change_weights(broken, swap("fast_layers.0.attention.wqkv.weight", "fast_layers.1.attention.wqkv.weight"))
    assert check_loss(subject(broken)).state == "fail"


def test_an_untrained_model_is_found_by_the_loss(broken: Path) -> None:
    def forget(tensors: dict[str, torch.Tensor]) -> None:
        torch.manual_seed(0)
        for value in tensors.values():
            if value.ndim > 1:
                value.normal_(std=0.02)

    change_weights(broken, forget)
    line = check_loss(subject(broken))
    assert line.state == "fail"
    assert line.figures["loss"] == pytest.approx(line.figures["guessing"], rel=0.1)


def test_random_weights_of_a_codec_are_found_by_the_codec_line(broken: Path) -> None:
    weights, sizes = CheckpointFolder(broken).codec_files
    config = load_codec(weights).config
    torch.manual_seed(0)
    write_codec_files(weights, sizes, config, random_codec_tensors(config))
    assert check_codec(subject(broken)).state == "fail"


def test_a_codec_with_exchanged_tensors_is_found_by_the_codec_line(broken: Path) -> None:
    change_weights(broken, swap(*(f"quantizer.{way}sample.0.0.conv.weight" for way in ("down", "up"))), codec=True)
    assert check_codec(subject(broken)).state == "fail"


def test_a_codec_of_another_model_is_found_by_the_loss(broken: Path) -> None:
    """It encodes and decodes as well, but its codes have other numbers."""

    def renumber(tensors: dict[str, torch.Tensor]) -> None:
        name = "quantizer.semantic_quantizer.quantizers.0.codebook.weight"
        tensors[name] = tensors[name].flip(0)

    change_weights(broken, renumber, codec=True)
    other = subject(broken)
    assert check_codec(other).state == "pass"
    assert check_loss(other).state == "fail"


def test_the_tokenizer_of_another_model_is_found_by_the_loss(broken: Path) -> None:
    path = broken / "tokenizer.tiktoken"
    pairs = [line.split() for line in path.read_text(encoding="utf-8").splitlines() if line]
    words = [base64.b64encode(base64.b64decode(word)).decode() for word, _ in pairs][::-1]
    content = "".join(f"{word} {rank}\n" for word, (_, rank) in zip(words, pairs, strict=True))
    path.write_text(content, encoding="utf-8")
    line = check_loss(subject(broken))
    assert line.state == "fail"
    assert line.figures["recognized"] < 1


def test_a_changed_file_is_found_by_its_sum(digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = CheckpointFolder(digits)
    hashes = {path.name: store.Store().sha256(path) for path in folder.files if path.is_file()}
    assert check_files(folder, hashes).state == "skipped"
    monkeypatch.setattr(type(folder.family), "published", dict(hashes))
    assert check_files(folder, hashes).state == "pass"
    assert check_files(folder, hashes | {"config.json": "0" * 64}).state == "fail"
    # Weights of a merged model are its own.
    merged = CheckpointFolder(Path(shutil.copytree(digits, tmp_path / "merged")))
    merged.record_file.write_text("{}", encoding="utf-8")
    assert check_files(merged, hashes | {"model.pth": "0" * 64}).state == "pass"
    assert check_files(merged, hashes | {"codec.pth": "0" * 64}).state == "fail"


def test_the_sum_of_a_download_is_compared(broken: Path) -> None:
    folder = CheckpointFolder(broken)
    found = store.Store().sha256(folder.codec_file)
    metadata = broken / ".cache" / "huggingface" / "download"
    metadata.mkdir(parents=True)
    # As the hub's client writes it; the tag of a small file is not a SHA-256.
    (metadata / "codec.pth.metadata").write_text(f"{'1' * 40}\n{found}\n1700000000.0\n")
    (metadata / "config.json.metadata").write_text(f"{'1' * 40}\n{'2' * 40}\n1700000000.0\n")
    hashes = {"codec.pth": found, "config.json": "3" * 64}
    line = check_files(folder, hashes)
    assert (line.state, line.figures["compared"]) == ("pass", 1)
    assert check_files(folder, hashes | {"codec.pth": "0" * 64}).state == "fail"


def test_a_model_that_does_not_end_is_found_by_speaking(broken: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speaking, "LONGEST", 1.0)

    def never_end(tensors: dict[str, torch.Tensor]) -> None:
        tensors["output.weight"][CheckpointFolder(broken).vocabulary().im_end] = 0

    change_weights(broken, never_end)
    assert check_speaking(subject(broken)).state == "fail"


def test_a_step_that_is_not_finite_fails(digits: Path) -> None:
    damaged = subject(digits)
    with torch.no_grad():
        damaged.model.get_parameter("norm.weight").fill_(float("inf"))
    assert check_step(damaged).state == "fail"


# The run: time, results of earlier runs, output.


def quick(monkeypatch: pytest.MonkeyPatch, **states: str) -> list[str]:
    """Replace the checks by ones that do nothing but list themselves."""
    done: list[str] = []

    def build(name: str) -> Callable[[Subject], Line]:
        def check(subject: Subject) -> Line:
            subject.clock.check()
            done.append(name)
            return Line(name=name, state=states.get(name, "pass"), found="")  # type: ignore[arg-type]

        return check

    monkeypatch.setattr(run, "CHECKS", {name: build(name) for name in run.CHECKS})
    return done


def test_finished_lines_are_reused_until_something_changes(broken: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = quick(monkeypatch, loss="fail")
    clips = shipped_clips()
    assert [line.name for line in run_selftest(broken, clips, CPU).lines] == list(NAMES)
    assert done == list(run.CHECKS)
    done.clear()
    found = run_selftest(broken, clips, CPU)
    assert done == ["loss"]
    assert [line.name for line in found.lines if line.is_reused] == ["codec", "precision", "speaking", "step"]
    done.clear()
    run_selftest(broken, clips, CPU, again=True)
    assert done == list(run.CHECKS)
    done.clear()
    run_selftest(broken, clips[:1], CPU)
    assert done == list(run.CHECKS)
    done.clear()
    (broken / "config.json").write_text((broken / "config.json").read_text() + "\n")
    run_selftest(broken, clips[:1], CPU)
    assert done == list(run.CHECKS)


def test_without_time_lines_are_open_and_the_next_run_continues(digits: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = quick(monkeypatch)
    found = run_selftest(digits, shipped_clips(), CPU, budget=-1)
    assert {line.name for line in found.lines if line.state == "open"} == {*run.CHECKS, "speed"}
    assert not found.has_failed
    assert done == []
    run_selftest(digits, shipped_clips(), CPU)
    assert done == list(run.CHECKS)


def test_a_damaged_store_is_ignored(digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quick(monkeypatch)
    (tmp_path / "state" / "fishtui").mkdir(parents=True)
    (tmp_path / "state" / "fishtui" / "selftest.json").write_text("{")
    assert not run_selftest(digits, shipped_clips(), CPU).has_failed


def test_the_command_reports_a_damaged_codec(broken: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = quick(monkeypatch)
    CheckpointFolder(broken).codec_file.write_bytes(b"not a codec")
    monkeypatch.setitem(run.CHECKS, "codec", check_codec)  # type: ignore[misc]
    words = ["doctor", "--model", broken, "--report", tmp_path / "report.md", "--set", "train.device=cpu"]
    result = fishtui(*words, "--json", cwd=tmp_path)
    assert result.returncode == 3, result.stderr
    document = json.loads(result.stdout)
    check("doctor", document)
    assert [line["name"] for line in document["lines"]] == list(NAMES)
    assert document["lines"][1]["state"] == "fail"
    assert done == []
    report = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "# Self-test of broken" in report
    assert str(tmp_path) not in report.replace(document["lines"][1]["found"], "")


def test_wrong_calls_of_the_command(tmp_path: Path) -> None:
    result = fishtui("doctor", "--model", tmp_path / "missing", "--json", cwd=tmp_path)
    assert error_in(result.stdout)["code"] == "no-checkpoint-folder"
    result = fishtui("doctor", "--again", "--json", cwd=tmp_path)
    assert error_in(result.stdout)["code"] == "missing-option"


def test_the_report_escapes_its_cells() -> None:
    report = run.Report(
        checkpoint="a|b\n",
        family="",
        sha256={},
        device="CPU",
        precision="float32",
        versions={},
        clips=[],
        lines=[Line(name="loss", state="fail", found="x|y")],
    )
    assert "| ✗ fail | loss | x\\|y |" in markdown(report)


def test_a_clip_of_the_user_needs_its_transcript(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.wav", "Hello.")
    clip = own_clip(path, ".lab")
    assert (clip.text, clip.rate) == ("Hello.", 44_100)
    assert clip.seconds == pytest.approx(1.0)
    path.with_suffix(".lab").unlink()
    with failing("no-transcript"):
        own_clip(path, ".lab")


@pytest.mark.parametrize(
    ("samples", "text"),
    [
        (tone(0.02), "Hello."),
        (tone(31.0, 8_000), "Hello."),
        (np.zeros(44_100, np.float32), "Hello."),
        (tone(1.0), "{laughs}"),
    ],
)
def test_a_clip_that_shows_nothing_about_a_model_is_refused(tmp_path: Path, samples: np.ndarray, text: str) -> None:
    path = write_clip(tmp_path / "a.wav", text, samples, 8_000 if len(samples) > 200_000 else 44_100)
    with failing("bad-test-clip"):
        own_clip(path, ".lab", DEFAULT.clean)


def test_a_clip_is_known_by_its_content() -> None:
    clip = shipped_clips()[0]
    assert clip.sha256 != Clip(clip.name, "another text", clip.samples, clip.rate).sha256


# The measure.


def test_the_distance_is_zero_of_the_same_and_grows_with_noise() -> None:
    sound = tone()
    noise = np.random.default_rng(0).standard_normal(len(sound)).astype(np.float32)
    distances = [spectral_distance(sound, sound + level * noise, 44_100, 8_000) for level in (0, 0.001, 0.01, 0.1)]
    assert distances[0] == 0
    assert distances == sorted(distances)
    assert spectral_distance(sound, sound[:-100], 44_100, 8_000) == 0
