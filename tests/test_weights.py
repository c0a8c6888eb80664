from __future__ import annotations

import os
import warnings
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fishtui.errors import CheckpointError
from fishtui.weights import read_file, read_tensors
from tests.expecting import failing


class Bomb:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_checkpoint_is_never_run(tmp_path: Path, zipped: bool) -> None:
    path, crater = tmp_path / "model.pth", tmp_path / "crater"
    torch.save({"weight": torch.zeros(3), "bomb": Bomb(crater)}, path, _use_new_zipfile_serialization=zipped)
    with failing("pickled-code", CheckpointError):
        read_tensors(path)
    assert not crater.exists()


def test_wrappers_and_prefixes_are_removed(tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    torch.save({"state_dict": {"model.a": torch.ones(2), "model.b": torch.zeros(1)}, "step": 3}, path)
    assert sorted(read_tensors(path, prefix="model.")) == ["a", "b"]
    torch.save({"a": torch.ones(2), "b": torch.zeros(1)}, path, _use_new_zipfile_serialization=False)
    assert sorted(read_tensors(path, prefix="model.")) == ["a", "b"]
    torch.save({"model.a": torch.ones(2), "other.b": torch.zeros(1)}, path)
    assert sorted(read_tensors(path, prefix="model.")) == ["a", "other.b"]
    torch.save({"model.a": torch.ones(2), "a": torch.zeros(2)}, path)
    with failing("ambiguous-tensor", CheckpointError):
        read_tensors(path, prefix="model.")
    for nothing in ({"state_dict": None}, {"state_dict": [1]}, {"step": 3}):
        torch.save(nothing, path)
        with failing("no-tensors", CheckpointError):
            read_tensors(path)


@pytest.mark.parametrize("content", [b"version https://git-lfs.github.com/spec/v1", b"<!doctype html>", bytes(100)])
def test_another_download_is_not_reported_as_code(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.pth").write_bytes(content)
    with failing("damaged-checkpoint", CheckpointError) as caught:
        read_file(tmp_path / "model.pth")
    # Not torch's message, which advises to load the file without the safety check.
    assert "not a file of tensors" in caught.value.problem


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from([b"", b"PK\x03\x04", b"\x80\x02"]),
    st.binary(max_size=60),
)
def test_any_other_content_is_an_error(tmp_path_factory: pytest.TempPathFactory, start: bytes, rest: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "model.pth"
    path.write_bytes(start + rest)
    with warnings.catch_warnings(), pytest.raises(CheckpointError) as caught:
        # torch warns about pickle protocols in random bytes.
        warnings.simplefilter("ignore")
        read_file(path)
    assert str(path) in caught.value.problem
    assert caught.value.remedy
    assert "\n" not in caught.value.problem


def test_an_incomplete_file_and_one_without_tensors_are_errors(tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    torch.save({"a": torch.ones(10_000)}, path)
    path.write_bytes(path.read_bytes()[:20_000])
    with failing("damaged-checkpoint", CheckpointError):
        read_tensors(path)
    torch.save([torch.ones(2)], path)
    with failing("no-tensors", CheckpointError) as caught:
        read_tensors(path)
    assert "list" in caught.value.problem
    torch.save({"epoch": 3}, path)
    with failing("no-tensors", CheckpointError):
        read_tensors(path)
