"""Tests of safetensors files. Every fault of a file is an error that names it, and hostile headers cost no memory."""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from fishtui.errors import CheckpointError
from fishtui.tensorfiles.content import TYPES, make_index, read_folder, write_like, write_shards
from fishtui.tensorfiles.header import METADATA, make_header, read_header
from fishtui.tensorfiles.names import INDEX, SINGLE, weight_names
from tests.expecting import failing
from tests.golden_data import GOLDEN_S2, MANIFEST_S2, OFFICIAL_S2

FIRST, SECOND = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
TENSORS = {
    "b": torch.arange(6, dtype=torch.float32).reshape(2, 3),
    "a": torch.ones(4, dtype=torch.bfloat16),
    "scalar": torch.tensor(2.0, dtype=torch.float16),
    "empty": torch.zeros(0, 3),
}


NAMES = {dtype: name for name, dtype in TYPES.items()}


def described(tensors: dict[str, torch.Tensor]) -> dict[str, tuple[str, tuple[int, ...]]]:
    return {name: (NAMES[value.dtype], tuple(value.shape)) for name, value in tensors.items()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The golden shards and their index."""
    for name in (INDEX, FIRST, SECOND):
        shutil.copyfile(GOLDEN_S2 / "checkpoint" / name, tmp_path / name)
    return tmp_path


def change_index(folder: Path, **changes: str | None) -> None:
    """Change the shards of tensors in the index; None removes a tensor."""
    index = json.loads((folder / INDEX).read_text())
    files = index["weight_map"] | changes
    index["weight_map"] = {name: file for name, file in files.items() if file is not None}
    (folder / INDEX).write_text(json.dumps(index))


def with_header(path: Path, content: bytes, data: bytes = b"") -> Path:
    path.write_bytes(len(content).to_bytes(8, "little") + content + data)
    return path


def test_names_of_weights_follow_from_the_files_there() -> None:
    both = (INDEX, FIRST, SECOND)
    assert weight_names(()) == weight_names([INDEX]) == weight_names([SECOND]) == weight_names([*both, SINGLE]) == both
    assert weight_names([SINGLE, "config.json"]) == (SINGLE,)
    assert len(weight_names(["model-00003-of-00007.safetensors"])) == 8


def test_shards_and_a_single_file_hold_the_same_tensors(folder: Path, tmp_path: Path) -> None:
    found = read_folder(folder)
    wanted = load_file(folder / FIRST) | load_file(folder / SECOND)
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], value) for name, value in wanted.items())
    single = tmp_path / "single"
    single.mkdir()
    save_file(found, single / SINGLE)
    assert all(torch.equal(value, found[name]) for name, value in read_folder(single).items())
    shutil.copyfile(single / SINGLE, folder / SINGLE)
    with failing("ambiguous-weights", CheckpointError):
        read_folder(folder)


def test_a_folder_is_written_like_another_to_the_byte(folder: Path, tmp_path: Path) -> None:
    tensors = read_folder(folder)
    (tmp_path / "copy").mkdir()
    write_like(folder, tmp_path / "copy", tensors.__getitem__)
    for name in (INDEX, FIRST, SECOND):
        assert (tmp_path / "copy" / name).read_bytes() == (folder / name).read_bytes()


def test_new_files_equal_those_of_the_library(tmp_path: Path) -> None:
    (tmp_path / "ours").mkdir()
    write_shards(tmp_path / "ours", [described(TENSORS)], TENSORS.__getitem__)
    save_file(TENSORS, tmp_path / "theirs", metadata=METADATA)
    assert (tmp_path / "ours" / SINGLE).read_bytes() == (tmp_path / "theirs").read_bytes()


def test_new_shards_have_an_index(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    tensors = read_folder(folder)
    shards = [described(load_file(folder / name)) for name in (FIRST, SECOND)]
    write_shards(tmp_path / "new", shards, tensors.__getitem__)
    for name in (INDEX, FIRST, SECOND):
        assert (tmp_path / "new" / name).read_bytes() == (folder / name).read_bytes()


def test_official_sizes_give_the_published_files() -> None:
    """The sizes of the shards are those on the hub, and the index is the published one."""
    manifest = json.loads(MANIFEST_S2.read_text())["tensors"]
    shards: dict[str, dict[str, tuple[str, tuple[int, ...]]]] = {FIRST: {}, SECOND: {}}
    for name, each in manifest.items():
        shards[each["file"]][name] = "BF16", tuple(each["shape"])
    assert [make_header(members).size for members in shards.values()] == [4_986_872_984, 4_136_876_104]
    assert make_index(shards) == (OFFICIAL_S2 / INDEX).read_bytes()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"text_model.model.norm.weight": None}, "wrong-index"),
        ({"extra": FIRST}, "wrong-index"),
        ({"text_model.model.norm.weight": SECOND}, "wrong-index"),
        ({"text_model.model.norm.weight": "../" + FIRST}, "wrong-index"),
        ({"text_model.model.norm.weight": "/etc/passwd"}, "wrong-index"),
        ({"text_model.model.norm.weight": "config.json"}, "wrong-index"),
    ],
)
def test_an_index_that_does_not_fit_is_an_error(folder: Path, changes: dict[str, str | None], code: str) -> None:
    index = json.loads((folder / INDEX).read_text())["weight_map"]
    name, file = next(iter(changes.items()))
    if index.get(name) == file:
        changes = {name: FIRST}
    change_index(folder, **changes)
    with failing(code, CheckpointError) as caught:
        read_folder(folder)
    assert name in caught.value.problem


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"weight_map": 3}', b'{"weight_map": {"a": 1}}', b"\xff"])
def test_a_damaged_index_is_an_error(folder: Path, content: bytes) -> None:
    (folder / INDEX).write_bytes(content)
    with failing("wrong-index", CheckpointError):
        read_folder(folder)


def test_a_tensor_in_two_shards_is_an_error(folder: Path) -> None:
    first = load_file(folder / FIRST)
    name = next(iter(first))
    save_file({**load_file(folder / SECOND), name: first[name]}, folder / SECOND)
    with failing("ambiguous-tensor", CheckpointError) as caught:
        read_folder(folder)
    assert name in caught.value.problem


def test_a_missing_shard_is_named(folder: Path) -> None:
    (folder / SECOND).unlink()
    with failing("no-checkpoint-file", CheckpointError) as caught:
        read_folder(folder)
    assert SECOND in caught.value.problem


@pytest.mark.parametrize("length", [0, 7, 8, 100, -1])
def test_a_truncated_shard_is_an_error(folder: Path, length: int) -> None:
    content = (folder / SECOND).read_bytes()
    (folder / SECOND).write_bytes(content[:length])
    with failing("damaged-checkpoint", CheckpointError) as caught:
        read_folder(folder)
    assert "truncated" in caught.value.problem


def entry(begin: object = 0, end: object = 8, shape: object = (2,), dtype: object = "F32") -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


@pytest.mark.parametrize(
    "header",
    [
        b"{",
        b"[]",
        b"3",
        b'{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}, "a": {"dtype": "F32", "shape": [2]}}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"9" * 100_000,
        json.dumps({"a": entry(dtype="F33")}).encode(),
        json.dumps({"a": entry(shape=[1 << 61] * 8)}).encode(),
        json.dumps({"a": entry(shape=[1] * 1000)}).encode(),
        json.dumps({"a": entry(shape=[-2])}).encode(),
        json.dumps({"a": entry(begin=4, end=12)}).encode(),
        json.dumps({"a": entry(begin=8, end=0)}).encode(),
        json.dumps({"a": entry(), "b": entry()}).encode(),
        json.dumps({"a": entry(), "b": entry(9, 17)}).encode(),
        json.dumps({"a": entry(end=10**400)}).encode(),
        json.dumps({"a": entry(end=8.5)}).encode(),
        json.dumps({"a": entry(dtype="F64", shape=[1 << 40], end=8 << 40)}).encode(),
    ],
)
def test_a_hostile_header_is_an_error(tmp_path: Path, header: bytes) -> None:
    with failing("damaged-checkpoint", CheckpointError):
        read_header(with_header(tmp_path / SINGLE, header, bytes(8)))


def test_a_header_longer_than_its_file_is_not_read(tmp_path: Path) -> None:
    for length in (0, 100, 1 << 40, (1 << 64) - 1):
        (tmp_path / SINGLE).write_bytes(length.to_bytes(8, "little") + b"{}")
        with failing("damaged-checkpoint", CheckpointError):
            read_folder(tmp_path)


def test_bytes_after_the_last_tensor_are_an_error(tmp_path: Path) -> None:
    save_file(TENSORS, tmp_path / SINGLE)
    with (tmp_path / SINGLE).open("ab") as file:
        file.write(b"x")
    with failing("damaged-checkpoint", CheckpointError):
        read_folder(tmp_path)


@pytest.fixture(scope="module")
def valid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("valid") / SINGLE
    save_file({"a": torch.zeros(2, 3), "b": torch.ones(5)}, path)
    return path


@settings(max_examples=60)
@given(place=st.integers(0, 250), byte=st.integers(0, 255))
def test_any_changed_byte_leads_to_tensors_or_an_error(valid: Path, place: int, byte: int) -> None:
    content = bytearray(valid.read_bytes())
    content[min(place, len(content) - 1)] = byte
    damaged = valid.with_name("damaged") / SINGLE
    damaged.parent.mkdir(exist_ok=True)
    damaged.write_bytes(content)
    with suppress(CheckpointError):
        read_folder(damaged.parent)
