from __future__ import annotations

import json
import os
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishtui.codec.config import OFFICIAL
from fishtui.codes import (
    PUBLISHED,
    Journal,
    Source,
    check_codec,
    encode_codes,
    is_current,
    layout_of,
    parse_codes,
    part_of,
    read_codes,
    store,
)
from fishtui.errors import CheckpointError, DataError
from fishtui.files import hash_file, state_of
from tests.builders import write_clip, write_codes
from tests.expecting import failing


def array(rows: int = 10, frames: int = 5, value: int = 7, dtype: str = "int64") -> np.ndarray:
    return np.full((rows, frames), value, dtype)


@pytest.mark.parametrize(
    ("codes", "code"),
    [
        (array(rows=9), "bad-codes-shape"),
        (array(frames=0), "bad-codes-shape"),
        (np.zeros(10, np.int64), "bad-codes-shape"),
        (array(dtype="float32"), "bad-codes-type"),
        (array(value=-1), "bad-codes-range"),
        (array(value=1024), "bad-codes-range"),
        (np.concatenate([array(rows=1, value=4096), array(rows=9)]), "bad-codes-range"),
    ],
)
def test_invalid_codes_are_reported(tmp_path: Path, codes: np.ndarray, code: str) -> None:
    path = tmp_path / "clip.npy"
    np.save(path, codes)
    with failing(code, DataError):
        read_codes(path)


def test_codes_are_never_unpickled(tmp_path: Path) -> None:
    path = tmp_path / "clip.npy"
    np.save(path, np.array([print], dtype=object), allow_pickle=True)
    with failing("damaged-codes", DataError):
        read_codes(path)
    with failing("no-codes", DataError):
        read_codes(tmp_path / "none.npy")
    os.mkfifo(tmp_path / "pipe.npy")
    with failing("cannot-read", DataError):
        read_codes(tmp_path / "pipe.npy")


@pytest.mark.parametrize("change", [{"residual_codebooks": 3}, {"semantic_codebook_size": 8192}])
def test_the_codec_of_another_model_is_refused(change: dict[str, object]) -> None:
    check_codec(OFFICIAL, 10, 4096, Path("codec.pth"))
    other = msgspec.structs.replace(OFFICIAL, **change)
    with failing("other-codec", CheckpointError):
        check_codec(other, 10, 4096, Path("codec.pth"))


def test_codes_have_the_layout_of_their_codec(tmp_path: Path) -> None:
    content = encode_codes(np.array([[255, 0], [3, 255]]))
    assert parse_codes(content, (256, 256)).shape == (2, 2)
    assert parse_codes(content, None).shape == (2, 2)
    with failing("bad-codes-shape", DataError):
        parse_codes(content, (256, 256, 256))
    with failing("bad-codes-range", DataError):
        parse_codes(content, (256, 255))
    codec = tmp_path / "codec.pth"
    assert layout_of(codec) == PUBLISHED
    sizes = msgspec.structs.replace(OFFICIAL, semantic_codebook_size=256, residual_codebooks=1)
    (tmp_path / "codec.json").write_bytes(msgspec.json.encode(sizes))
    assert layout_of(codec) == (256, 1024)


@given(st.binary(max_size=300))
def test_no_bytes_crash_the_reader(content: bytes) -> None:
    with pytest.raises(DataError):
        parse_codes(content)


@pytest.mark.parametrize("dtype", ["int16", "uint16", "int32", "int64"])
def test_codes_of_any_integer_type_are_read(dtype: str) -> None:
    codes = array(value=1023, dtype=dtype)
    np.testing.assert_array_equal(parse_codes(encode_codes(codes)), codes)


def source(audio: Path, codec: str = "c", recipe: str = "r") -> Source:
    state = state_of(audio.stat())
    return Source(clip="a/1", audio=hash_file(audio), codec=codec, recipe=recipe, **state._asdict())


def test_codes_are_current_until_audio_codec_or_recipe_change(tmp_path: Path) -> None:
    audio, codes, path = write_clip(tmp_path / "a" / "1.wav"), tmp_path / "a" / "1.npy", tmp_path / "codes.jsonl"
    journal = Journal(path)
    assert not is_current(journal, "a/1", audio, codes, "c", "r")
    store(journal, source(audio), codes, array())
    for each in (journal, Journal(path)):
        assert is_current(each, "a/1", audio, codes, "c", "r")
        assert not is_current(each, "a/1", audio, codes, "other", "r")
        assert not is_current(each, "a/1", audio, codes, "c", "other")
    audio.touch()
    assert is_current(journal, "a/1", audio, codes, "c", "r")
    write_clip(audio, samples=np.zeros(100, np.float32))
    assert not is_current(journal, "a/1", audio, codes, "c", "r")


def test_codes_are_stale_even_if_size_and_time_of_the_audio_are_as_before(tmp_path: Path) -> None:
    """The case same-time-same-size."""
    audio, codes = write_clip(tmp_path / "a" / "1.wav"), tmp_path / "a" / "1.npy"
    journal = Journal(tmp_path / "codes.jsonl")
    store(journal, source(audio), codes, array())
    before = audio.stat()
    audio.write_bytes(audio.read_bytes()[:-1] + b"?")
    os.utime(audio, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (audio.stat().st_size, audio.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert not is_current(journal, "a/1", audio, codes, "c", "r")


def test_audio_with_another_state_but_the_same_content_is_hashed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    audio, codes, path = write_clip(tmp_path / "a" / "1.wav"), tmp_path / "a" / "1.npy", tmp_path / "codes.jsonl"
    store(Journal(path), source(audio), codes, array())
    audio.touch()
    lines = path.read_bytes()
    assert is_current(Journal(path), "a/1", audio, codes, "c", "r")
    assert path.read_bytes() == lines
    assert is_current(Journal(path), "a/1", audio, codes, "c", "r", renew=True)
    monkeypatch.setattr("fishtui.codes.hash_file", None)
    assert is_current(Journal(path), "a/1", audio, codes, "c", "r")


def test_valid_codes_of_another_tool_are_current(tmp_path: Path) -> None:
    audio, codes = write_clip(tmp_path / "1.wav"), write_codes(tmp_path / "1.npy")
    journal = Journal(tmp_path / "codes.jsonl")
    assert is_current(journal, "1", audio, codes, "c", "r")
    codes.write_bytes(codes.read_bytes()[:-1])
    assert not is_current(journal, "1", audio, codes, "c", "r")


def test_a_kill_between_journal_and_codes_leaves_no_false_entry(tmp_path: Path) -> None:
    audio, codes, path = write_clip(tmp_path / "1.wav"), tmp_path / "1.npy", tmp_path / "codes.jsonl"
    store(Journal(path), source(audio), codes, array())
    old = codes.read_bytes()
    write_clip(audio, samples=np.zeros(100, np.float32))
    store(Journal(path), source(audio), codes, array(value=8))
    # The same as a kill before the new codes are renamed.
    codes.write_bytes(old)
    assert not is_current(Journal(path), "a/1", audio, codes, "c", "r")


def test_codes_of_a_renamed_clip_are_found_also_after_more_was_recorded(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "codes.jsonl")
    made_from = source(write_clip(tmp_path / "1.wav"))
    for value in (1, 2):
        path = tmp_path / f"{value}.npy"
        store(journal, made_from, path, array(value=value))
        found = journal.find("renamed", hash_file(path))
        assert found is not None
        assert found.codes == hash_file(path)


def test_a_torn_or_foreign_line_loses_only_itself(tmp_path: Path) -> None:
    audio, codes, path = write_clip(tmp_path / "1.wav"), tmp_path / "1.npy", tmp_path / "codes.jsonl"
    store(Journal(path), source(audio), codes, array())
    whole = path.read_text(encoding="utf-8")
    path.write_bytes(b"nonsense\n\xff\x00\n" + whole.encode() + whole[:20].encode())
    assert is_current(Journal(path), "a/1", audio, codes, "c", "r")
    store(Journal(path, tidy=True), source(audio, recipe="s"), codes, array())
    assert is_current(Journal(path), "a/1", audio, codes, "c", "s")
    lines = path.read_text(encoding="utf-8").splitlines()
    assert all(json.loads(line) for line in lines)


def test_journal_parts_of_multiple_processes_are_merged(tmp_path: Path) -> None:
    path = tmp_path / "state" / "codes.jsonl"
    audio = [write_clip(tmp_path / f"{rank}.wav") for rank in range(3)]
    codes = [tmp_path / f"{rank}.npy" for rank in range(3)]
    for rank in range(3):
        store(Journal(part_of(path, rank)), source(audio[rank]), codes[rank], array(value=rank))
    # A newer entry of a process that is killed later.
    store(Journal(part_of(path, 1)), source(audio[0], recipe="s"), codes[0], array(value=0))
    with part_of(path, 2).open("a", encoding="utf-8") as file:
        file.write('{"torn')
    for journal in (Journal(path), Journal(path, tidy=True), Journal(path)):
        assert is_current(journal, "a/1", audio[0], codes[0], "c", "s")
        assert is_current(journal, "a/1", audio[1], codes[1], "c", "r")
        assert not is_current(journal, "a/1", audio[2], codes[2], "other", "r")
    assert [each.name for each in path.parent.iterdir()] == ["codes.jsonl"]
