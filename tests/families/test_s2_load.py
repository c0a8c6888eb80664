"""Tests of loading S2-Pro's weights: shards or one file, and an error that names every tensor that does not fit."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from fishtui.errors import CheckpointError
from fishtui.load import load_model
from fishtui.tensorfiles.content import read_folder
from fishtui.tensorfiles.names import INDEX, SINGLE
from tests.expecting import failing
from tests.golden_data import GOLDEN, GOLDEN_S2

NORM = "text_model.model.norm.weight"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The golden checkpoint with its weights in one file."""
    shutil.copytree(GOLDEN_S2 / "checkpoint", tmp_path / "s2", copy_function=shutil.copyfile)
    save_file(read_folder(tmp_path / "s2"), tmp_path / "s2" / SINGLE)
    for path in (tmp_path / "s2").glob("model-*"):
        path.unlink()
    (tmp_path / "s2" / INDEX).unlink()
    return tmp_path / "s2"


def rewrite(folder: Path, **changes: torch.Tensor | None) -> None:
    """Change tensors of the single file; None removes a tensor."""
    tensors = {**load_file(folder / SINGLE), **changes}
    (folder / SINGLE).unlink()
    save_file({name: value for name, value in tensors.items() if value is not None}, folder / SINGLE)


def test_one_file_gives_the_model_of_the_shards(folder: Path) -> None:
    wanted = load_model(GOLDEN_S2 / "checkpoint", dtype=None).state_dict()
    found = load_model(folder, dtype=None).state_dict()
    assert found.keys() == wanted.keys()
    assert all(torch.equal(value, wanted[name]) for name, value in found.items())


def test_missing_unexpected_and_misshapen_tensors_are_all_named(folder: Path) -> None:
    names = ("lm_head.weight", "embeddings.weight", "text_model.model.fast_norm.weight", "text_model.norm.weight")
    rewrite(
        folder,
        **{
            NORM: None,
            "audio_decoder.norm.weight": torch.ones(3),
            "audio_decoder.output.weight": torch.ones(2, 2).int(),
        },
        **{name: torch.ones(3) for name in names},
    )
    with failing("wrong-tensors", CheckpointError) as caught:
        load_model(folder)
    for name in (NORM, "audio_decoder.norm.weight", "audio_decoder.output.weight", *names):
        assert name in caught.value.problem


S1_TOKENIZER, S2_TOKENIZER = ["tokenizer.tiktoken", "special_tokens.json"], ["tokenizer.json"]


@pytest.mark.parametrize(
    ("most", "without", "rest", "taken"),
    [
        (GOLDEN_S2, S2_TOKENIZER, GOLDEN, S1_TOKENIZER),
        (GOLDEN, S1_TOKENIZER, GOLDEN_S2, S2_TOKENIZER),
        (GOLDEN_S2, ["config.json"], GOLDEN, ["config.json"]),
        (GOLDEN, ["config.json"], GOLDEN_S2, ["config.json"]),
    ],
)
def test_files_of_two_models_in_one_folder_are_an_error(
    tmp_path: Path, most: Path, without: list[str], rest: Path, taken: list[str]
) -> None:
    """The tokenizer or the config of one model with everything else of the other."""
    (tmp_path / "mixed").mkdir()
    for source, names in ((most, {path.name for path in (most / "checkpoint").iterdir()} - {*without}), (rest, taken)):
        for name in names:
            (tmp_path / "mixed" / name).symlink_to(source / "checkpoint" / name)
    with failing("mixed-models", CheckpointError) as caught:
        load_model(tmp_path / "mixed")
    assert "S2-Pro" in caught.value.problem
    assert "openaudio-s1-mini" in caught.value.problem


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    with failing("no-checkpoint-file", CheckpointError) as caught:
        load_model(folder)
    assert "tokenizer.json" in caught.value.problem
