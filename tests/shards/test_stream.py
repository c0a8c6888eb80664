from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from hypothesis import given, settings
from hypothesis import strategies as st

from fishtui.errors import DataError
from fishtui.shards import stream, text_data_pb2
from fishtui.shards.stream import ShardWriter, encode_sentence, read_messages, read_sentences
from tests.expecting import failing
from tests.golden_data import GOLDEN

CODES = st.integers(1, 20).flatmap(
    lambda frames: st.lists(st.lists(st.integers(0, 4095), min_size=frames, max_size=frames), min_size=10, max_size=10)
)
SENTENCES = st.lists(st.tuples(st.sampled_from("abc"), st.text(), CODES), max_size=30)


def test_the_golden_shard_equals_its_dump() -> None:
    for file in json.loads((GOLDEN / "protos" / "dump.json").read_text(encoding="utf-8"))["files"]:
        messages = list(read_messages(GOLDEN / "protos" / file["file"]))
        assert [message.ByteSize() for message in messages] == file["record_lengths"]
        for message, wanted in zip(messages, file["records"], strict=True):
            assert (message.source, message.name) == (wanted["source"], wanted["name"])
            assert [list(sentence.texts) for sentence in message.sentences] == [
                each["texts"] for each in wanted["sentences"]
            ]
            codes = [[list(row.values) for row in sentence.semantics] for sentence in message.sentences]
            assert codes == [each["semantics"] for each in wanted["sentences"]]


@settings(max_examples=50, deadline=None)
@given(SENTENCES, st.integers(1, 2000), st.integers(1, 400))
def test_sentences_are_read_as_written(tmp_path_factory, sentences, shard_bytes: int, message_bytes: int) -> None:
    folder = tmp_path_factory.mktemp("shards")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stream, "MESSAGE_BYTES", message_bytes)
        writer = ShardWriter(folder, shard_bytes)
        positions = [writer.add(speaker, encode_sentence(text, np.array(codes))) for speaker, text, codes in sentences]
        writer.close()
    read = list(read_sentences(writer.paths))
    assert [position for position, _ in read] == positions
    assert [(each.speaker, each.text, each.codes.tolist()) for _, each in read] == sentences
    # A shard is closed after the message that exceeds its size.
    for path in writer.paths[:-1]:
        assert path.stat().st_size > shard_bytes
    for path in writer.paths:
        *_, last = read_messages(path)
        assert path.stat().st_size - last.ByteSize() - 4 <= shard_bytes


def test_the_messages_have_the_published_schema() -> None:
    described = FileDescriptorProto.FromString(text_data_pb2.DESCRIPTOR.serialized_pb)
    fields = {
        message.name: {field.name: (field.number, field.type, field.label) for field in message.field}
        for message in described.message_type
    }
    repeated, single, text, message, number = 3, 1, 9, 11, 13
    assert described.package == "text_data"
    assert fields == {
        "Semantics": {"values": (1, number, repeated)},
        "Sentence": {"texts": (1, text, repeated), "semantics": (3, message, repeated)},
        "TextData": {"source": (1, text, single), "name": (2, text, single), "sentences": (4, message, repeated)},
        "SampledData": {"source": (1, text, single), "name": (2, text, single), "samples": (3, message, repeated)},
    }
    schema = (Path(__file__).parents[2] / "schemas" / "text_data.proto").read_text(encoding="utf-8")
    for name, members in fields.items():
        body = schema.split(f"message {name} {{")[1].split("}")[0]
        assert {line.split()[-3] for line in body.strip().splitlines()} == set(members)


@pytest.mark.parametrize("cut", [1, 3, 4, 100, -1])
def test_a_truncated_shard_is_reported(tmp_path: Path, cut: int) -> None:
    content = (GOLDEN / "protos" / "00000000.protos").read_bytes()
    path = tmp_path / "00000000.protos"
    path.write_bytes(content[:cut])
    with failing("truncated-shard", DataError):
        list(read_messages(path))


def test_a_damaged_shard_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "00000000.protos"
    path.write_bytes(b"\x05\x00\x00\x00\xff\xff\xff\xff\xff")
    with failing("damaged-shard", DataError):
        list(read_messages(path))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_crash_the_reader(tmp_path_factory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "00000000.protos"
    path.write_bytes(content)
    with suppress(DataError):
        list(read_sentences([path]))
