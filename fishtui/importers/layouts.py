"""All layouts that can be imported, and the detection of a source's layout.

An importer is a module that defines a `TableLayout` or a `FolderLayout`, and its entry in `LAYOUTS`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from itertools import islice
from pathlib import Path

from fishtui.errors import FishtuiError, MisuseError
from fishtui.importers.audacity import AUDACITY
from fishtui.importers.corpora import CORPORA
from fishtui.importers.folders import FOLDER, folder_layout
from fishtui.importers.jsonlines import JSON_LINES
from fishtui.importers.kaldi import KALDI
from fishtui.importers.layout import Columns, FolderLayout, Layout, ListedClip, TableLayout
from fishtui.importers.lhotse import LHOTSE
from fishtui.importers.lines import beginning, first_line
from fishtui.importers.locate import Locator
from fishtui.importers.parquet import PARQUET
from fishtui.importers.recognized import RECOGNIZED
from fishtui.importers.rows import KSS, LIST, LJSPEECH, ROWS
from fishtui.importers.subtitles import SUBTITLES
from fishtui.importers.tables import COMMON_VOICE, TABLE
from fishtui.importers.tiers import ELAN, TEXTGRID
from fishtui.importers.webdataset import WEBDATASET
from fishtui.wording import cannot_read, counted

# Earlier layouts are tried first.
LAYOUTS: dict[str, Layout] = {
    layout.name: layout
    for layout in (
        *(JSON_LINES, COMMON_VOICE, TABLE, KSS, ROWS, LIST, LJSPEECH, LHOTSE, KALDI, *CORPORA, PARQUET, WEBDATASET),
        # Whole transcripts, or a list of words, may be next to a recording too, so folders come between.
        *(RECOGNIZED, SUBTITLES, AUDACITY, FOLDER, TEXTGRID, ELAN),
    )
}
# Tables in a folder have one of these endings; if there are several, one of these names is preferred.
TABLES = (".csv", ".tsv", ".jsonl", ".ndjson", ".list", ".psv")
# Other files with one of these names are tables too, such as the transcript.txt of CSS10.
TEXT_TABLES = re.compile(
    r"(?:metadata|transcripts?(?:\.v[\d.]+)?|(?:file)?list|(?:train|val|test)(?:_?(?:file)?list)?)\.txt|.*manifest.*\.json",
    re.I,
)
# Rows that are read to find out whether a table names recordings.
MOST_TRIED = 50
# The remedy for a folder without tables.
ADD_TRANSCRIPTS = (
    "Name the table of the transcripts as the source, with --audio-root for the folder of recordings; or put each"
    " transcript next to its recording as NAME.txt, or into txt/SPEAKER/NAME.txt next to wav/SPEAKER/NAME.wav."
)
MAIN_TABLES = ("metadata.csv", "metadata.tsv", "metadata.jsonl", "validated.tsv")


def choose(
    source: Path,
    name: str | None,
    columns: Columns,
    text_extension: str = ".lab",
    audio_root: Path | None = None,
) -> tuple[Layout, Path]:
    """Return the layout of `source`, and the table or folder to read.

    `name` is the name of a layout, None to detect it. In a folder without a table, transcripts with `text_extension`
    are used before others; if there are several tables, those count that name recordings in it or below `audio_root`.
    Raises MisuseError if `source` does not exist or has another layout, and if `columns` are given for a layout without
    named columns; DataError if a table cannot be read.
    """
    if not os.path.exists(source):
        raise MisuseError(f"{source}: no such file or folder", "Name a table or a folder.", code="not-found")
    if source.is_dir():
        layout, path = _of_folder(source, name, columns, text_extension, audio_root)
    else:
        layout, path = _of_table(source, name, columns)
    if columns and not layout.named:
        raise MisuseError(
            f"{path}: the layout {layout.name} has no named columns", "Remove --column.", code="no-named-columns"
        )
    return layout, path


def _of_table(path: Path, name: str | None, columns: Columns) -> tuple[Layout, Path]:
    if not path.is_file():
        raise MisuseError(f"{path}: not a table", _how_to_choose(), code="not-a-table")
    if name is not None:
        chosen = LAYOUTS[name]
        if isinstance(chosen, FolderLayout) and not chosen.takes_files:
            raise MisuseError(f"{path}: not a folder", _how_to_choose(), code="not-a-folder")
        if isinstance(chosen, FolderLayout) and not chosen.detects(path):
            raise MisuseError(f"{path}: not of the layout {name}", _how_to_choose(), code="wrong-layout")
        return chosen, path
    for each in LAYOUTS.values():
        if isinstance(each, FolderLayout) and each.takes_files and each.detects(path):
            return each, path
    line = first_line(path)
    layout = _detect_table(line, columns)
    if layout is None and not columns:
        raise MisuseError(f"{path}: unknown layout: {beginning(line)}", _how_to_choose(), code="unknown-layout")
    return layout or TABLE, path


def _of_folder(
    folder: Path, name: str | None, columns: Columns, text_extension: str, audio_root: Path | None
) -> tuple[Layout, Path]:
    layouts = {**LAYOUTS, FOLDER.name: folder_layout(text_extension)}
    without_table = [layout for layout in layouts.values() if isinstance(layout, FolderLayout)]
    if name is not None and (chosen := layouts[name]) in without_table:
        return chosen, folder
    tables = _tables_in(folder)
    detected = {path: _detect_table(first_line(path), columns, name) for path in tables}
    found = {path: layout for path, layout in detected.items() if layout}
    locator = Locator(folder, audio_root)
    naming = {path: layout for path, layout in found.items() if _names_recordings(path, layout, columns, locator)}
    detected_in_folder = (layout for layout in without_table if layout.detects(folder))
    if not naming and name is None and (layout := next(detected_in_folder, None)):
        return layout, folder
    if found:
        path = _main_table(folder, naming or found)
        return found[path], path
    held = ", ".join(path.name for path in tables[:5]) or "no table, and no recording with a transcript"
    remedy = _how_to_choose() if tables else ADD_TRANSCRIPTS
    raise MisuseError(f"{folder}: unknown layout: found {held}", remedy, code="unknown-layout")


def _names_recordings(path: Path, layout: TableLayout, columns: Columns, locator: Locator) -> bool:
    """Return True if one of the first rows of a table names a recording that exists."""
    try:
        resolved = layout.resolves(path, columns, locator).columns
        clips = islice(layout.clips(path, resolved, locator), MOST_TRIED)
        return any(isinstance(clip, ListedClip) and locator.finds(clip.audio) for clip in clips)
    except FishtuiError:
        return False


def _tables_in(folder: Path) -> list[Path]:
    try:
        paths = [folder / name for name in sorted(os.listdir(folder))]
    except OSError as error:
        raise cannot_read(folder, error, MisuseError) from error
    return [path for path in paths if _is_table(path) and path.is_file()]


def _is_table(path: Path) -> bool:
    return path.suffix.lower() in TABLES or TEXT_TABLES.fullmatch(path.name) is not None


def _main_table(folder: Path, found: Mapping[Path, TableLayout]) -> Path:
    """The only table of a folder, or the main one. Raises MisuseError if there are several without a main one."""
    if len(found) == 1:
        return next(iter(found))
    for name in MAIN_TABLES:
        if folder / name in found:
            return folder / name
    names = ", ".join(path.name for path in found)
    raise MisuseError(
        f"{folder}: {counted(len(found), 'table')}: {names}", "Name one of them as the source.", code="several-tables"
    )


def _detect_table(line: str, columns: Columns, name: str | None = None) -> TableLayout | None:
    """The layout of a table with this first line; only `name`, if it is given."""
    for layout in LAYOUTS.values():
        if not isinstance(layout, TableLayout) or (columns and not layout.named and name is None):
            continue
        wanted = layout.name == name if name is not None else not layout.only_by_name
        if wanted and layout.detects(line, columns):
            return layout
    return None


def _how_to_choose() -> str:
    names = "|".join(LAYOUTS)
    return f"Add --layout {names}; for other columns, --column NAME=audio --column NAME=text, or their numbers."
