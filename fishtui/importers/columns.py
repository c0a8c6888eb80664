"""Find the columns of a table by the names in its first line, or by the names and numbers that the user gave."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fishtui.importers.layout import MEANINGS, Columns, ListedClip, Malformed
from fishtui.importers.times import seconds_of

# Names of columns by their meaning, in order of preference.
KNOWN = {
    "audio": (
        "audio", "path", "file", "wav", "audio_filepath", "audio_path", "audio_file", "file_name", "filename",
        "file_path", "filepath", "wav_path", "wav_file", "wav_filename", "clip",
    ),
    "text": ("normalized_text", "text", "sentence", "transcript", "transcription", "normalized_transcription"),
    "speaker": ("speaker", "speaker_id", "client_id", "speaker_name", "spk", "spk_id"),
}  # fmt: skip
# Names of columns with times; "(ms)" or the like may follow.
_OF = r"(?:(?:t|audio|clip|seg|segment|utt|utterance|speech|cut|chunk)_)?"
_UNIT = r"(?:_(?:time|at|pos|position|stamp|offset))?(?:_(?P<unit>[a-z]+))?"
TIMES = {
    "start": re.compile(rf"{_OF}(?:start|starts|xmin|tmin|begin|begins|beg|onset|offset|starttime)" + _UNIT),
    "end": re.compile(rf"{_OF}(?:end|ends|xmax|tmax|stop|until|endtime)" + _UNIT),
    "duration": re.compile(rf"{_OF}(?:duration|dur|durations|length|len)" + _UNIT),
}
SECONDS = {"": 1.0, "s": 1.0, "sec": 1.0, "secs": 1.0, "second": 1.0, "seconds": 1.0}
MILLISECONDS = dict.fromkeys(("ms", "msec", "msecs", "millis", "millisecond", "milliseconds"), 0.001)
COUNTED = frozenset({"sample", "samples", "frame", "frames"})


@dataclass(frozen=True)
class Positions:
    """The index of the column for each meaning; `units` are those of times, in seconds, 0 for samples."""

    of: dict[str, int]
    units: dict[str, float]

    @property
    def is_complete(self) -> bool:
        return "audio" in self.of and "text" in self.of


def find_positions(names: Sequence[str], columns: Columns) -> Positions:
    """Return the positions of the columns: as in `columns`, otherwise by `KNOWN` names and the names of times."""
    simple = [simple_name(name) for name in names]
    of: dict[str, int] = {}
    units: dict[str, float] = {}
    for meaning in MEANINGS:
        found = _given(columns[meaning], names) if meaning in columns else _known(meaning, simple)
        if found is None:
            continue
        of[meaning] = found
        if meaning in TIMES:
            unit = _unit(meaning, simple[found])
            units[meaning] = 1.0 if unit is None else unit
    # "length" and the like are times only next to a start.
    if "start" not in of and "duration" not in columns and "duration" in of and "dur" not in simple[of["duration"]]:
        del of["duration"], units["duration"]
    return Positions(of, units)


def clip_of(where: str, values: dict[str, str], units: dict[str, float]) -> ListedClip | Malformed:
    """Return the clip of a row, from its values by their meaning."""
    times: dict[str, float | None] = dict.fromkeys(TIMES)
    for meaning in TIMES:
        written = values.get(meaning, "").strip()
        if not written:
            continue
        if not units.get(meaning, 1.0):
            return Malformed(where, f"{meaning} is in samples: convert it to seconds")
        time = seconds_of(written)
        if time is None:
            return Malformed(where, f"{meaning}: {written[:40]!r} is not a time")
        times[meaning] = time * units.get(meaning, 1.0)
    start, end, duration = (times[each] for each in ("start", "end", "duration"))
    if end is None and duration is not None:
        end = duration if start is None else start + duration
    return ListedClip(where, values["audio"], values["text"], values.get("speaker", ""), start, end)


def shown_columns(names: Sequence[str], positions: Positions) -> tuple[tuple[str, str], ...]:
    """Pairs of a meaning and the name of its column, for people."""
    return tuple((meaning, names[positions.of[meaning]]) for meaning in MEANINGS if meaning in positions.of)


def missing_meanings(positions: Positions, columns: Columns) -> list[str]:
    """The meanings that need a column and have none."""
    needed: Iterable[str] = ("audio", "text", *(each for each in columns if each not in ("audio", "text")))
    return [meaning for meaning in needed if meaning not in positions.of]


def simple_name(name: str) -> str:
    """Return the name of a column in lower case, with single lines between its words."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.strip())
    return re.sub(r"[\s\-./()\[\]_]+", "_", spaced).strip("_").lower()


def _given(wanted: str, names: Sequence[str]) -> int | None:
    if wanted in names:
        return list(names).index(wanted)
    if wanted.isdecimal() and len(wanted) < 9 and 1 <= int(wanted) <= len(names):
        return int(wanted) - 1
    return None


def _known(meaning: str, simple: Sequence[str]) -> int | None:
    if meaning in KNOWN:
        return next((simple.index(name) for name in KNOWN[meaning] if name in simple), None)
    units = [(unit == 0, index) for index, name in enumerate(simple) if (unit := _unit(meaning, name)) is not None]
    # Times are preferred to numbers of samples.
    return min(units)[1] if units else None


def _unit(meaning: str, simple: str) -> float | None:
    """The unit of a column of times in seconds, 0 for samples; None if its name is not one of times."""
    found = TIMES[meaning].fullmatch(simple)
    if found is None:
        return None
    unit = found["unit"] or ""
    return 0.0 if unit in COUNTED else SECONDS.get(unit, MILLISECONDS.get(unit))
