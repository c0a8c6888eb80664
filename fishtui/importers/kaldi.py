"""Data folders of Kaldi and ESPnet: wav.scp, text, and often utt2spk and segments."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from fishtui.dataset import walk
from fishtui.errors import DataError, MisuseError
from fishtui.importers.layout import Clips, Columns, FolderLayout, ListedClip, Malformed, Resolved
from fishtui.importers.lines import read_lines
from fishtui.importers.locate import Locator
from fishtui.wording import counted, shortened

RECORDINGS, TEXTS, SPEAKERS, SEGMENTS = "wav.scp", "text", "utt2spk", "segments"
NEEDED = frozenset({RECORDINGS, TEXTS})
# Paths are written for the folder where the recipe runs, which is often two levels above its data.
LEVELS = 4
# The end of a segment that lasts until the end of the recording.
OPEN_END = -1.0
# In this many utterances some speaker speaks twice.
LEAST_REPEATED = 3


def is_kaldi(folder: Path) -> bool:
    """Return True if `folder` or one below it has recordings and texts as Kaldi lists them. Raises FishtuiError."""
    return next(_folders(folder), None) is not None


def read_kaldi(folder: Path) -> Clips:
    """Yield the utterances of the one data folder in `folder`. Commands in wav.scp are never run.

    Raises DataError; MisuseError if there are several data folders, because these often hold the same recordings.
    """
    data = _only(folder)
    recordings = _pairs(data / RECORDINGS)
    speakers = _pairs(data / SPEAKERS) if (data / SPEAKERS).exists() else None
    segments = _pairs(data / SEGMENTS) if (data / SEGMENTS).exists() else None
    texts = _pairs(data / TEXTS)
    utterances = recordings if segments is None else segments
    for name, (where, text) in texts.items():
        speaker = speakers[name][1].strip() if speakers and name in speakers else ""
        if name not in utterances:
            yield Malformed(where, f"no line of {RECORDINGS if segments is None else SEGMENTS} for {shortened(name)}")
        elif speakers is not None and not speaker:
            yield Malformed(where, f"no line of {SPEAKERS} for {shortened(name)}")
        elif segments is None:
            yield _clip(where, data, recordings[name][1], text, speaker)
        else:
            yield _segment(where, data, segments[name][1], recordings, text, speaker)
    for name in utterances.keys() - texts.keys():
        yield Malformed(utterances[name][0], f"no text for {shortened(name)}")


def resolve_kaldi(folder: Path, columns: Columns, locator: Locator) -> Resolved:
    """Return a doubt if each utterance has a speaker of its own, as recipes write it where speakers are unknown."""
    data = _only(folder)
    if not (data / SPEAKERS).exists():
        return Resolved(columns)
    names = [speaker.strip() for _, speaker in _pairs(data / SPEAKERS).values()]
    if len(names) < LEAST_REPEATED or len(set(names)) < len(names):
        return Resolved(columns)
    return Resolved(columns, doubts=(f"{SPEAKERS} names another speaker for each utterance; --speaker joins them",))


def _folders(folder: Path) -> Iterator[Path]:
    return (path for path, names in walk([folder]) if NEEDED.issubset(names))


def _only(folder: Path) -> Path:
    found = list(_folders(folder))
    if not found:
        raise DataError(f"{folder}: no {RECORDINGS} and {TEXTS}", "Name another folder or --layout.", code="no-clips")
    if len(found) > 1:
        names = ", ".join(path.relative_to(folder).as_posix() for path in found[:5])
        raise MisuseError(
            f"{folder}: {counted(len(found), 'data folder')}: {names}",
            "Name one of them as the source.",
            code="several-tables",
        )
    return found[0]


def _pairs(path: Path) -> dict[str, tuple[str, str]]:
    """Return the place and the rest of each line by its first word. Raises DataError for a faulty line."""
    pairs: dict[str, tuple[str, str]] = {}
    for line in read_lines(path):
        where = f"{path.name}:{line.number}"
        if line.fault:
            raise DataError(f"{path}:{line.number}: {line.fault}", "Correct the line.", code="bad-line")
        name, *rest = line.text.strip().split(maxsplit=1)[:2] or [""]
        if not name:
            continue
        if name in pairs:
            raise DataError(
                f"{path}:{line.number}: {shortened(name)} is also in line {pairs[name][0].rpartition(':')[2]}",
                "Remove one of the lines.",
                code="bad-line",
            )
        pairs[name] = (where, rest[0] if rest else "")
    return pairs


def _segment(
    where: str, data: Path, segment: str, recordings: dict[str, tuple[str, str]], text: str, speaker: str
) -> ListedClip | Malformed:
    try:
        recording, start, end = segment.split()
        times = float(start), float(end)
    except ValueError:
        return Malformed(where, f"{SEGMENTS} has no recording, start and end for it: {shortened(segment)}")
    if recording not in recordings:
        return Malformed(where, f"no line of {RECORDINGS} for {shortened(recording)}")
    return _clip(where, data, recordings[recording][1], text, speaker, times)


def _clip(
    where: str, data: Path, written: str, text: str, speaker: str, times: tuple[float, float] | None = None
) -> ListedClip | Malformed:
    if written.endswith("|"):
        return Malformed(
            where, f"its recording comes from a command, which is not run: write its output into a file: {written[:60]}"
        )
    audio = _resolved(data, written)
    if times is None:
        return ListedClip(where, audio, text, speaker)
    start, end = times
    return ListedClip(where, audio, text, speaker, start, None if end == OPEN_END else end)


def _resolved(data: Path, written: str) -> str:
    """Return a recording's path, from the nearest folder at or above the data where it exists."""
    for folder in (data, *data.absolute().parents[:LEVELS]):
        path = folder / written
        if path.is_file():
            return str(path.absolute())
    return written


KALDI = FolderLayout("kaldi", is_kaldi, read_kaldi, "Kaldi: wav.scp, text, utt2spk, segments", resolves=resolve_kaldi)
