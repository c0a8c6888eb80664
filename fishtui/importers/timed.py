"""Transcripts with times next to long recordings: each caption becomes a clip.

A format is a reader of captions and an entry in a table of layouts. What all formats share is here: the recording that
belongs to a transcript, captions without words, and captions that overlap.
"""

from __future__ import annotations

import math
import os
import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from fishtui.charsets import describe, guess
from fishtui.dataset import EXTENSIONS, walk
from fishtui.errors import DataError
from fishtui.files import decode_text, marked_encoding
from fishtui.importers.captions import Caption, Captions, has_unknown_speech, joined, spoken_text
from fishtui.importers.labels import describe_labels, labels_are, name_speakers
from fishtui.importers.layout import Clips, Columns, FolderLayout, ListedClip, Malformed, Resolved
from fishtui.importers.locate import Locator
from fishtui.reading import RECORD, Damaged, guarded, read_bounded
from fishtui.speakerlabels import Labels, is_numbered
from fishtui.wording import cannot_read, counted, shortened

# A language or another mark between the name of a recording and the extension of its transcript.
LANGUAGE = re.compile(r"(?P<name>.+)[._](?:[a-z]{2,3}|[a-z]{2}[-_][A-Za-z]{2,4}|[a-z]{2}-orig|forced|sdh|cc)")
# Captions that are shown during the next one overlap by less than this share of the shorter one.
MOST_OVERLAP = 0.5
# In seconds: overlaps by rounding.
ROUNDING_S = 0.05
# Describes loose times before an import, which analyzes the recordings.
LOOSE = "near the speech; the import moves them to pauses, and joins captions without one"
# Places that a doubt names.
MOST_SHOWN = 3
# In characters: of a text without times.
LONGEST_SHOWN = 30


Read = Callable[[Path], Captions]
"""Reads a transcript. Raises DataError; any other error than those of the system means that it is damaged."""


def timed_layout(
    name: str, help: str, endings: Sequence[str], reads: Read, shows: Callable[[Path], bool] = lambda path: True
) -> FolderLayout:
    """Return the layout of transcripts with one of these `endings`, alone or in folders, that `shows` accepts."""

    def is_one(path: Path) -> bool:
        return path.name.lower().endswith(tuple(endings)) and os.path.isfile(path) and shows(path)

    def find(path: Path) -> list[Path]:
        if not path.is_dir():
            return [path]
        return [folder / each for folder, names in walk([path]) for each in names if is_one(folder / each)]

    def detects(path: Path) -> bool:
        return any(map(is_one, find(path)))

    def read(path: Path, columns: Columns, locator: Locator) -> Clips:
        top = path if path.is_dir() else path.parent
        for transcript, audio in _first_of_each(find(path), top, endings, locator)[0].items():
            where = transcript.relative_to(top).as_posix()
            try:
                found = read_guarded(transcript, reads)
            except DataError as error:
                yield Malformed(where, error.problem)
                continue
            if not found.captions:
                yield Malformed(where, "it has no text with times")
            if found.audio:
                audio = (transcript.parent.relative_to(top) / found.audio).as_posix()
            yield from _clips(where, audio, name_speakers(found, labels_are(columns))[0])

    def resolves(path: Path, columns: Columns, locator: Locator) -> Resolved:
        top = path if path.is_dir() else path.parent
        first, others = _first_of_each(find(path), top, endings, locator)
        doubts = [_doubt(others)] if others else []
        seen: dict[str, None] = {}
        taken = labels_are(columns)
        labels: list[Labels] = []
        left_out = 0
        is_loose = False
        for transcript in first:
            try:
                found = read_guarded(transcript, reads)
            except DataError:
                # Reading the clips reports it.
                continue
            seen.update(dict.fromkeys(found.doubts))
            is_loose = is_loose or (found.loose and bool(found.captions))
            named, own = name_speakers(found, taken)
            if own.names:
                labels.append(own)
                left_out += sum(bool(each.lacks_speaker) for each in named.captions)
        times = LOOSE if is_loose else "of labels, cut exactly there"
        shown = [("times", times)]
        if labels:
            line, unsure = describe_labels(labels, left_out)
            shown.append(("speaker", line))
            doubts += [] if taken else unsure
        counts = {"captions_with_labels": sum(sum(each.counts.values()) for each in labels)}
        return Resolved(columns, tuple(shown), (*doubts, *list(seen)[:MOST_SHOWN]), counts)

    return FolderLayout(
        name, detects, read, help, named=True, resolves=resolves, takes_files=True, locates=True, counts_unnamed=True
    )


def read_guarded(path: Path, reads: Read) -> Captions:
    """Return the captions of a transcript. Raises DataError."""
    try:
        with guarded():
            return reads(path)
    except OSError as error:
        raise cannot_read(path, error, DataError) from error
    except Damaged as error:
        raise DataError(f"{path.name}: damaged: {error}", "Write it again.", code="damaged-transcript") from error


def read_whole(path: Path) -> str:
    """Return the text of a transcript in the encoding of its mark, without one UTF-8. Raises DataError, OSError."""
    content = read_bounded(path, RECORD)
    try:
        return decode_text(content)
    except UnicodeDecodeError as error:
        found = guess(content[: 1 << 18])
        which = f", {describe(found)}" if found else ""
        raise DataError(f"{path.name}: not UTF-8{which}", "Save it as UTF-8.", code="not-utf8") from error


def sample(path: Path, size: int = 4_096) -> str:
    """Return the beginning of a file as text, empty if it cannot be read."""
    try:
        with path.open("rb") as file:
            content = file.read(size)
    except OSError:
        return ""
    return content.decode(marked_encoding(content) or "utf-8", "replace")


def _clips(where: str, audio: str, found: Captions) -> Clips:
    """Yield the clips of a transcript, in the order of their times."""
    timed = [each for each in found.captions if _has_times(each)]
    for caption in found.captions:
        if not _has_times(caption):
            yield Malformed(f"{where} {shortened(caption.text, LONGEST_SHOWN)!r}", "its times are not valid")
    spoken: list[Caption] = []
    # When speech that is in no clip begins.
    others: list[float] = []
    for caption in sorted(timed, key=lambda each: (each.start, each.end)):
        place = f"{where} {caption.start:g} s"
        text, reason = spoken_text(caption.text, found.keeps_labels)
        reason = caption.omitted or reason
        if reason:
            yield Malformed(place, reason, is_expected=True)
        elif caption.end <= caption.start:
            yield Malformed(place, "it ends before it starts" if caption.end < caption.start else "it has no length")
        else:
            spoken.append(replace(caption, text=text))
            continue
        others += [caption.start] if has_unknown_speech(caption) else []
    apart = list(_apart(spoken, found.loose))
    others = sorted(others + [caption.start for caption, reason in apart if reason])
    recording = os.path.splitext(os.path.basename(audio))[0] if _is_named(audio) else os.path.basename(audio)
    before = 0.0
    for caption, reason in apart:
        place = f"{where} {caption.start:g} s"
        if reason:
            yield Malformed(place, reason, is_expected=True)
            continue
        yield ListedClip(
            place,
            audio,
            caption.text,
            # The number of a speaker in one recording is that of another person elsewhere.
            f"{recording}_{caption.speaker}" if is_numbered(caption.speaker) else caption.speaker,
            caption.start,
            caption.end,
            loose=found.loose,
            confidence=caption.confidence,
            lacks_speaker=caption.lacks_speaker,
            follows_speech=bisect_right(others, before) < bisect_right(others, caption.start),
        )
        before = caption.start


def _apart(captions: Sequence[Caption], loose: bool) -> Iterator[tuple[Caption, str]]:
    """Yield each caption; with a reason, if another one is at the same time. Overlaps of `loose` ones are removed."""
    ends = [caption.end for caption in captions]
    crossing: set[int] = set()
    last = 0
    for index, caption in enumerate(captions[1:], 1):
        # The one before, and the one that ends last, which may have begun much earlier.
        last = index - 1 if captions[index - 1].end > captions[last].end else last
        for before in {last, index - 1}:
            other = captions[before]
            overlap = min(other.end, caption.end) - caption.start
            shorter = min(other.end - other.start, caption.end - caption.start)
            most = ROUNDING_S if other.speaker != caption.speaker else MOST_OVERLAP * shorter
            if overlap > max(most, ROUNDING_S):
                crossing |= {before, index}
            elif loose and overlap > 0:
                ends[before] = min(ends[before], caption.start)
    for index, caption in enumerate(captions):
        yield replace(caption, end=ends[index]), "it overlaps with another one" if index in crossing else ""


def _has_times(caption: Caption) -> bool:
    return math.isfinite(caption.start) and math.isfinite(caption.end) and caption.start >= 0


def _recording_of(transcript: Path, top: Path, endings: Iterable[str], locator: Locator) -> str:
    """Return the path of the recording that a transcript belongs to, below `top`, perhaps without its extension.

    It has the name of the transcript; if no recording has, that without a mark of a language.
    """
    ending = next((each for each in endings if transcript.name.lower().endswith(each)), transcript.suffix)
    whole = transcript.relative_to(top).as_posix()
    whole = whole[: len(whole) - len(ending)]
    found = LANGUAGE.fullmatch(os.path.basename(whole))
    if found is None or _is_named(whole) or locator.finds(whole):
        return whole
    unmarked = os.path.join(os.path.dirname(whole), found["name"])
    return unmarked if "." in whole[len(unmarked) :] or locator.finds(unmarked) else whole


def _is_named(audio: str) -> bool:
    """Return True if a path of a recording has the extension of one."""
    return os.path.splitext(audio)[1].lower() in EXTENSIONS


def _first_of_each(
    paths: Sequence[Path], top: Path, endings: Sequence[str], locator: Locator
) -> tuple[dict[Path, str], list[list[Path]]]:
    """Return one transcript of each recording, with the recording, and the transcripts of recordings with several."""
    of: dict[str, list[Path]] = defaultdict(list)
    recordings: dict[Path, str] = {}
    for path in paths:
        recordings[path] = audio = _recording_of(path, top, endings, locator)
        of[os.path.splitext(audio)[0] if _is_named(audio) else audio].append(path)
    # By the order of the endings, then the shortest name.
    order = {ending: number for number, ending in enumerate(endings)}
    for each in of.values():
        each.sort(key=lambda path: (order.get(path.suffix.lower(), 0), len(path.name), path.name))
    first = {each[0]: recordings[each[0]] for each in of.values()}
    return first, [each for each in of.values() if len(each) > 1]


def _doubt(others: Sequence[Sequence[Path]]) -> str:
    names = ", ".join(path.name for path in others[0][:MOST_SHOWN])
    more = f", and so for {counted(len(others) - 1, 'recording')}" if len(others) > 1 else ""
    return f"several transcripts of one recording: {names}; {others[0][0].name} is used{more}"


def by_pauses(words: Iterable[Caption], longest: float, pause: float) -> list[Caption]:
    """Join words into phrases up to `longest` seconds, which end where a pause is longer than `pause` seconds.

    A word without valid times is a phrase of its own.
    """
    phrases: list[list[Caption]] = []
    for word in words:
        last = phrases[-1] if phrases else None
        if (
            last is None
            or not word.start - last[-1].end <= pause
            or not word.end - last[0].start <= longest
            or word.speaker != last[-1].speaker
        ):
            phrases.append([word])
        else:
            last.append(word)
    return [
        Caption(each[0].start, each[-1].end, joined([word.text for word in each]), each[0].speaker) for each in phrases
    ]
