"""Correct the cuts of clips: move their ends in their recording, split a clip, merge it with the next one.

New clips have exactly the samples of the recording. Each change is in the history, and undo restores all files.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from fishtui.catalog.actions import EXTRACTED, change_together, changing_clips, clip_row, tags_of
from fishtui.catalog.cuts import Cut, Source, clips_of_source, cut_of, locate_source, record_cuts
from fishtui.catalog.cutsound import Place, encode_cuts, hash_content, not_cut
from fishtui.catalog.details import audio_path
from fishtui.catalog.fields import join_tags
from fishtui.catalog.filechanges import MERGE, SPLIT
from fishtui.catalog.files import clip_of
from fishtui.catalog.history import STATUS, TAGS, apply, new_action, now, record, reviewer
from fishtui.catalog.index import index
from fishtui.catalog.recognitions import derive_drafts
from fishtui.catalog.splittext import join_texts, split_text
from fishtui.catalog.store import Catalog, path_in, stored
from fishtui.errors import DataError, MisuseError
from fishtui.files import decode_text, read_if_present
from fishtui.names import part_name
from fishtui.settings import Settings
from fishtui.wording import clock

# The shortest clip, in seconds.
SHORTEST_S = 0.1
# The end of the name of a part; imports wrote seven digits before.
TIMES = re.compile(r"_\d{7,}_\d{7,}(-\d+)?$")
OPEN = '["open", "", "", ""]'


@dataclass(frozen=True)
class CutChange:
    """The cuts that a change makes, the first one of the clip itself, and the names of other clips it concerns.

    `overlaps` are the names of clips whose sound the new cut has too. `clips` are the ids of the clips that have
    changed, the clip itself first.
    """

    cuts: tuple[Cut, ...]
    others: tuple[str, ...] = ()
    overlaps: tuple[str, ...] = ()
    clips: tuple[int, ...] = ()


def move_ends(
    catalog: Catalog, settings: Settings, clip: int, start: float = 0.0, end: float = 0.0, dry_run: bool = False
) -> CutChange:
    """Move the start and the end of a clip by seconds; a negative number is earlier. The transcript stays.

    Ends stop at those of the recording. Raises MisuseError, code `clip-too-short`, or `recording-ends` if no end can
    move; DataError, code `not-cut` if the clip was not cut from a recording or was changed since, and as
    `locate_source`.
    """
    with changing_clips(catalog, settings):
        place = _place(catalog, settings, clip)
        source = locate_source(catalog, place.cut.source)
        wanted = _within(place.cut, source, start, end)
        change = CutChange((wanted,), overlaps=_overlaps(catalog, wanted, [clip]), clips=(clip,))
        if not dry_run and wanted != place.cut:
            contents = encode_cuts(settings, source, place, [wanted])
            record_cuts(catalog, source, zip(map(hash_content, contents), [wanted], strict=True))
            files = {place.audio: contents[0]} | _without_codes(place)
            change_together(catalog, settings, {clip: files}, new_action(catalog), _note(start, end))
        return change


def split(catalog: Catalog, settings: Settings, clip: int, at: float, dry_run: bool = False) -> CutChange:
    """Split a clip at a time in seconds from its start; the second part becomes a clip of its own.

    The transcript is divided near the same share of its length, and the review of the clip is opened again. Raises as
    `move_ends`.
    """
    with changing_clips(catalog, settings):
        place = _place(catalog, settings, clip)
        cut = place.cut
        if not SHORTEST_S <= at <= cut.end - cut.start - SHORTEST_S:
            raise _too_short(f"{place.row['name']}: {at:g} s is not within the clip, or too close to one of its ends")
        moment = cut.start + at
        first, second = replace(cut, end=moment), replace(cut, start=moment)
        source = locate_source(catalog, cut.source)
        name = _free_name(catalog, settings, place, second)
        change = CutChange((first, second), (name,))
        if dry_run:
            return change
        contents = encode_cuts(settings, source, place, [first, second])
        record_cuts(catalog, source, zip(map(hash_content, contents), [first, second], strict=True))
        new = _add_row(catalog, place, name)
        audio = path_in(catalog, name).with_name(f"{name.rpartition('/')[2]}{place.audio.suffix}")
        files = {place.audio: contents[0]} | _without_codes(place)
        added: dict[Path, bytes | None] = {audio: contents[1]}
        text, newline = _text(place)
        if text:
            parts = split_text(text, at / (cut.end - cut.start))
            texts = [f"{part}{newline}" if part else "" for part in parts]
            derive_drafts(catalog, [place.row], zip(map(hash_content, contents), texts, strict=True))
            transcripts = (place.files.transcript, audio.with_suffix(settings.pack.text_extension))
            for target, path, each in zip((files, added), transcripts, texts, strict=True):
                target[path] = each.encode() or None
        action = new_action(catalog)
        if change_together(catalog, settings, {clip: files, new: added}, action, SPLIT):
            _decide(catalog, action, place, status="open", tags=place.row["tags"])
        return replace(change, clips=(clip, new))


def merge(catalog: Catalog, settings: Settings, clip: int, dry_run: bool = False) -> CutChange:
    """Merge a clip with the next one of the same recording, with what is between them; the next one's files go.

    Transcripts and tags are joined. The review is opened again unless both clips have the same. Raises as `move_ends`;
    MisuseError, code `no-next-clip` or `other-speaker`.
    """
    with changing_clips(catalog, settings):
        place = _place(catalog, settings, clip)
        other = _next(catalog, settings, place)
        wanted = replace(place.cut, end=max(place.cut.end, other.cut.end))
        source = locate_source(catalog, wanted.source)
        name = other.row["name"]
        both = (clip, other.row["id"])
        change = CutChange((wanted,), (name,), _overlaps(catalog, wanted, both), both)
        if dry_run:
            return change
        contents = encode_cuts(settings, source, place, [wanted])
        record_cuts(catalog, source, zip(map(hash_content, contents), [wanted], strict=True))
        files = {place.audio: contents[0]} | _without_codes(place)
        (text, newline), (more, _) = _text(place), _text(other)
        if more:
            joined = f"{join_texts(text, more)}{newline}"
            derive_drafts(catalog, [place.row, other.row], [(hash_content(contents[0]), joined)])
            files[place.files.transcript] = joined.encode()
        removed: dict[Path, bytes | None] = {other.audio: None}
        if other.files.has_text:
            removed[other.files.transcript] = None
        if other.files.has_codes:
            removed[other.files.codes] = None
        action = new_action(catalog)
        if change_together(catalog, settings, {clip: files, other.row["id"]: removed}, action, MERGE):
            tags = join_tags(tags_of(place.row) | tags_of(other.row))
            status = place.row["status"] if place.row["status"] == other.row["status"] else "open"
            _decide(catalog, action, place, status, tags)
        return change


def _place(catalog: Catalog, settings: Settings, clip: int) -> Place:
    row = clip_row(catalog, clip)
    audio = audio_path(catalog, row)
    cut = cut_of(catalog, row["audio_hash"])
    content = read_if_present(audio) if audio is not None else None
    if audio is None or cut is None or content is None or hash_content(content) != row["audio_hash"]:
        raise not_cut(row)
    return Place(row, clip_of(catalog, settings, row["name"], row["files"].split("/")), audio, cut)


def _within(cut: Cut, source: Source, start: float, end: float) -> Cut:
    """Return a cut with moved ends, which stay within the recording."""
    last = max(source.seconds, cut.end)
    wanted = replace(cut, start=_rounded(max(cut.start + start, 0.0)), end=_rounded(min(cut.end + end, last)))
    if not start:
        wanted = replace(wanted, start=cut.start)
    if not end:
        wanted = replace(wanted, end=cut.end)
    if wanted.end - wanted.start < SHORTEST_S:
        raise _too_short(f"{wanted.end - wanted.start:.2f} s would be left of the clip")
    if (start or end) and wanted == cut:
        raise MisuseError(
            f"{source.path}: the recording has nothing beyond {clock(cut.start)}-{clock(cut.end)}",
            "Move the other end.",
            code="recording-ends",
        )
    return wanted


def _note(start: float, end: float) -> str:
    moves = [f"{name} {seconds:+.3g} s" for name, seconds in (("start", start), ("end", end)) if seconds]
    return f"move {', '.join(moves)}"


def _rounded(seconds: float) -> float:
    """Return a time without the traces of additions, so that a move and its reverse give the same cut."""
    return round(seconds, 9)


def _too_short(problem: str) -> MisuseError:
    return MisuseError(problem, f"Keep at least {SHORTEST_S:g} s.", code="clip-too-short")


def _overlaps(catalog: Catalog, wanted: Cut, own: Sequence[int]) -> tuple[str, ...]:
    """Return the names of other clips that have sound of a cut."""
    return tuple(
        each.name
        for each in clips_of_source(catalog, wanted.source)
        if each.id not in own
        and each.cut.channel == wanted.channel
        and min(each.cut.end, wanted.end) - max(each.cut.start, wanted.start) > 1e-3
    )


def _next(catalog: Catalog, settings: Settings, place: Place) -> Place:
    """Return the clip that follows in the recording."""
    following = [
        each
        for each in clips_of_source(catalog, place.cut.source)
        if each.id != place.row["id"]
        and each.cut.channel == place.cut.channel
        and (each.cut.start, each.cut.end) > (place.cut.start, place.cut.end)
    ]
    if not following:
        raise MisuseError(
            f"{place.row['name']}: the last clip of its recording", "Choose an earlier one.", code="no-next-clip"
        )
    other = _place(catalog, settings, min(following, key=lambda each: each.cut.start).id)
    if other.row["speaker"] != place.row["speaker"]:
        raise MisuseError(
            f"{place.row['name']}: the next clip, {other.row['name']}, is of another speaker",
            "Move it to the folder of the same speaker first, if it is the same voice.",
            code="other-speaker",
        )
    return other


def _without_codes(place: Place) -> dict[Path, bytes | None]:
    """Return the codes to remove. Those of `extract` stay: they are stale now, and current again after an undo."""
    return {place.files.codes: None} if place.files.has_codes and place.row["codes"] not in EXTRACTED else {}


def _text(place: Place) -> tuple[str, str]:
    """Return a clip's transcript as one line, "" without one, and its line end."""
    content = read_if_present(place.files.transcript) or b""
    try:
        text = decode_text(content)
    except UnicodeDecodeError as error:
        raise DataError(f"{place.files.transcript}: not UTF-8", "Save it as UTF-8.", code="not-utf8") from error
    return " ".join(text.split("\n")).strip(), "\n" if content.endswith(b"\n") else ""


def _free_name(catalog: Catalog, settings: Settings, place: Place, cut: Cut) -> str:
    """Return a name for the clip of a cut, next to the clip that it was part of."""
    base = part_name(TIMES.sub("", place.row["name"]), cut.start, cut.end)
    number = 1
    while True:
        name = base if number == 1 else f"{base}-{number}"
        files = clip_of(catalog, settings, name)
        rows = catalog.query("SELECT gone, status, tags FROM clips WHERE name = CAST(? AS TEXT)", (stored(name),))
        # The clip of a split that was undone has left its name.
        is_free = all(row["gone"] is not None and (row["status"], row["tags"]) == ("open", "") for row in rows)
        if is_free and not (files.files or files.has_text or files.has_codes):
            return name
        number += 1


def _add_row(catalog: Catalog, place: Place, name: str) -> int:
    """Return the id of a clip that is not on disk yet, so that its files can be entered in its history."""
    file = f"{name.rpartition('/')[2]}{place.audio.suffix}"
    number = int(catalog.meta("scans") or 0) + 1
    with catalog.transaction() as connection:
        row = connection.execute("SELECT id FROM clips WHERE name = CAST(? AS TEXT)", (stored(name),)).fetchone()
        if row is not None:
            connection.execute("UPDATE clips SET files = CAST(? AS TEXT) WHERE id = ?", (stored(file), row["id"]))
            return int(row["id"])
        added = connection.execute(
            "INSERT INTO clips(name, speaker, files, born, gone) "
            "VALUES (CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS TEXT), ?, ?)",
            (stored(name), stored(place.row["speaker"]), stored(file), number, number),
        ).lastrowid
        assert added is not None
        index(connection, [added])
        return added


def _decide(catalog: Catalog, action: int, place: Place, status: str, tags: str) -> None:
    """Give the clip its review and tags after the change, as part of the action."""
    changes = []
    if status != place.row["status"]:
        before = [place.row[name] for name in ("status", "reviewer", "reviewed", "note")]
        changes.append((STATUS, json.dumps(before), OPEN))
    if tags != place.row["tags"]:
        changes.append((TAGS, place.row["tags"], tags))
    with catalog.transaction() as connection:
        for kind, before_value, after in changes:
            record(connection, action, place.row["id"], kind, before_value, after, reviewer(), now())
            apply(connection, place.row["id"], kind, after)
