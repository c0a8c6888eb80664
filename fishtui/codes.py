"""Codes on disk: `clip.npy` of shape (10, T), and what they were made from."""

from __future__ import annotations

import functools
import hashlib
import io
import json
from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from fishtui.codec.config import OFFICIAL, CodecConfig
from fishtui.errors import CheckpointError, DataError
from fishtui.files import discard, hash_file, regular, write_bytes, write_text
from fishtui.wording import cannot_write, reason_of

SEMANTIC_SIZE, RESIDUAL_SIZE, *_ = OFFICIAL.codebook_sizes
CODEBOOKS = len(OFFICIAL.codebook_sizes)


def check_codec(config: CodecConfig, path: Path) -> None:
    """Raise CheckpointError unless the codec at `path` makes codes as files hold them.

    Files hold codes of frames of the published length: others would be another speed to all who read them.
    """
    kind, published = _kind(config), _kind(OFFICIAL)
    if kind != published:
        raise CheckpointError(
            f"the codec {path} is not of the published kind: it has {kind}", f"Files of codes hold {published}."
        )


def _kind(config: CodecConfig) -> str:
    semantic, *residual = config.codebook_sizes
    return (
        f"1 + {len(residual)} codebooks of {semantic:,} and {max(residual, default=0):,} codes, for frames of "
        f"{config.frame_length:,} samples at {config.sample_rate:,} Hz"
    )


def read_codes(path: Path) -> np.ndarray:
    """The codes of a clip, integers of shape (10, T). Raises DataError if they are missing or not valid."""
    try:
        regular(path)
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise DataError("no codes", "Make them with `fishtui extract`.") from error
    except OSError as error:
        raise DataError(
            f"cannot read the codes: {reason_of(error)}", f"Check the permissions of {path.name}.", code="cannot-read"
        ) from error
    return parse_codes(content)


def parse_codes(content: bytes) -> np.ndarray:
    """The array in the content of a `.npy` file, never unpickled. Raises DataError unless it is a clip's codes."""
    remedy = "Make them again with `fishtui extract`."
    try:
        codes = np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise DataError("the codes are damaged", remedy) from error
    if codes.ndim != 2 or codes.shape[0] != CODEBOOKS or codes.shape[1] == 0:
        raise DataError(f"the codes have shape {codes.shape} in place of ({CODEBOOKS}, frames)", remedy)
    if codes.dtype.kind not in "iu":
        raise DataError(f"the codes are {codes.dtype}, not integers", remedy)
    highest = codes.max(axis=1)
    if codes.min() < 0 or highest[0] >= SEMANTIC_SIZE or highest[1:].max() >= RESIDUAL_SIZE:
        raise DataError("the codes hold values outside their codebooks", remedy)
    return codes


def encode_codes(codes: np.ndarray) -> bytes:
    """The content of a `.npy` file with `codes` as int64, as the public tools write it."""
    buffer = io.BytesIO()
    np.save(buffer, codes.astype(np.int64), allow_pickle=False)
    return buffer.getvalue()


@dataclass(frozen=True, kw_only=True)
class Source:
    """What a clip's codes are made from: hashes of audio and codec, and the recipe between them.

    `size` and `modified` (nanoseconds) are the audio file's when it was hashed: while they stand, so does the hash.
    """

    clip: str
    size: int
    modified: int
    audio: str
    codec: str
    recipe: str


@dataclass(frozen=True, kw_only=True)
class Provenance(Source):
    """A source and the hash of the codes that were made from it."""

    codes: str


class Journal:
    """The provenance of all codes of a project, an append-only file of JSON lines; the last of a kind holds.

    A line is written before the codes that it describes and holds only for codes of that very hash, so that
    being killed between the two leaves nothing false.

    Several processes never append to one file, which a network file system would garble: all but the first of them
    write to `part_of` the journal, and who reads it reads these parts too.
    """

    def __init__(self, path: Path, tidy: bool = False) -> None:
        """Read the journal with its parts.

        `tidy` writes it anew where lines are torn or outdated, and takes the parts in, for who alone writes to it.
        """
        self._path = path
        self._entries: dict[str, dict[str, Provenance]] = defaultdict(dict)
        parts = sorted(path.parent.glob(f"{path.stem}.rank*{path.suffix}"))
        # Parts go first, lest they be taken into the journal after it was read; what they say is newer.
        newer = [_lines(part) for part in parts]
        lines = _lines(path)
        for line in [each for some in (lines, *newer) for each in some[:-1]]:
            try:
                entry = Provenance(**json.loads(line))
            except (ValueError, TypeError):
                # A line torn by a crash costs one clip's provenance: its codes then count as given.
                continue
            self._entries[entry.clip][entry.codes] = entry
        untidy = parts or lines[-1] or len(lines) > 2 * sum(map(len, self._entries.values())) + 1
        if tidy and untidy:
            self._rewrite()
            for part in parts:
                discard(part)

    def find(self, clip: str, codes_hash: str) -> Provenance | None:
        """What the codes of that hash were made from, if they were made here, be it under another name."""
        return self._entries.get(clip, {}).get(codes_hash) or self._renamed.get(codes_hash)

    @functools.cached_property
    def _renamed(self) -> dict[str, Provenance]:
        return {entry.codes: entry for made in self._entries.values() for entry in made.values()}

    def record(self, entry: Provenance) -> None:
        """Append one entry. Raises FishtuiError if the disk is full."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(entry)) + "\n")
        except OSError as error:
            raise cannot_write(self._path, error) from error
        self._entries[entry.clip][entry.codes] = entry
        self.__dict__.pop("_renamed", None)

    def _rewrite(self) -> None:
        entries = (entry for made in self._entries.values() for entry in made.values())
        write_text(self._path, "".join(json.dumps(asdict(entry)) + "\n" for entry in entries))


def _lines(path: Path) -> list[str]:
    """The lines of a file, and what stands after the last of them; none if there is no file."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").split("\n")
    except FileNotFoundError:
        return [""]


def part_of(journal: Path, rank: int) -> Path:
    """The file that process `rank` of several appends to; the first has the journal itself."""
    return journal.with_name(f"{journal.stem}.rank{rank}{journal.suffix}") if rank else journal


def is_current(journal: Journal, clip: str, audio: Path, codes: Path, codec: str, recipe: str) -> bool:
    """Whether the codes on disk are those of this audio, codec and recipe.

    Valid codes without provenance, made by another tool, are taken as they are.
    """
    try:
        regular(codes)
        content = codes.read_bytes()
        parse_codes(content)
    except (OSError, DataError):
        return False
    made = journal.find(clip, hash_codes(content))
    if made is None:
        return True
    if (made.codec, made.recipe) != (codec, recipe):
        return False
    try:
        status = audio.stat()
        return (status.st_size, status.st_mtime_ns) == (made.size, made.modified) or hash_file(audio) == made.audio
    except OSError:
        # Decoding will say what is wrong with it.
        return False


def store(journal: Journal, made_from: Source, path: Path, codes: np.ndarray) -> None:
    """Write a clip's codes and what they were made from. Raises FishtuiError."""
    content = encode_codes(codes)
    journal.record(Provenance(**asdict(made_from), codes=hash_codes(content)))
    write_bytes(path, content)


def hash_codes(content: bytes) -> str:
    """SHA-256 of the content of a codes file, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()
