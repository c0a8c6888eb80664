from __future__ import annotations

import numpy as np
import pytest

from fishtui.errors import MisuseError
from fishtui.judges.spoken import MOST_CLIPS, Spoken, Voice
from tests.expecting import failing
from tests.judges.material import clip, joined, noise, silence

SOUND = np.zeros(100, np.float32)


@pytest.mark.parametrize(
    ("samples", "rate", "codes", "code"),
    [
        (SOUND, 0, None, "impossible-rate"),
        (SOUND, -8_000, None, "impossible-rate"),
        (SOUND, 1, None, "impossible-rate"),
        (SOUND, 10_000_000, None, "impossible-rate"),
        (np.zeros((2, 100), np.float32), 16_000, None, "not-a-recording"),
        (np.zeros(100, np.int16), 16_000, None, "not-a-recording"),
        (np.full(100, 3000.0), 16_000, None, "wrong-scale"),
        (SOUND, 16_000, np.zeros(5, np.int64), "not-codes"),
        (SOUND, 16_000, np.zeros((2, 5)), "not-codes"),
    ],
)
def test_what_is_not_speech_is_refused(samples: np.ndarray, rate: int, codes: np.ndarray | None, code: str) -> None:
    with failing(code, MisuseError):
        Spoken(samples, rate, "text", codes=codes)


def test_seconds_of_speech_are_those_without_pauses() -> None:
    spoken = clip("lj-0")
    padded = joined(1.0, spoken, 2.0)
    assert padded.seconds == pytest.approx(spoken.seconds + 3)
    assert padded.speech == pytest.approx(spoken.speech, abs=0.05)


def test_a_voice_keeps_clips_with_sound_spread_over_all_of_them() -> None:
    many = [noise(str(number)) for number in range(3 * MOST_CLIPS)]
    kept = [int(each.text) for each in Voice([silence(), *many]).clips]
    assert len(kept) == MOST_CLIPS
    assert kept[0] == 0
    assert kept[-1] >= 3 * (MOST_CLIPS - 1)
    assert Voice([silence()]).clips == ()


def test_a_fact_is_computed_once() -> None:
    calls = []
    voice = Voice([noise()])
    assert [voice.fact("name", lambda clips: calls.append(1) or len(clips)) for _ in range(3)] == [1, 1, 1]
    assert calls == [1]
