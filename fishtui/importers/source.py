"""Read a source: which clips it lists, with which recordings, and how certain that is."""

from __future__ import annotations

import os
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from fishtui.dataset import EXTENSIONS, walk
from fishtui.errors import DataError, FishtuiError, MisuseError
from fishtui.importers.layout import MEANINGS, Clips, Columns, ListedClip, Malformed, Member, Resolved
from fishtui.importers.layouts import choose
from fishtui.importers.locate import Locator
from fishtui.importers.parts import Lengths, Part
from fishtui.runs.ledger import Entry
from fishtui.speakers import branch_of, distinct_speakers, is_content, part_of_clip
from fishtui.wording import counted, shortened, suggest


@dataclass(frozen=True, slots=True)
class FoundClip:
    """A listed clip whose recording was found: its place in the source, recording, text, speaker and part.

    A `loose` part is cut at the pauses near its times; one that `follows_speech` is not joined with that before. A
    `member` of an archive has no file of its own. `confidence` is that of the recognizer that wrote the text.
    """

    where: str
    audio: Path
    text: str
    speaker: str
    part: Part | None = None
    loose: bool = False
    member: Member | None = None
    confidence: float | None = None
    follows_speech: bool = False


@dataclass
class Understood:
    """The plan of an import: the layout and columns, the clips, and the guesses that are not certain.

    `failed` are entries that are not clips, `omitted` those that never are, such as notes about music. `repeated` are
    rows that equal an earlier one, `unnamed` the recordings next to the others that no row or transcript names.
    `missing` is the number of recordings that were not found, `shared` are speakers whose folders have the name of
    others with different parents, `joined` speakers with several folders that are named as parts, such as `session1`.
    `counts` are figures for the ledger.
    """

    path: Path
    layout: str
    help: str
    columns: tuple[tuple[str, str], ...] = ()
    clips: list[FoundClip] = field(default_factory=list)
    failed: list[Entry] = field(default_factory=list)
    omitted: list[Entry] = field(default_factory=list)
    repeated: list[Entry] = field(default_factory=list)
    unnamed: list[str] = field(default_factory=list)
    missing: int = 0
    shared: list[str] = field(default_factory=list)
    joined: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)


def understand(
    source: Path,
    *,
    data: Path,
    layout: str | None = None,
    columns: Columns | None = None,
    speaker: str | None = None,
    audio_root: Path | None = None,
    text_extension: str = ".lab",
) -> Understood:
    """Read `source`, a table or folder, without writing anything; the arguments are those of `import_clips`.

    Raises MisuseError if the layout is unknown or `source` overlaps with `data`; DataError if it cannot be read or has
    no clips.
    """
    columns = columns or {}
    if unknown := set(columns) - set(MEANINGS):
        raise MisuseError(
            f"--column {min(unknown)}: not a kind of column", suggest(min(unknown), MEANINGS), code="unknown-column"
        )
    if audio_root is not None and not audio_root.is_dir():
        raise MisuseError(f"{audio_root}: no such folder", "Name a folder with --audio-root.", code="no-audio-root")
    chosen, path = choose(source, layout, columns, text_extension, audio_root)
    is_folder = path.is_dir()
    _refuse_overlap(path, data, walked=is_folder)
    locator = Locator(path if is_folder else path.parent, audio_root)
    resolved: Resolved = chosen.resolves(path, columns, locator)
    found = Understood(path, chosen.name, chosen.help, resolved.shown, counts=dict(resolved.counts))
    named: list[Path] = []
    listed = chosen.clips(path, resolved.columns, locator)
    located = list(_locate(listed if speaker else _with_known_speakers(listed), locator, data, found, named))
    if not located and not found.failed:
        raise DataError(f"{path}: no clips", "Name a table with rows, or a folder with recordings.", code="no-clips")
    found.clips = list(_without_repeats(_with_speakers(located, locator.root, speaker, found), found))
    found.doubts = [*resolved.doubts, *_doubts(found.clips)]
    if chosen.counts_unnamed:
        found.unnamed = _unnamed(locator, named)
    return found


def _refuse_overlap(source: Path, data: Path, walked: bool) -> None:
    inner, outer = Path(os.path.realpath(source)), Path(os.path.realpath(data))
    if inner.is_relative_to(outer) or (walked and outer.is_relative_to(inner)):
        raise MisuseError(
            f"{source}: overlaps with the dataset {data}", "Import from outside the dataset.", code="overlap"
        )
    if data.exists() and not data.is_dir():
        raise MisuseError(f"{data}: not a folder", "Name another folder with --data.", code="not-a-folder")


def _with_known_speakers(clips: Clips) -> Clips:
    """Yield the clips whose speaker is known, and the others as left out."""
    is_after = False
    for clip in clips:
        if isinstance(clip, Malformed):
            yield clip
        elif clip.lacks_speaker:
            is_after = True
            yield Malformed(clip.where, clip.lacks_speaker, is_expected=True)
        else:
            yield replace(clip, follows_speech=clip.follows_speech or is_after)
            is_after = False


def _locate(
    clips: Iterator[ListedClip | Malformed], locator: Locator, data: Path, found: Understood, named: list[Path]
) -> Iterator[FoundClip]:
    """Yield each clip, its text stripped, with its recording and part; enter the others as failed.

    Appends each recording that was found to `named`, also those of failed clips.
    """
    dataset = Path(os.path.realpath(data))
    lengths = Lengths()
    for clip in clips:
        if isinstance(clip, Malformed):
            (found.omitted if clip.is_expected else found.failed).append(Entry(clip.where, clip.reason))
            continue
        try:
            if clip.member:
                text, member = _checked_text(clip), clip.member
                yield FoundClip(clip.where, member.archive / member.key, text, clip.speaker, member=member)
                continue
            audio = locator.find(_checked_audio(clip))
            named.append(audio)
            text = _checked_text(clip)
            if Path(os.path.realpath(audio)).is_relative_to(dataset):
                raise DataError(
                    "the recording is inside the dataset", "Remove it from the source.", code="inside-dataset"
                )
            part = lengths.part(audio, clip.start, clip.end, clip.loose)
        except DataError as error:
            found.failed.append(Entry(clip.where, error.problem))
            found.missing += error.code == "recording-not-found"
        else:
            yield FoundClip(
                clip.where,
                audio,
                text,
                clip.speaker,
                part,
                clip.loose,
                confidence=clip.confidence,
                follows_speech=clip.follows_speech,
            )


def _checked_text(clip: ListedClip) -> str:
    """The stripped text of a clip. Raises DataError if it is empty or has no UTF-8 form."""
    text = clip.text.strip()
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise DataError("the text contains half of a surrogate pair", "Correct the text.", code="bad-text") from error
    if not text:
        raise DataError("the text is empty", "Write the spoken words.", code="empty-transcript")
    return text


def _checked_audio(clip: ListedClip) -> str:
    """The path of a clip's recording as written. Raises DataError if it is empty."""
    if not clip.audio.strip():
        raise DataError("no recording is named", "Name the recording.", code="no-recording")
    return clip.audio.strip()


def _with_speakers(clips: Sequence[FoundClip], root: Path, speaker: str | None, found: Understood) -> list[FoundClip]:
    """Return the clips with the speaker's name: `speaker`, or as the source names it, or from the folders above."""
    if speaker:
        return [replace(clip, speaker=speaker) for clip in clips]
    named = [unicodedata.normalize("NFC", clip.speaker.strip()) for clip in clips]
    if len(set(named)) == 1 and is_content(named[0]):
        # Some programs write the name of the folder of recordings as that of the speaker.
        named = [""] * len(named)
    # An archive is not a folder of a speaker.
    branches = [
        () if name or clip.member else _branch(clip.audio, root) for name, clip in zip(named, clips, strict=True)
    ]
    names = distinct_speakers(
        (branch for name, branch in zip(named, branches, strict=True) if not name), os.path.realpath(root)
    )
    found.shared = sorted({names[branch] for branch in branches if "/" in names.get(branch, "")})
    parts: dict[str, set[str]] = defaultdict(set)
    for clip, name, branch in zip(clips, named, branches, strict=True):
        if not (name or clip.member) and (part := part_of_clip("/".join(_relative(clip.audio, root)))):
            parts[names[branch]].add(part)
    found.joined = [f"{name} ({', '.join(sorted(own))})" for name, own in sorted(parts.items()) if len(own) > 1]
    return [
        replace(clip, speaker=name or names[branch]) for clip, name, branch in zip(clips, named, branches, strict=True)
    ]


def _branch(audio: Path, root: Path) -> tuple[str, ...]:
    *folders, name = _relative(audio, root)
    return branch_of(folders, os.path.splitext(name)[0])


def _relative(audio: Path, root: Path) -> list[str]:
    """Return the folders and name of a recording below `root`; elsewhere, only its own path can name a speaker."""
    absolute, top = os.path.abspath(audio), os.path.abspath(root)
    inside = os.path.relpath(absolute, top).split(os.sep)
    return [part for part in absolute.split(os.sep) if part] if os.pardir in inside else inside


def _without_repeats(clips: Sequence[FoundClip], found: Understood) -> Iterator[FoundClip]:
    first: dict[tuple[object, ...], str] = {}
    for clip in clips:
        key = (clip.audio, clip.part, clip.text, clip.speaker)
        if key in first:
            found.repeated.append(Entry(clip.where, f"equals {first[key]}"))
        else:
            first[key] = clip.where
            yield clip


def _doubts(clips: Sequence[FoundClip]) -> Iterator[str]:
    """Yield a sentence for each sign of a wrong column."""
    texts = {clip.text for clip in clips}
    if clips and not any(character.isalnum() for text in texts for character in text):
        yield f"no transcript has a letter or digit: {shortened(clips[0].text, 20)!r}; choose with --column NAME=text"
    elif len(clips) > 2 and len(texts) == 1:
        yield f"all transcripts are {shortened(clips[0].text, 20)!r}; choose the column with --column NAME=text"
    same: dict[tuple[Path, Part | None], set[str]] = defaultdict(set)
    for clip in clips:
        same[clip.audio, clip.part].add(clip.text)
    if several := [audio for (audio, _), own in same.items() if len(own) > 1]:
        yield (
            f"{counted(len(several), 'recording')} with different transcripts, such as {shortened(several[0].name)}; "
            "if rows name parts, choose the columns of times with --column NAME=start and --column NAME=end"
        )


def _unnamed(locator: Locator, named: Sequence[Path]) -> list[str]:
    """Return the recordings next to those of a table or of transcripts that none of them names, by their paths."""
    tops: dict[Path, bool] = {}
    for audio in named:
        inside = audio.relative_to(locator.root).parts if audio.is_relative_to(locator.root) else ()
        # Below its folder of recordings every folder counts; next to a table only that one.
        nested = len(inside) > 1 and (is_content(inside[0]) or len(inside) > 2) and os.pardir not in inside
        tops[locator.root / inside[0] if nested else audio.parent] = nested
    written: dict[str, set[str]] = defaultdict(set)
    for audio in named:
        parent, name = os.path.split(audio)
        written[parent].add(name)
    # Two paths may lead to one folder.
    known: dict[str, set[str]] = defaultdict(set)
    for parent, names_in in written.items():
        known[os.path.realpath(parent)] |= names_in
    found: dict[str, None] = {}
    for top, nested in tops.items():
        # A folder that cannot be read has no recordings that could be counted.
        with suppress(FishtuiError):
            for folder, names in walk([top]):
                own = known[os.path.realpath(folder)]
                for name in names:
                    if os.path.splitext(name)[1].lower() in EXTENSIONS and name not in own:
                        found[os.path.relpath(folder / name, locator.root)] = None
                if not nested:
                    break
    return list(found)
