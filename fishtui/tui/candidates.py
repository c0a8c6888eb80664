"""Values for the fields of a launch form, from the project: trainings, checkpoints, adapters, clips and folders."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from fishtui import wording
from fishtui.checkpoint import CODEC, RECORD
from fishtui.cli.forms import Field
from fishtui.dataset import EXTENSIONS
from fishtui.families.family import CONFIG
from fishtui.project import Project
from fishtui.results.adapters import PEFT_CONFIG
from fishtui.results.trainings import ListedCheckpoint, describe_checkpoints
from fishtui.settings import Settings
from fishtui.stage import EXTRACT
from fishtui.tui.shellwords import escaped

# The most candidates of one list, and the depth of folders below the project.
MOST = 200
DEPTH = 3


class Candidate(NamedTuple):
    """A value of a field, and what it is."""

    value: str
    note: str = ""


class Place(NamedTuple):
    """A place to search: `values` are those of the other fields, `words` those that a candidate must have."""

    project: Project
    settings: Settings
    values: Mapping[str, str]
    words: str = ""


Finding = Callable[[Place], Iterable[Candidate]]


def find_candidates(stage: str, field: Field, place: Place) -> list[Candidate]:
    """Return what the field can be, with every word of `place.words`. Blocks. Raises FishtuiError."""
    find = _finding_of(stage, field)
    found: list[Candidate] = []
    words = place.words.casefold().split()
    for each in find(place) if find is not None else ():
        if all(word in f"{each.value} {each.note}".casefold() for word in words):
            found.append(each)
        if len(found) == MOST:
            break
    return found


def has_candidates(stage: str, field: Field) -> bool:
    """Return true if a list of values can be shown for the field."""
    return _finding_of(stage, field) is not None


def _finding_of(stage: str, field: Field) -> Finding | None:
    if field.flag:
        return None
    if field.choices:
        return lambda _: [Candidate(each) for each in field.choices]
    if stage == EXTRACT.name and field.name == "checkpoint":
        return _codecs
    if field.default == "paths.checkpoint":
        return _models
    if field.default in ("paths.data", "paths.protos"):
        return _folders
    return FINDINGS.get(field.name)


def _trainings(place: Place) -> Iterator[Candidate]:
    for folder in _subfolders(place.project.results):
        saved = describe_checkpoints(folder)
        if saved:
            yield Candidate(folder.name, wording.counted(len(saved), "checkpoint"))


def _steps(place: Place) -> Iterator[Candidate]:
    name = place.values.get("name", "")
    if name:
        for each in reversed(describe_checkpoints(place.project.results / name)):
            yield Candidate(str(each.saved.step), _describe(each))


def _adapters(place: Place) -> Iterator[Candidate]:
    for folder in _subfolders(place.project.results):
        for each in reversed(describe_checkpoints(folder)):
            yield Candidate(place.project.shown(each.saved.path), f"{folder.name}, {_describe(each)}")
    for folder in _subfolders(place.project.checkpoints):
        if (folder / PEFT_CONFIG).exists():
            yield Candidate(place.project.shown(folder), "peft folder")


def _describe(each: ListedCheckpoint) -> str:
    loss = each.saved.validation_loss
    parts = [f"step {each.saved.step:,}", "" if loss is None else f"val {loss:.3f}", "best" if each.is_best else ""]
    return ", ".join(filter(None, parts))


def _models(place: Place) -> Iterator[Candidate]:
    for folder in _model_folders(place):
        yield Candidate(place.project.shown(folder), "merged model" if (folder / RECORD).exists() else "model")


def _codecs(place: Place) -> Iterator[Candidate]:
    for folder in _model_folders(place):
        if (folder / CODEC).exists():
            yield Candidate(place.project.shown(folder / CODEC), "codec")


def _model_folders(place: Place) -> list[Path]:
    """The folders with a model: in the project's checkpoints, and next to the model of the settings."""
    base = place.project.path(place.settings.paths.checkpoint)
    folders = [*_subfolders(place.project.checkpoints), *_subfolders(base.parent)]
    return [each for each in dict.fromkeys(folders) if (each / CONFIG).exists() or each == base]


def _references(place: Place) -> Iterator[Candidate]:
    """The clips that can be a reference, with their transcripts: those that are not rejected."""
    from fishtui.catalog.details import audio_path
    from fishtui.catalog.store import Catalog

    data = place.project.path(place.settings.paths.data)
    if not place.project.catalog.exists():
        return
    # Each word narrows the list in the database, because there may be a million clips.
    words = place.words.split()
    where = "".join(" AND (instr(lower(name), lower(?)) OR instr(lower(text), lower(?)))" for _ in words)
    with Catalog(place.project, data) as catalog:
        rows = catalog.query(
            "SELECT name, files, text, duration FROM clips WHERE gone IS NULL AND status != 'rejected'"
            f" AND format IS NOT NULL AND text != ''{where} LIMIT {MOST}",
            [word for each in words for word in (each, each)],
        )
        for row in rows:
            path = audio_path(catalog, row)
            if path is not None:
                yield Candidate(place.project.shown(path), f"{wording.seconds(row['duration'])}  {row['text']}")


def _folders(place: Place) -> Iterator[Candidate]:
    yield from (Candidate(place.project.shown(each), "folder") for each in _walk(place.project.root))


def _recordings(place: Place) -> Iterator[Candidate]:
    """Yield long recordings and folders: in the folder whose path is typed, otherwise in and next to the project."""
    root = place.project.root
    typed = place.words.strip()
    own = {place.project.path(place.settings.paths.data), place.project.results, place.project.checkpoints, root}
    for base in [f"{typed.rpartition('/')[0]}/"] if "/" in typed else ["", "../"]:
        for each in _listed(root / os.path.expanduser(base)):
            if each.is_dir() and each.resolve() not in own:
                yield Candidate(escaped(base + each.name), "folder")
            elif each.suffix.lower() in EXTENSIONS and each.is_file():
                yield Candidate(escaped(base + each.name), wording.size(each.stat().st_size))


def _listed(folder: Path) -> list[Path]:
    """Return what is in a folder and not hidden."""
    try:
        return sorted(each for each in folder.iterdir() if not each.name.startswith("."))
    except OSError:
        return []


def _texts(place: Place) -> Iterator[Candidate]:
    for folder in (place.project.root, *_walk(place.project.root, depth=1)):
        for path in sorted(folder.glob("*.txt"))[:MOST]:
            yield Candidate(place.project.shown(path), "text file")


def _walk(root: Path, depth: int = DEPTH) -> Iterator[Path]:
    """Yield the folders below `root` that are not hidden, each before those in it."""
    for folder in _subfolders(root):
        yield folder
        if depth > 1:
            yield from _walk(folder, depth - 1)


def _subfolders(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            return sorted(Path(each) for each in entries if not each.name.startswith(".") and each.is_dir())
    except OSError:
        return []


# By the names of arguments and settings.
FINDINGS: Mapping[str, Finding] = {
    "name": _trainings,
    "step": _steps,
    "adapter": _adapters,
    "base": _models,
    "paths.checkpoint": _models,
    "references": _references,
    "run.reference": _references,
    "source": _folders,
    "sources": _recordings,
    "target": _folders,
    "output": _folders,
    "paths.data": _folders,
    "paths.protos": _folders,
    "text_file": _texts,
}
