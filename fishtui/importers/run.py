"""import: clips from another layout, into the project's dataset."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from fishtui.errors import DataError, FishtuiError, MisuseError
from fishtui.importers.layouts import FOLDER, choose
from fishtui.importers.locate import Locator
from fishtui.importers.names import numbered, safe_name
from fishtui.importers.place import Dataset, Found, Mode, Place, SpeakerFolder, bring, reads
from fishtui.importers.rows import Malformed, Row
from fishtui.importers.tables import KNOWN
from fishtui.project import Project
from fishtui.runs.ledger import Ledger
from fishtui.runs.reporter import Reporter


@dataclass(frozen=True, slots=True)
class _Planned:
    where: str
    clip: Found
    place: Place

    @property
    def name(self) -> str:
        return f"{self.clip.speaker}/{self.place.audio.stem}"


def import_clips(
    project: Project,
    reporter: Reporter,
    *,
    source: Path,
    data: Path,
    layout: str | None = None,
    columns: Mapping[str, str] | None = None,
    speaker: str | None = None,
    mode: Mode = "auto",
    dry_run: bool = False,
) -> Ledger:
    """Put the clips of `source`, a table or folder, into `data` as SPEAKER/clip with clip.lab.

    `layout` is a name of LAYOUTS (None: told from the source), `columns` says which names stand for audio, text and
    speaker, `speaker` whose all the clips are, whatever the source says. A clip that is there already is skipped.
    Nothing is overwritten, and nothing written outside `data`. Raises MisuseError if the layout can't be told, or the
    source lies in `data`; DataError if the source can't be read.
    """
    columns = columns or {}
    if unknown := set(columns) - set(KNOWN):
        raise MisuseError(f"there is no column {min(unknown)}", f"It is one of {', '.join(KNOWN)}.")
    chosen, path = choose(source, layout, columns)
    _refuse_overlap(path, data, walked=chosen.name == FOLDER)
    reporter.note(f"{project.shown(path)} is read as {chosen.name}: {chosen.help}")
    ledger = Ledger()
    base = path if chosen.name == FOLDER else path.parent
    rows = list(_with_recordings(chosen.read(path, columns), Locator(base), data, ledger))
    if ledger.total + len(rows) == 0:
        raise DataError(f"{path} holds no clips", "Give a table with rows, or a folder with recordings.")
    speakers = _speakers([speaker or row.speaker for row, _ in rows], base.resolve().name)
    clips = [(row.where, Found(audio, name, row.text)) for (row, audio), name in zip(rows, speakers, strict=True)]
    how: Counter[str] = Counter()
    planned = _plan(clips, Dataset(data, _replaced(project, data)), ledger)
    for number, each in enumerate(planned):
        if each.place.has_audio and each.place.has_transcript:
            other = "" if reads(each.place.transcript, each.clip.text) else ", with another transcript"
            ledger.skip(each.name, f"already there{other}")
        elif dry_run:
            ledger.done += 1
        else:
            try:
                how[bring(each.clip, each.place, mode)] += 1
                ledger.done += 1
            except FishtuiError as error:
                ledger.fail(each.where, error.problem)
        reporter.progress(number + 1, len(planned))
    ledger.counts = dict(how)
    reporter.artifact("dataset", data)
    return ledger


def _refuse_overlap(source: Path, data: Path, walked: bool) -> None:
    inner, outer = Path(os.path.realpath(source)), Path(os.path.realpath(data))
    if inner.is_relative_to(outer) or (walked and outer.is_relative_to(inner)):
        raise MisuseError(f"{source} and the dataset {data} overlap", "Import from outside the dataset.")
    if data.exists() and not data.is_dir():
        raise MisuseError(f"{data} is no folder", "Name another with --data.")


def _with_recordings(
    rows: Iterable[Row | Malformed], locator: Locator, data: Path, ledger: Ledger
) -> Iterator[tuple[Row, Path]]:
    """Each row, its text stripped, with its recording; those that are no clip go into the ledger."""
    dataset = Path(os.path.realpath(data))
    for row in rows:
        if isinstance(row, Malformed):
            ledger.fail(row.where, row.reason)
            continue
        text = row.text.strip()
        try:
            text.encode()
            if not text:
                raise DataError("its text is empty", "Write what is said.")
            if not row.audio.strip():
                raise DataError("it names no recording", "Name one.")
            audio = locator.find(row.audio.strip())
            if Path(os.path.realpath(audio)).is_relative_to(dataset):
                raise DataError("its recording lies in the dataset itself", "Leave it out.")
        except UnicodeEncodeError:
            ledger.fail(row.where, "its text holds half of a surrogate pair")
        except DataError as error:
            ledger.fail(row.where, error.problem)
        else:
            yield Row(row.where, row.audio, text, row.speaker), audio


def _speakers(names: Iterable[str], otherwise: str) -> Iterator[str]:
    """A folder's name for each speaker's name, never one for two speakers; `otherwise` where there is no name."""
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
    """The hashes of what edits have replaced, by path: an edited clip is still the one that was imported."""
    replaced: dict[str, set[str]] = defaultdict(set)
    if project.catalog.exists():
        from fishtui.catalog.store import Catalog

        with Catalog(project, data) as catalog:
            for path, content in catalog.query("SELECT path, before FROM history WHERE kind = 'file'"):
                replaced[path].add(content)
    return replaced


def _plan(clips: Iterable[tuple[str, Found]], dataset: Dataset, ledger: Ledger) -> list[_Planned]:
    """Each clip's place, in the order of the clips; those whose folder can't be used go into the ledger."""
    usable: list[tuple[str, Found, SpeakerFolder]] = []
    for where, clip in clips:
        try:
            usable.append((where, clip, dataset.folder(clip.speaker)))
        except FishtuiError as error:
            ledger.fail(where, error.problem)
    matching = [folder.matching(clip) for _, clip, folder in usable]
    return [
        _Planned(where, clip, place or folder.place(clip))
        for (where, clip, folder), place in zip(usable, matching, strict=True)
    ]
