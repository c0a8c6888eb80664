"""All layouts that can be imported, and the detection of a source's layout.

An importer is a module that defines a `TableLayout` or a `FolderLayout`, and its entry in `LAYOUTS`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from fishtui.errors import MisuseError
from fishtui.importers.barlists import BAR_LIST, LJSPEECH
from fishtui.importers.folders import FOLDER, folder_layout
from fishtui.importers.jsonlines import JSON_LINES
from fishtui.importers.layout import Columns, FolderLayout, Layout, TableLayout
from fishtui.importers.lines import beginning, first_line
from fishtui.importers.tables import COMMON_VOICE, TABLE
from fishtui.wording import cannot_read, counted

# Earlier layouts are tried first.
LAYOUTS: dict[str, Layout] = {
    layout.name: layout for layout in (JSON_LINES, COMMON_VOICE, TABLE, BAR_LIST, LJSPEECH, FOLDER)
}
# Tables in a folder have one of these endings; if there are several, one of these names is preferred.
TABLES = (".csv", ".tsv", ".jsonl", ".ndjson", ".list")
MAIN_TABLES = ("metadata.csv", "metadata.tsv", "metadata.jsonl", "validated.tsv")


def choose(source: Path, name: str | None, columns: Columns, text_extension: str = ".lab") -> tuple[Layout, Path]:
    """Return the layout of `source`, and the table or folder to read.

    `name` is the name of a layout, None to detect it. In a folder without a table, transcripts with `text_extension`
    are used before others. Raises MisuseError if `source` does not exist or has another
    layout, and if `columns` are given for a layout without named columns; DataError if a table cannot be read.
    """
    if not os.path.exists(source):
        raise MisuseError(f"{source}: no such file or folder", "Name a table or a folder.", code="not-found")
    if source.is_dir():
        layout, path = _of_folder(source, name, columns, text_extension)
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
        if isinstance(LAYOUTS[name], FolderLayout):
            raise MisuseError(f"{path}: not a folder", _how_to_choose(), code="not-a-folder")
        return LAYOUTS[name], path
    line = first_line(path)
    layout = _detect_table(line, columns)
    if layout is None and not columns:
        raise MisuseError(f"{path}: unknown layout: {beginning(line)}", _how_to_choose(), code="unknown-layout")
    return layout or TABLE, path


def _of_folder(folder: Path, name: str | None, columns: Columns, text_extension: str) -> tuple[Layout, Path]:
    layouts = {**LAYOUTS, FOLDER.name: folder_layout(text_extension)}
    without_table = [layout for layout in layouts.values() if isinstance(layout, FolderLayout)]
    if name is not None and (chosen := layouts[name]) in without_table:
        return chosen, folder
    tables = _tables_in(folder)
    detected = ((path, _detect_table(first_line(path), columns)) for path in tables)
    found = {path: layout for path, layout in detected if layout and name in (None, layout.name)}
    if found:
        path = _main_table(folder, found)
        return found[path], path
    detected_in_folder = (layout for layout in without_table if layout.detects(folder))
    if name is None and (layout := next(detected_in_folder, None)):
        return layout, folder
    held = ", ".join(path.name for path in tables[:5]) or "no table, and no recording with a transcript"
    raise MisuseError(f"{folder}: unknown layout: found {held}", _how_to_choose(), code="unknown-layout")


def _tables_in(folder: Path) -> list[Path]:
    try:
        paths = [folder / name for name in sorted(os.listdir(folder))]
    except OSError as error:
        raise cannot_read(folder, error, MisuseError) from error
    return [path for path in paths if path.suffix.lower() in TABLES and path.is_file()]


def _main_table(folder: Path, found: Mapping[Path, Layout]) -> Path:
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


def _detect_table(line: str, columns: Columns) -> TableLayout | None:
    possible = (layout for layout in LAYOUTS.values() if isinstance(layout, TableLayout))
    return next(
        (layout for layout in possible if (layout.named or not columns) and layout.detects(line, columns)), None
    )


def _how_to_choose() -> str:
    names = "|".join(LAYOUTS)
    return f"Add --layout {names}; for columns with other names, --column audio=NAME --column text=NAME."
