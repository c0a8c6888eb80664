from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

from fishtui.audio.decode import read_audio
from fishtui.audio.encode import encode_audio, write_audio
from fishtui.audio.outputs import FORMATS, output_file, output_format
from fishtui.errors import MisuseError
from tests.expecting import failing


@pytest.mark.parametrize("extension", FORMATS)
def test_every_format_is_written_as_its_extension(tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"speech{extension}"
    write_audio(path, np.zeros(44_100, np.float32), 44_100, *output_format(path))
    assert extension in read_audio(path).header.extensions


def test_a_folder_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "made.wav").mkdir()
    assert output_file(tmp_path) == tmp_path / "speech.wav"
    assert output_file(tmp_path / "made.wav") == tmp_path / "made.wav" / "speech.wav"
    assert output_file(tmp_path / "new") == tmp_path / "new" / "speech.wav"
    assert output_file(tmp_path / "new.flac") == tmp_path / "new.flac"


def test_other_outputs_are_refused(tmp_path: Path) -> None:
    for name in ("a.txt", "a.opus", "a.wavv", "v1.0"):
        with failing("output-format", MisuseError):
            output_file(tmp_path / name)
    (tmp_path / "file").touch()
    for name in ("file", "file/a.wav"):
        with failing("not-a-folder", MisuseError):
            output_file(tmp_path / name)


@pytest.mark.parametrize("kind", ["WAV", "WAVEX", "AIFF"])
def test_files_of_floats_do_not_contain_the_time(kind: str) -> None:
    samples = np.linspace(-0.3, 0.3, 200, dtype=np.float32).reshape(-1, 2)
    content = encode_audio(samples, 8_000, kind, "FLOAT")
    assert b"PEAK" not in content
    np.testing.assert_array_equal(soundfile.read(io.BytesIO(content), dtype="float32")[0], samples)
