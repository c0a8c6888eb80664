"""Results of speech recognition next to long recordings: JSON of Whisper, WhisperX, faster-whisper and whisper.cpp."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fishtui.importers.captions import SEVERAL, Caption, Captions
from fishtui.importers.timed import read_whole, sample, timed_layout
from fishtui.reading import check_depth

# Above these, Whisper itself takes a segment for silence or a loop.
MOST_NO_SPEECH, LEAST_CERTAIN = 0.6, -1.0
MOST_COMPRESSED = 2.4
# Bytes in which the first key of a result is.
BEGINNING = re.compile(
    r'\s*(?:\{\s*"(?:text|segments|word_segments|language|systeminfo|transcription|model|result|params|task|duration)"\s*:'
    r'|\[\s*\{\s*"(?:start|end|text|id|timestamp)"\s*:)'
)


def shows_segments(path: Path) -> bool:
    """Return True if a file begins as a result of recognition, and not as rows of a table."""
    beginning = sample(path)
    first, _, rest = beginning.partition("\n")
    if not BEGINNING.match(beginning):
        return False
    try:
        # A complete object on the first line is a row.
        return not (rest.strip() and isinstance(json.loads(first), dict))
    except ValueError:
        return True


def read_segments(path: Path) -> Captions:
    """Return the segments of a result of recognition. Raises DataError, OSError, and errors of another structure."""
    content = json.loads(read_whole(path))
    check_depth(content)
    return Captions([_caption(segment) for segment in _segments(content)])


def _segments(content: Any) -> Iterator[dict[str, Any]]:
    if isinstance(content, dict):
        content = content.get("segments") or content.get("transcription") or content.get("chunks") or []
    if not isinstance(content, list):
        raise ValueError("no list of segments")
    for segment in content:
        if not isinstance(segment, dict):
            raise ValueError("a segment is not an object")
        yield segment


def _caption(segment: dict[str, Any]) -> Caption:
    start, end = _times(segment)
    words = segment.get("words")
    timed = [word for word in words if isinstance(word, dict)] if isinstance(words, list) else []
    # Times of words are nearer to the speech; WhisperX has none for numbers, so only those of the outer words count.
    if timed and (first := _number(timed[0].get("start"))) is not None and first >= start - 1:
        start = first
    if timed and (last := _number(timed[-1].get("end"))) is not None and last <= end + 1:
        end = last
    speakers = {word["speaker"] for word in timed if isinstance(word.get("speaker"), str)}
    speaker = segment.get("speaker") or next(iter(speakers), "")
    text = segment.get("text")
    return Caption(
        start,
        end,
        text if isinstance(text, str) else "",
        speaker if isinstance(speaker, str) else "",
        SEVERAL if len(speakers) > 1 else _doubted(segment),
        _confidence(segment),
    )


def _times(segment: dict[str, Any]) -> tuple[float, float]:
    """Return start and end in seconds; NaN if they are not there."""
    offsets = segment.get("offsets")
    if isinstance(offsets, dict):
        times = [_number(offsets.get(key)) for key in ("from", "to")]
        scale = 0.001
    else:
        pair = segment.get("timestamp")
        both = pair if isinstance(pair, list) and len(pair) == 2 else [segment.get("start"), segment.get("end")]
        times, scale = [_number(each) for each in both], 1.0
    start, end = (math.nan if time is None else scale * time for time in times)
    return start, end


def _confidence(segment: dict[str, Any]) -> float | None:
    """Return the geometric mean of the probabilities of a segment's tokens."""
    certainty = _number(segment.get("avg_logprob"))
    return None if certainty is None else math.exp(min(certainty, 0.0))


def _doubted(segment: dict[str, Any]) -> str:
    """Return why the recognizer doubts that a segment has these words, empty if it does not."""
    silence, certainty = _number(segment.get("no_speech_prob")), _number(segment.get("avg_logprob"))
    if silence is not None and certainty is not None and silence > MOST_NO_SPEECH and certainty < LEAST_CERTAIN:
        return "the recognizer takes it for silence"
    compressed = _number(segment.get("compression_ratio"))
    return "the recognizer repeats itself" if compressed is not None and compressed > MOST_COMPRESSED else ""


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < 1e9 else None


RECOGNIZED = timed_layout(
    "whisper",
    "Results of Whisper, WhisperX or whisper.cpp (.json) next to long recordings",
    (".json",),
    read_segments,
    shows_segments,
)
