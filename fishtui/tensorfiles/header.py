"""The header of a safetensors file, read without the tensors, and checked.

The format (huggingface.co/docs/safetensors): 8 bytes with the length of the header, the header in JSON, then the bytes
of the tensors, without gaps.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec

from fishtui.errors import CheckpointError
from fishtui.files import regular
from fishtui.reading import Damaged, guarded
from fishtui.wording import cannot_read, missing_checkpoint_file, shortened

DOWNLOAD = "Download the checkpoint again with `fishtui download`."
# In bytes, far above the 50 kB of a published header.
LARGEST_HEADER = 16 << 20
# Bytes of an element of each type.
SIZES = {
    "F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1,
    "F8_E4M3": 1, "F8_E5M2": 1,
}  # fmt: skip
METADATA = {"format": "pt"}

Length = Annotated[int, msgspec.Meta(ge=0, le=1 << 62)]


class Entry(msgspec.Struct, frozen=True):
    """A tensor in a file: its type, its shape, and where its bytes begin and end, counted from the header's end."""

    dtype: str
    shape: Annotated[tuple[Length, ...], msgspec.Meta(max_length=8)]
    data_offsets: tuple[Length, Length]


@dataclass(frozen=True)
class Header:
    """The header of a file: its bytes, length included, and its tensors in the order of their bytes."""

    content: bytes
    entries: dict[str, Entry]

    @property
    def size(self) -> int:
        """The size of the whole file in bytes."""
        return len(self.content) + max((entry.data_offsets[1] for entry in self.entries.values()), default=0)


def read_header(path: Path) -> Header:
    """Read the header of a file, and check that the file has exactly the bytes that it describes.

    Raises CheckpointError.
    """
    try:
        size = regular(path).st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if size < 8 or not 0 < length <= min(size - 8, LARGEST_HEADER):
                raise Damaged("not a safetensors file, or a truncated one")
            content = file.read(length)
        return Header(length.to_bytes(8, "little") + content, _parse_header(content, size - 8 - length))
    except FileNotFoundError as error:
        raise missing_checkpoint_file(path) from error
    except OSError as error:
        raise cannot_read(path, error, CheckpointError) from error
    except Damaged as error:
        raise CheckpointError(f"{path}: {error}", DOWNLOAD, code="damaged-checkpoint") from error


def make_header(tensors: Mapping[str, tuple[str, tuple[int, ...]]]) -> Header:
    """Return the header for tensors of these types and shapes, the same to the byte as the safetensors library's."""
    described: dict[str, Any] = {}
    end = 0
    # The library puts wide types first, so that all tensors are aligned.
    for name in sorted(tensors, key=lambda name: (-SIZES[tensors[name][0]], name)):
        dtype, shape = tensors[name]
        begin, end = end, end + math.prod(shape) * SIZES[dtype]
        described[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}
    content = json.dumps({"__metadata__": METADATA, **described}, separators=(",", ":"), ensure_ascii=False).encode()
    content += b" " * (-len(content) % 8)
    return Header(len(content).to_bytes(8, "little") + content, _parse_header(content, end))


def _parse_header(content: bytes, size: int) -> dict[str, Entry]:
    """Return the tensors of a header, in the order of their bytes, which are `size` bytes. Raises `Damaged`."""
    with guarded():
        found = json.loads(content, object_pairs_hook=_without_duplicates)
        if not isinstance(found, dict):
            raise Damaged("the header is not an object")
        found.pop("__metadata__", None)
        entries = msgspec.convert(found, dict[str, Entry])
    place = 0
    ordered = dict(sorted(entries.items(), key=lambda item: item[1].data_offsets))
    for name, entry in ordered.items():
        width, (begin, end) = SIZES.get(entry.dtype), entry.data_offsets
        if width is None:
            raise Damaged(f"{shortened(name)} has the unknown type {shortened(entry.dtype)}")
        if begin != place or end - begin != math.prod(entry.shape) * width:
            raise Damaged(f"the header gives {shortened(name)} the wrong bytes")
        place = end
    if place != size:
        kind = "truncated" if place > size else "too long"
        raise Damaged(f"{kind}: {size:,} bytes of tensors instead of {place:,}")
    return ordered


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise Damaged(f"{shortened(name)} is in the header twice")
        found[name] = value
    return found
