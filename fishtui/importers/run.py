"""import: clips from another layout, into the project's dataset."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from fishtui.errors import DataError, FishtuiError, MisuseError
from fishtui.importers.destination import (
    Destination,
    LocatedClip,
    SpeakerFolder,
    TargetDataset,
    TransferMode,
    has_text,
    transfer,
)
from fishtui.importers.layout import Clips, Columns, FolderLayout, ListedClip, Malformed
from fishtui.importers.layouts import choose
from fishtui.importers.locate import Locator
from fishtui.importers.names import numbered, safe_name
from fishtui.importers.tables import KNOWN
from fishtui.project import Project
from fishtui.runs.ledger import Ledger
from fishtui.runs.reporter import Reporter
from fishtui.wording import suggest


@dataclass(frozen=True, slots=True)
class _Planned:
    """A clip, its place in the source and in the dataset."""

    where: str
    clip: LocatedClip
    destination: Destination

    @property
    def name(self) -> str:
        return f"{self.clip.speaker}/{self.destination.audio.stem}"


def import_clips(
    project: Project,
    reporter: Reporter,
    *,
    source: Path,
    data: Path,
    layout: str | None = None,
    columns: Columns | None = None,
    speaker: str | None = None,
    mode: TransferMode = "auto",
    text_extension: str = ".lab",
    dry_run: bool = False,
) -> Ledger:
    """Import the clips of `source`, a table or folder, into `data` as SPEAKER/clip with its transcript.

    `layout` is a key of `LAYOUTS`, None to detect it; `columns` names the columns for audio, text and speaker;
    `speaker` replaces the speakers named in the source; `text_extension` is that of transcripts in the dataset. Clips
    that were imported before are skipped, nothing is overwritten, and nothing is written outside `data`. Raises
    MisuseError if the layout is unknown, or the source is inside `data`; DataError if the source cannot be read.
    """
    columns = columns or {}
    if unknown := set(columns) - set(KNOWN):
        raise MisuseError(
            f"--column {min(unknown)}: not a kind of column", suggest(min(unknown), KNOWN), code="unknown-column"
        )
    chosen, path = choose(source, layout, columns, text_extension)
    is_folder = isinstance(chosen, FolderLayout)
    _refuse_overlap(path, data, walked=is_folder)
    reporter.note(f"reading {project.shown(path)} as {chosen.name}: {chosen.help}")
    base = path if is_folder else path.parent
    ledger = Ledger()
    located = list(_locate(chosen.clips(path, columns), Locator(base), data, ledger))
    if ledger.total + len(located) == 0:
        raise DataError(f"{path}: no clips", "Name a table with rows, or a folder with recordings.", code="no-clips")
    speakers = _speakers([speaker or clip.speaker for clip, _ in located], base.resolve().name)
    clips = [
        (clip.where, LocatedClip(audio, name, clip.text)) for (clip, audio), name in zip(located, speakers, strict=True)
    ]
    planned = _plan(clips, TargetDataset(data, _replaced(project, data), text_extension), ledger)
    _transfer_all(planned, mode, dry_run, ledger, reporter)
    reporter.artifact("dataset", data)
    return ledger


def _refuse_overlap(source: Path, data: Path, walked: bool) -> None:
    inner, outer = Path(os.path.realpath(source)), Path(os.path.realpath(data))
    if inner.is_relative_to(outer) or (walked and outer.is_relative_to(inner)):
        raise MisuseError(
            f"{source}: overlaps with the dataset {data}", "Import from outside the dataset.", code="overlap"
        )
    if data.exists() and not data.is_dir():
        raise MisuseError(f"{data}: not a folder", "Name another folder with --data.", code="not-a-folder")


def _locate(clips: Clips, locator: Locator, data: Path, ledger: Ledger) -> Iterator[tuple[ListedClip, Path]]:
    """Yield each clip, its text stripped, with its recording; enter the others in the ledger as failed."""
    dataset = Path(os.path.realpath(data))
    for clip in clips:
        if isinstance(clip, Malformed):
            ledger.fail(clip.where, clip.reason)
            continue
        try:
            text = _checked_text(clip)
            audio = locator.find(_checked_audio(clip))
            if Path(os.path.realpath(audio)).is_relative_to(dataset):
                raise DataError(
                    "the recording is inside the dataset", "Remove it from the source.", code="inside-dataset"
                )
        except DataError as error:
            ledger.fail(clip.where, error.problem)
        else:
            yield ListedClip(clip.where, clip.audio, text, clip.speaker), audio


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


def _speakers(names: Iterable[str], otherwise: str) -> Iterator[str]:
    """Yield the folder of each speaker, different for different names; `otherwise` is the name of unnamed ones."""
    folders: dict[str, str] = {}
    taken: set[str] = set()
    for name in names:
        name = unicodedata.normalize("NFC", name.strip()) or otherwise
        if name not in folders:
            base = safe_name(name, "speaker")
            folders[name] = next(each for number in count(1) if (each := numbered(base, number)) not in taken)
            taken.add(folders[name])
        yield folders[name]


def _replaced(project: Project, data: Path) -> dict[str, set[str]]:
    """The hashes of content that edits replaced, by path, so that an edited clip is still recognized."""
    replaced: dict[str, set[str]] = defaultdict(set)
    if project.catalog.exists():
        from fishtui.catalog.store import Catalog

        with Catalog(project, data) as catalog:
            for path, content in catalog.query("SELECT path, before FROM history WHERE kind = 'file'"):
                replaced[path].add(content)
    return replaced


def _plan(clips: Iterable[tuple[str, LocatedClip]], dataset: TargetDataset, ledger: Ledger) -> list[_Planned]:
    """Return each clip with its destination, in order; enter clips with an unusable folder in the ledger."""
    usable: list[tuple[str, LocatedClip, SpeakerFolder]] = []
    for where, clip in clips:
        try:
            usable.append((where, clip, dataset.folder(clip.speaker)))
        except FishtuiError as error:
            ledger.fail(where, error.problem)
    existing = [folder.existing(clip) for _, clip, folder in usable]
    return [
        _Planned(where, clip, destination or folder.new(clip))
        for (where, clip, folder), destination in zip(usable, existing, strict=True)
    ]


def _transfer_all(
    planned: Sequence[_Planned], mode: TransferMode, dry_run: bool, ledger: Ledger, reporter: Reporter
) -> None:
    """Write the clips that the dataset does not have yet; enter all in the ledger, with counts by kind of transfer."""
    kinds: Counter[str] = Counter()
    for number, each in enumerate(planned):
        destination = each.destination
        if destination.has_audio and destination.has_transcript:
            same = has_text(destination.transcript, each.clip.text)
            ledger.skip(each.name, "already imported" if same else "already imported, with another transcript")
        elif dry_run:
            ledger.done += 1
        else:
            try:
                kinds[transfer(each.clip, destination, mode)] += 1
                ledger.done += 1
            except FishtuiError as error:
                ledger.fail(each.where, error.problem)
        reporter.progress(number + 1, len(planned))
    ledger.counts = dict(kinds)
