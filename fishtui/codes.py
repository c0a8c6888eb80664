"""Codes on disk: `clip.npy` of shape (codebooks, T), and their provenance."""

from __future__ import annotations

import functools
import hashlib
import io
import json
import math
import threading
from collections import defaultdict
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from fishtui.codec.config import OFFICIAL, CodecConfig, read_config, sizes_file
from fishtui.errors import CheckpointError, DataError
from fishtui.files import FileState, discard, hash_file, keep_unknown, state_of, write_bytes, write_text
from fishtui.memory import without_collecting
from fishtui.reading import Damaged, guarded, parse_json, read_bounded, read_lines
from fishtui.wording import cannot_read, cannot_write, reason_of, shortened

# Bytes of a file of codes, and of a line in their journal: far more than for any recording that can be trained on.
LARGEST = 64 << 20
LONGEST_ENTRY = 1 << 16
# Bytes of the header of a `.npy` file.
LONGEST_HEADER = 1 << 14
AGAIN = "Create them again with `fishtui extract`."


Layout = tuple[int, ...]
"""The number of entries of each codebook, the semantic one first."""
PUBLISHED: Layout = OFFICIAL.codebook_sizes


def layout_of(codec: Path) -> Layout:
    """Return the layout of the codes of the codec in the file at `codec`. Raises CheckpointError."""
    return read_config(sizes_file(codec)).codebook_sizes


def check_codec(config: CodecConfig, codebooks: int, entries: int, path: Path) -> None:
    """Raise CheckpointError unless the codec at `path` fits a language model of `codebooks` with `entries` each."""
    layout = config.codebook_sizes
    if len(layout) != codebooks or max(layout) > entries:
        raise CheckpointError(
            f"{path}: the codec has {len(layout)} codebooks of up to {max(layout):,} codes",
            f"Use the codec of this model, which has {codebooks} codebooks of up to {entries:,} codes.",
            code="other-codec",
        )


def read_codes(path: Path, layout: Layout = PUBLISHED) -> np.ndarray:
    """Read the codes of a clip, integers of shape (codebooks, T).

    Raises DataError if they are missing, or not valid codes of `layout`.
    """
    try:
        content = read_bounded(path, LARGEST)
    except FileNotFoundError as error:
        raise DataError("no codes", "Create them with `fishtui extract`.", code="no-codes") from error
    except OSError as error:
        raise DataError(
            f"cannot read the codes: {reason_of(error)}", f"Check the permissions of {path.name}.", code="cannot-read"
        ) from error
    except Damaged as error:
        raise damaged_codes(error) from error
    return parse_codes(content, layout)


def parse_codes(content: bytes, layout: Layout | None = PUBLISHED) -> np.ndarray:
    """Return the array in a `.npy` file, without unpickling.

    Raises DataError unless it is codes of `layout`, or of any layout if that is None.
    """
    try:
        with guarded():
            codes = _array(content, len(layout) if layout else None)
    except Damaged as error:
        raise damaged_codes(error) from error
    if codes.min() < 0 or (layout and (codes.max(axis=1) >= layout).any()):
        raise DataError("some codes are outside their codebooks", AGAIN, code="bad-codes-range")
    return codes


def damaged_codes(reason: Exception) -> DataError:
    """The error for a file that is not an array, or too large for one of codes."""
    return DataError(f"the codes are damaged: {shortened(str(reason))}", AGAIN, code="damaged-codes")


def _array(content: bytes, codebooks: int | None) -> np.ndarray:
    """Return the array of codes in a `.npy` file; its type and size are checked before memory is taken for it."""
    shape, fortran_order, dtype, start = _header(content[: _header_size(content)])
    if dtype.hasobject:
        raise Damaged("Python objects instead of numbers")
    if len(shape) != 2 or min(shape) <= 0 or shape[0] != (codebooks or shape[0]):
        raise DataError(
            f"the codes have shape {shortened(str(shape))} instead of ({codebooks or 'codebooks'}, frames)",
            AGAIN,
            code="bad-codes-shape",
        )
    if dtype.kind not in "iu":
        raise DataError(f"the codes are {shortened(str(dtype))}, not integers", AGAIN, code="bad-codes-type")
    count = math.prod(shape)
    if count * dtype.itemsize > len(content) - start:
        raise Damaged("the file is cut short")
    values = np.frombuffer(content, dtype, count, start)
    return values.reshape(shape, order="F" if fortran_order else "C").copy()


def _header_size(content: bytes) -> int:
    """Return the size of the header of a `.npy` file, at most the largest that numpy reads (NEP 1)."""
    width = 2 if content[6:7] == b"\x01" else 4
    return min(8 + width + int.from_bytes(content[8 : 8 + width], "little"), LONGEST_HEADER)


# numpy parses a header as Python, which takes longer than all else. Recordings of one length have the same header.
@functools.lru_cache(maxsize=4096)
def _header(header: bytes) -> tuple[tuple[int, ...], bool, np.dtype, int]:
    """Return shape, order and type of the array, and the size of the header. Raises `Damaged`."""
    file = io.BytesIO(header)
    try:
        version = np.lib.format.read_magic(file)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        return *read_header(file), file.tell()
    except Exception as error:
        # numpy evaluates the header as Python's literals, whose faults are of any kind.
        raise Damaged("no header of an array") from error


def encode_codes(codes: np.ndarray) -> bytes:
    """Return the content of a `.npy` file with `codes` as int64, as the public tools write it."""
    buffer = io.BytesIO()
    np.save(buffer, codes.astype(np.int64), allow_pickle=False)
    return buffer.getvalue()


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The source of a clip's codes: hashes of audio and codec, and the recipe for encoding.

    `size`, `modified`, `changed` and `inode` are the state of the audio file when it was hashed (`files.FileState`);
    while they stay the same, the hash is not computed again. Lines of earlier versions have no `changed` and `inode`.
    """

    clip: str
    size: int
    modified: int
    audio: str
    codec: str
    recipe: str
    changed: int = 0
    inode: int = 0

    @property
    def state(self) -> FileState:
        """The state of the audio file when it was hashed."""
        return FileState(self.size, self.modified, self.changed, self.inode)


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance(Source):
    """A source, and the hash of the codes made from it."""

    codes: str


class Journal:
    """The provenance of all codes of a project: an append-only file of JSON lines, in which later lines win.

    A line is written before the codes that it describes, and applies only to codes with its hash, so a kill between
    the two writes leaves no false entry.

    Processes never append to one file, since a network file system could mix their lines: all but the first write to
    `part_of` the journal, and every reader reads these parts too.
    """

    @without_collecting()
    def __init__(self, path: Path, tidy: bool = False) -> None:
        """Read the journal with its parts.

        `tidy` rewrites it if lines are torn or outdated, and merges the parts; only for the sole writer.
        """
        self._path = path
        # Codes are stored by several threads.
        self._lock = threading.Lock()
        self._entries: dict[str, dict[str, Provenance]] = defaultdict(dict)
        parts = sorted(path.parent.glob(f"{path.stem}.rank*{path.suffix}"))
        # Parts are read before the journal, which another process may merge them into; their lines are newer.
        newer = [_entries(part) for part in parts]
        lines = _entries(path)
        for entry in [each for some in (lines, *newer) for each in some if each is not None]:
            self._entries[entry.clip][entry.codes] = entry
        untidy = parts or None in lines or len(lines) > 2 * sum(map(len, self._entries.values())) + 1
        if tidy and untidy:
            self._rewrite()
            for part in parts:
                discard(part)

    def find(self, clip: str, codes_hash: str) -> Provenance | None:
        """Return the provenance of the codes with that hash, also if the clip was renamed; None if it is unknown."""
        return self._entries.get(clip, {}).get(codes_hash) or self._renamed.get(codes_hash)

    @functools.cached_property
    def _renamed(self) -> dict[str, Provenance]:
        return {entry.codes: entry for made in self._entries.values() for entry in made.values()}

    def record(self, entry: Provenance) -> None:
        """Append one entry, from any thread. Raises FishtuiError if it cannot be written."""
        with self._lock:
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                with self._path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(asdict(entry)) + "\n")
            except OSError as error:
                raise cannot_write(self._path, error) from error
            self._entries[entry.clip][entry.codes] = entry
            # Changed in place if it has been computed, because a moved dataset renews the entry of each clip.
            self.__dict__.get("_renamed", {})[entry.codes] = entry

    def _rewrite(self) -> None:
        entries = (entry for made in self._entries.values() for entry in made.values())
        write_text(self._path, "".join(json.dumps(asdict(entry)) + "\n" for entry in entries))


def _entries(path: Path) -> list[Provenance | None]:
    """The entries of a file, none if it does not exist; None for a line that is torn or damaged.

    Such a line loses one clip's provenance: its codes then count as made by another tool.
    """
    try:
        return list(map(_entry, read_lines(path, LONGEST_ENTRY)))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise cannot_read(path, error) from error


def _entry(line: bytes | None) -> Provenance | None:
    if line is None or not line.endswith(b"\n"):
        return None
    try:
        return parse_json(line, Provenance)
    except Damaged:
        return None


def part_of(journal: Path, rank: int) -> Path:
    """The file to which process `rank` appends: the journal for rank 0, otherwise a part of it."""
    return journal.with_name(f"{journal.stem}.rank{rank}{journal.suffix}") if rank else journal


def is_current(
    journal: Journal,
    clip: str,
    audio: Path,
    codes: Path,
    codec: str,
    recipe: str,
    layout: Layout = PUBLISHED,
    renew: bool = False,
) -> bool:
    """Return True if the codes on disk were made from this audio, codec and recipe.

    Valid codes of `layout` without provenance, made by another tool, count as current. If the audio file has another
    state, but the same content, `renew` records the state, so that it is not hashed again. Raises FishtuiError if that
    fails.
    """
    try:
        content = read_bounded(codes, LARGEST)
        parse_codes(content, layout)
    except (OSError, Damaged, DataError):
        return False
    made = journal.find(clip, hash_codes(content))
    if made is None:
        return True
    if (made.codec, made.recipe) != (codec, recipe):
        return False
    try:
        state = state_of(audio.stat())
        if state == made.state:
            return True
        same = hash_file(audio) == made.audio
    except OSError:
        # Decoding reports the error.
        return False
    if same and renew:
        journal.record(replace(made, clip=clip, **state._asdict()))
    return same


def keep_foreign(journal: Journal, clip: str, codes: Path, kept: Path) -> Path | None:
    """Keep a copy of a file in the place of a clip's codes that fishtui did not make, before it is replaced.

    Returns the copy, in the folder `kept` under its hash; None if fishtui made the file, or it does not exist. Raises
    FishtuiError if it cannot be copied.
    """
    return keep_unknown(codes, lambda found: journal.find(clip, found) is not None, kept)


def store(journal: Journal, made_from: Source, path: Path, codes: np.ndarray) -> None:
    """Write a clip's codes and their provenance. Raises FishtuiError."""
    content = encode_codes(codes)
    journal.record(Provenance(**asdict(made_from), codes=hash_codes(content)))
    write_bytes(path, content)


def hash_codes(content: bytes) -> str:
    """SHA-256 of the content of a codes file, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()
