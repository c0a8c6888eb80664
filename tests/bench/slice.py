"""Find the speech of long recordings, and cut it: the time on one core, and the peak memory for 10 hours.

The plain implementation is the package's own: one window after the other, in torch, with the whole recording in memory.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

# Before NumPy is imported, which otherwise starts a thread for each processor.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
UNIT = "x real time"
CASES = ["10 min flac", "10 min m4a", "10 hours flac"]
FOLDER = Path(tempfile.gettempdir()) / "fishtui-bench-slice"
MINUTES = {"10 min flac": 10, "10 min m4a": 10, "10 hours flac": 600}


def prepare() -> None:
    """Write the recordings, or reuse existing ones: ten minutes of sentences, as they are and repeated for 10 hours."""
    import soundfile

    from fishtui.files import replacing
    from tests import spoken
    from tests.audio.test_source import write_sound

    FOLDER.mkdir(exist_ok=True)
    if not _path(CASES[0]).exists():
        made = spoken.compose(600, seed=1).samples[: 600 * spoken.RATE].clip(-1, 1)
        write_sound(_path(CASES[1]), made, rate=spoken.RATE)
        for case in (CASES[2], CASES[0]):
            with (
                replacing(_path(case)) as temporary,
                soundfile.SoundFile(temporary, "w", spoken.RATE, 1, format="FLAC") as file,
            ):
                for _ in range(MINUTES[case] // 10):
                    file.write(made)


def measure(case: str, plain: bool) -> float:
    """Return how many times faster than real time the speech of a recording is found and cut, by processor time."""
    started = time.process_time()
    if plain:
        _by_package(_path(CASES[0]))
        return 600 / (time.process_time() - started)
    from fishtui.audio.activity import measure_activity
    from fishtui.audio.cuts import CutRules, choose_cuts
    from fishtui.audio.cutting import encode_parts
    from fishtui.audio.source import open_source

    with open_source(_path(case)) as recording:
        activity = measure_activity(recording.blocks(), recording.rate)
    clips = choose_cuts(activity, CutRules()).clips
    written = sum(len(content) for _, content in encode_parts(_path(case), clips))
    assert written
    return 60 * MINUTES[case] / (time.process_time() - started)


def _by_package(path: Path) -> None:
    import numpy as np
    import soundfile
    import soxr
    import torch
    from silero_vad import get_speech_timestamps, load_silero_vad

    torch.set_num_threads(1)
    samples, rate = soundfile.read(path, dtype="float32")
    get_speech_timestamps(
        torch.from_numpy(np.ascontiguousarray(soxr.resample(samples, rate, 16_000))), load_silero_vad()
    )


def _path(case: str) -> Path:
    return FOLDER / f"{case.rpartition(' ')[0].replace(' ', '')}.{case.rpartition(' ')[2]}"
