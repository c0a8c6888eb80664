"""Weights in safetensors files: a single file, or shards with an index that names the shard of each tensor."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import torch
from safetensors import safe_open
from torch import Tensor

from fishtui.errors import CheckpointError
from fishtui.reading import CONFIG, Damaged, guarded, read_json
from fishtui.tensorfiles.header import DOWNLOAD, SIZES, Header, make_header, read_header
from fishtui.tensorfiles.names import INDEX, SINGLE, weight_names
from fishtui.weights import release
from fishtui.wording import cannot_read, missing_checkpoint_file, shortened

TYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64,
    "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool,
    "F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2,
}  # fmt: skip
MOST_NAMED = 3


def read_folder(folder: Path) -> dict[str, Tensor]:
    """Return the tensors of a folder's single file or shards, memory-mapped, by their names in the files.

    Raises CheckpointError that names the file, and the tensor where there is one.
    """
    return {
        name: value
        for path, header in read_headers(folder).items()
        for name, value in _read_tensors(path, header).items()
    }


def read_headers(folder: Path) -> dict[Path, Header]:
    """Return the headers of a folder's single file or shards, compared with the index. Raises CheckpointError."""
    try:
        found = {path.name for path in folder.iterdir()}
    except OSError as error:
        raise cannot_read(folder, error, CheckpointError) from error
    names = weight_names(found)
    if names == (SINGLE,):
        return {folder / SINGLE: read_header(folder / SINGLE)}
    if SINGLE in found:
        raise CheckpointError(
            f"{folder}: both {SINGLE} and shards of a model",
            f"Remove one of them: {SINGLE}, or {INDEX} with its shards.",
            code="ambiguous-weights",
        )
    index = _read_index(folder / INDEX, names[1:])
    headers = {folder / name: read_header(folder / name) for name in names[1:]}
    _compare(folder / INDEX, index, {path.name: header.entries.keys() for path, header in headers.items()})
    return headers


def write_like(base: Path, folder: Path, tensor: Callable[[str], Tensor]) -> None:
    """Write weights into `folder` with the files, names, types, order and index of the folder `base`.

    `tensor` returns a tensor by its name in the files, of the shape it has in `base`; one at a time is in memory.
    Raises CheckpointError for a `base` that cannot be read, and OSError.
    """
    headers = read_headers(base)
    for path, header in headers.items():
        _write(folder / path.name, header, tensor)
    if (base / INDEX).exists():
        (folder / INDEX).write_bytes((base / INDEX).read_bytes())


def write_shards(
    folder: Path, shards: Iterable[Mapping[str, tuple[str, tuple[int, ...]]]], tensor: Callable[[str], Tensor]
) -> None:
    """Write a new folder of weights: per shard the types and shapes of its tensors, whose values `tensor` returns.

    One shard becomes a single file. Raises OSError.
    """
    shards = list(shards)
    names = [SINGLE] if len(shards) == 1 else weight_names([f"model-00001-of-{len(shards):05}.safetensors"])[1:]
    for name, members in zip(names, shards, strict=True):
        _write(folder / name, make_header(members), tensor)
    if len(shards) > 1:
        (folder / INDEX).write_bytes(make_index(dict(zip(names, shards, strict=True))))


def make_index(shards: Mapping[str, Mapping[str, tuple[str, tuple[int, ...]]]]) -> bytes:
    """Return an index, the same to the byte as the transformers library's, of the tensors in each file."""
    counts = [(math.prod(shape), SIZES[dtype]) for members in shards.values() for dtype, shape in members.values()]
    index = {
        "metadata": {
            "total_parameters": sum(count for count, _ in counts),
            "total_size": sum(count * size for count, size in counts),
        },
        "weight_map": {name: file for file, members in shards.items() for name in members},
    }
    return (json.dumps(index, indent=2, sort_keys=True) + "\n").encode()


def _write(path: Path, header: Header, tensor: Callable[[str], Tensor]) -> None:
    """Write a file; each tensor is on its way to the disk while `tensor` computes the next one."""
    with path.open("wb") as file, ThreadPoolExecutor(1) as writer:
        written = writer.submit(file.write, header.content)
        for name, entry in header.entries.items():
            value = tensor(name)
            if value.dtype != TYPES[entry.dtype] or tuple(value.shape) != entry.shape:
                raise ValueError(f"{name}: {value.dtype} {tuple(value.shape)} for {entry.dtype} {entry.shape}")
            # At most two tensors are in memory.
            written.result()
            written = writer.submit(_append, file, value)
        written.result()


def _append(file: BinaryIO, value: Tensor) -> int:
    written = file.write(value.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    release(value)
    return written


def _read_tensors(path: Path, header: Header) -> dict[str, Tensor]:
    try:
        with guarded(), safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in header.entries}
    except OSError as error:
        raise cannot_read(path, error, CheckpointError) from error
    except Damaged as error:
        raise CheckpointError(f"{path}: cannot read: {error}", DOWNLOAD, code="damaged-checkpoint") from error


def _read_index(path: Path, shards: Collection[str]) -> dict[str, str]:
    """Return the file of each tensor; all are among `shards`, which are names of files in the folder."""
    try:
        content = read_json(path, dict[str, Any], CONFIG)
        with guarded():
            files = msgspec.convert(content.get("weight_map"), dict[str, str])
    except FileNotFoundError as error:
        raise missing_checkpoint_file(path) from error
    except OSError as error:
        raise cannot_read(path, error, CheckpointError) from error
    except Damaged as error:
        raise CheckpointError(f"{path}: not an index of tensors: {error}", DOWNLOAD, code="wrong-index") from error
    for name, file in files.items():
        if file not in shards:
            raise CheckpointError(
                f"{path}: {shortened(name)} is in {shortened(repr(file))}, which is not one of the shards",
                DOWNLOAD,
                code="wrong-index",
            )
    return files


def _compare(path: Path, index: Mapping[str, str], shards: Mapping[str, Collection[str]]) -> None:
    """Raise CheckpointError unless the shards hold exactly the tensors that the index names."""
    seen: dict[str, str] = {}
    for file, names in shards.items():
        for name in names:
            if other := seen.get(name):
                raise CheckpointError(
                    f"{path.parent}: {shortened(name)} is in {other} and in {file}", DOWNLOAD, code="ambiguous-tensor"
                )
            seen[name] = file
    faults = [f"{name} is not in {file}" for name, file in index.items() if seen.get(name) != file]
    faults += [f"{name} of {file} is not in the index" for name, file in seen.items() if name not in index]
    if faults:
        more = f" and {len(faults) - MOST_NAMED} more" * (len(faults) > MOST_NAMED)
        raise CheckpointError(
            f"{path}: does not fit the shards: {', '.join(map(shortened, faults[:MOST_NAMED]))}{more}",
            DOWNLOAD,
            code="wrong-index",
        )
