"""Read and write shards: a stream of `TextData`, each after its length as 4 little-endian bytes."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from google.protobuf.message import DecodeError

from fishtui.errors import DataError
from fishtui.files import regular
from fishtui.shards.text_data_pb2 import Semantics, Sentence, TextData

LENGTH = struct.Struct("<I")
SOURCE = "folder"
# A message that reaches this size is closed, and the speaker continues in another one.
MESSAGE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Position:
    """The position of a sentence: shard number, message in that shard, sentence in that message, all from 0."""

    shard: int
    message: int
    sentence: int


@dataclass(frozen=True)
class StoredSentence:
    """One clip in a shard; `codes` is int16 of shape (codebooks, T)."""

    speaker: str
    text: str
    codes: np.ndarray


def encode_sentence(text: str, codes: np.ndarray) -> bytes:
    """Return a serialized `Sentence`; `codes` is an integer array of shape (codebooks, T)."""
    return Sentence(texts=[text], semantics=[Semantics(values=row) for row in codes.tolist()]).SerializeToString()


class ShardWriter:
    """Writes serialized sentences into shards `00000000.protos`, … of a folder."""

    def __init__(self, folder: Path, shard_bytes: int) -> None:
        self.paths: list[Path] = []
        self._folder = folder
        self._shard_bytes = shard_bytes
        self._file: BinaryIO | None = None
        self._messages = 0
        self._speaker = ""
        self._sentences: list[bytes] = []
        self._message_bytes = 0

    def add(self, speaker: str, sentence: bytes) -> Position:
        """Append one sentence and return its position. The sentences of a speaker must be added in succession."""
        if speaker != self._speaker or self._message_bytes >= MESSAGE_BYTES:
            self._close_message()
            self._speaker = speaker
        if self._file is None:
            self._file = self._open_shard()
        self._sentences.append(sentence)
        self._message_bytes += len(sentence)
        return Position(len(self.paths) - 1, self._messages, len(self._sentences) - 1)

    def close(self) -> None:
        """Finish the last message and shard."""
        self._close_message()
        self._close_shard()

    def _open_shard(self) -> BinaryIO:
        path = self._folder / f"{len(self.paths):08d}.protos"
        self.paths.append(path)
        self._messages = 0
        return path.open("wb")

    def _close_message(self) -> None:
        if self._file is None or not self._sentences:
            return
        # Serialized submessages are concatenated, which saves parsing them: field 4, length-delimited.
        head = TextData(source=SOURCE, name=self._speaker).SerializeToString()
        body = b"".join(b"\x22" + _varint(len(sentence)) + sentence for sentence in self._sentences)
        self._file.write(LENGTH.pack(len(head) + len(body)) + head + body)
        self._messages += 1
        self._sentences, self._message_bytes = [], 0
        if self._file.tell() > self._shard_bytes:
            self._close_shard()

    def _close_shard(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def _varint(value: int) -> bytes:
    """The base-128 encoding of a length (protobuf encoding guide, "Base 128 varints")."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def read_messages(path: Path) -> Iterator[TextData]:
    """Yield the messages of a shard. Raises DataError if it is truncated or damaged."""
    left = regular(path).st_size
    with path.open("rb") as file:
        number = 0
        while head := file.read(LENGTH.size):
            length = LENGTH.unpack(head)[0] if len(head) == LENGTH.size else left
            left -= LENGTH.size + length
            # Compared before memory is taken for the message.
            content = file.read(length) if left >= 0 else b""
            if left < 0 or len(content) < length:
                raise DataError(
                    f"{path}: truncated in message {number}", "Pack again with `fishtui pack`.", code="truncated-shard"
                )
            try:
                yield TextData.FromString(content)
            except DecodeError as error:
                raise _damaged(path, f"message {number} is damaged") from error
            number += 1


def read_sentences(paths: Sequence[Path]) -> Iterator[tuple[Position, StoredSentence]]:
    """Yield every sentence of the shards, in order; the codes of one without any have shape (0, 0).

    Raises DataError if a shard is damaged, its rows of codes differ in length, or its values are not codes.
    """
    for shard, path in enumerate(paths):
        for number, message in enumerate(read_messages(path)):
            for index, sentence in enumerate(message.sentences):
                rows = [np.fromiter(row.values, np.int64, len(row.values)) for row in sentence.semantics]
                if len({len(row) for row in rows}) > 1:
                    raise _damaged(path, f"sentence {index} of message {number} has rows of different lengths")
                codes = np.stack(rows) if rows else np.empty((0, 0), np.int64)
                if codes.max(initial=0) > np.iinfo(np.int16).max:
                    raise _damaged(path, f"sentence {index} of message {number} has values that are not codes")
                text = " ".join(sentence.texts)
                yield Position(shard, number, index), StoredSentence(message.name, text, codes.astype(np.int16))


def _damaged(path: Path, problem: str) -> DataError:
    return DataError(f"{path}: {problem}", "Pack again with `fishtui pack`.", code="damaged-shard")
