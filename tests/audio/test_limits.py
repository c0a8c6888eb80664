"""Memory and time that a file may cost."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fishtui.audio.measure import measure_file
from fishtui.audio.probe import AudioError, probe
from fishtui.audio.resample import resample
from tests.expecting import failing

# kB that an hour of audio may cost to measure, with the libraries.
MEMORY = 500_000
MEASURE = """
import re, sys
from pathlib import Path
from fishtui.audio.measure import measure_file
found = measure_file(Path(sys.argv[1]))[1]
print(found.seconds, re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
"""


def sparse(path: Path, frames: int, rate: int, channels: int = 1) -> Path:
    """Write a wav file of silence that takes no space on the disk."""
    size = 2 * frames * channels
    header = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, channels, rate, 2 * rate * channels, 2 * channels, 16)
    path.write_bytes(b"RIFF" + struct.pack("<I", 36 + size) + b"WAVE" + header + b"data" + struct.pack("<I", size))
    os.truncate(path, 44 + size)
    return path


@pytest.mark.parametrize("channels", [1, 3])
def test_an_hour_is_measured_in_little_memory(tmp_path: Path, channels: int) -> None:
    path = sparse(tmp_path / "a.wav", 3600 * 16_000, 16_000, channels)
    shown = subprocess.run([sys.executable, "-c", MEASURE, path], capture_output=True, text=True, check=True).stdout
    seconds, memory = map(float, shown.split())
    assert seconds == 3600
    assert memory < MEMORY


def test_a_recording_that_is_too_long_is_refused(tmp_path: Path) -> None:
    path = sparse(tmp_path / "a.wav", 370_000_000, 44_100, 2)
    with failing("too-long", AudioError):
        probe(path)
    assert measure_file(path)[1].fault == "unreadable"


@pytest.mark.parametrize(("rate", "channels"), [(1, 1), (500, 1), (4_000_000, 1), (44_100, 500)])
def test_extreme_formats_are_refused(tmp_path: Path, rate: int, channels: int) -> None:
    with failing("extreme-format", AudioError):
        probe(sparse(tmp_path / "a.wav", 1000, rate, channels))


@pytest.mark.parametrize("rate", [5_513, 11_024, 23_593, 44_056, 44_099, 48_001, 95_999])
@pytest.mark.parametrize("filter", ["best", "published"])
def test_unusual_rates_keep_pitch_and_length(rate: int, filter: str) -> None:
    given = np.sin(2 * np.pi * 1000 * np.arange(3 * rate) / rate).astype(np.float32)
    got = resample(given, rate, 44_100, filter)  # type: ignore[arg-type]
    assert (got.dtype, len(got)) == (np.float32, 3 * 44_100)
    wanted = np.sin(2 * np.pi * 1000 * np.arange(len(got)) / 44_100)
    assert np.abs(got - wanted)[4000:-4000].max() < 1e-4
