"""The layouts that can be imported, and how a source's own is told."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from fishtui.errors import MisuseError
from fishtui.importers.barlists import is_list, is_ljspeech, read_list, read_ljspeech
from fishtui.importers.folders import is_folder, read_folder
from fishtui.importers.jsonlines import is_json_lines, read_json_lines
from fishtui.importers.rows import Malformed, Row, first_line, misfit
from fishtui.importers.tables import is_common_voice, is_table, read_table
from fishtui.wording import cannot_read

FOLDER = "folder"
# Tables in a folder have one of these endings; where there are several, these names are the dataset's own.
TABLES = (".csv", ".tsv", ".jsonl", ".ndjson", ".list")
MAIN_TABLES = ("metadata.csv", "metadata.tsv", "metadata.jsonl", "validated.tsv")


@dataclass(frozen=True)
class Layout:
    """How a dataset is laid out. `fits` tells a table by its first line; `named` says whether it has named columns."""

    name: str
    help: str
    fits: Callable[[str, Mapping[str, str]], bool]
    read: Callable[[Path, Mapping[str, str]], Iterator[Row | Malformed]]
    named: bool = False


LAYOUTS: dict[str, Layout] = {
    layout.name: layout
    for layout in (
        Layout("jsonl", "JSON Lines with named values", is_json_lines, read_json_lines, named=True),
        Layout("commonvoice", "Common Voice: TSV, with audio in clips/", is_common_voice, read_table, named=True),
        Layout("table", "CSV or TSV whose first line names the columns", is_table, read_table, named=True),
        Layout("list", "audio|speaker|language|text, a line each", is_list, read_list),
        Layout("ljspeech", "metadata.csv of id|text|normalized text, with audio in wavs/", is_ljspeech, read_ljspeech),
        Layout(FOLDER, "NAME.wav with NAME.txt or NAME.lab, flat or by speaker", lambda *_: False, read_folder),
    )
}
SAY = f"Say --layout {'|'.join(LAYOUTS)}, and for columns with other names --column audio=NAME --column text=NAME."


def choose(source: Path, layout: str | None, columns: Mapping[str, str]) -> tuple[Layout, Path]:
    """The layout of `source`, told from what it holds unless it is given, and the table or folder to read.

    Raises MisuseError if it can't be told, or columns are named where there are none; DataError if the table can't be
    read.
    """
    if not os.path.exists(source):
        raise MisuseError(f"there is no {source}", "Give a table or a folder.")
    chosen, path = (_of_folder if source.is_dir() else _of_table)(source, layout, columns)
    if columns and not chosen.named:
        raise MisuseError(f"{path} is read as {chosen.name}, without named columns", "Leave --column out.")
    return chosen, path


def _of_table(path: Path, layout: str | None, columns: Mapping[str, str]) -> tuple[Layout, Path]:
    if not path.is_file() or layout == FOLDER:
        raise MisuseError(f"{path} is no {'folder' if path.is_file() else 'table'}", SAY)
    if layout is not None:
        return LAYOUTS[layout], path
    line = first_line(path)
    found = _told(line, columns)
    if found is None and not columns:
        raise misfit(path, line, SAY)
    return found or LAYOUTS["table"], path


def _of_folder(folder: Path, layout: str | None, columns: Mapping[str, str]) -> tuple[Layout, Path]:
    if layout == FOLDER:
        return LAYOUTS[FOLDER], folder
    try:
        paths = [folder / name for name in sorted(os.listdir(folder))]
    except OSError as error:
        raise cannot_read(folder, error, MisuseError) from error
    tables = [path for path in paths if path.suffix.lower() in TABLES and path.is_file()]
    told = ((path, _told(first_line(path), columns)) for path in tables)
    found = {path: each for path, each in told if each and layout in (None, each.name)}
    for path in [folder / name for name in MAIN_TABLES] if len(found) > 1 else found:
        if path in found:
            return found[path], path
    if found:
        names = ", ".join(path.name for path in found)
        raise MisuseError(f"{folder} holds several tables: {names}", "Name one of them as the source.")
    if layout is None and is_folder(folder):
        return LAYOUTS[FOLDER], folder
    held = ", ".join(path.name for path in tables[:5]) or "no table, and no recording with a transcript beside it"
    raise MisuseError(f"the layout of {folder} can't be told: it holds {held}", SAY)


def _told(line: str, columns: Mapping[str, str]) -> Layout | None:
    layouts = [layout for layout in LAYOUTS.values() if layout.named or not columns]
    return next((layout for layout in layouts if layout.fits(line, columns)), None)
