"""Parquet files of the Hugging Face hub, whose rows hold the bytes of a recording and its text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from fishtui.errors import DataError, loading
from fishtui.extras import require_extra
from fishtui.importers.columns import Positions, find_positions, missing_meanings, shown_columns
from fishtui.importers.layout import Clips, Columns, FolderLayout, ListedClip, Malformed, Member, Resolved
from fishtui.importers.locate import Locator
from fishtui.reading import Damaged, guarded
from fishtui.wording import cannot_read

ENDING = ".parquet"
# Rows that are read at a time: of their texts, and of their recordings.
TEXTS, RECORDINGS = 4_096, 8


def is_parquet(path: Path) -> bool:
    """Return True for a Parquet file, or a folder with some, as the hub has them."""
    return next(_files(path), None) is not None


def read_parquet(path: Path, columns: Columns) -> Clips:
    """Yield the rows of Parquet files with the place of their recordings, without the bytes. Raises FishtuiError."""
    top = path if path.is_dir() else path.parent
    for file in _files(path):
        where = file.relative_to(top).as_posix()
        try:
            with guarded():
                yield from _rows(file, where, columns, top.absolute().name)
        except (OSError, Damaged) as error:
            yield Malformed(where, f"cannot be read: {error}")


def resolve_parquet(path: Path, columns: Columns, locator: Locator) -> Resolved:
    """Return the columns of the first file. Raises DataError if it cannot be read or has none for audio and text."""
    first = next(_files(path), None)
    if first is None:
        raise DataError(f"{path}: no Parquet file", "Name a file, or a folder with some.", code="no-clips")
    try:
        with guarded():
            names = _open(first).schema_arrow.names
    except OSError as error:
        raise cannot_read(first, error, DataError) from error
    except Damaged as error:
        raise DataError(f"{first}: damaged: {error}", "Download it again.", code="damaged-table") from error
    return Resolved(columns, shown_columns([f"column {name!r}" for name in names], _positions(first, names, columns)))


def extract_rows(path: Path, wanted: Mapping[str, Path]) -> Iterator[tuple[str, str]]:
    """Write the recordings of rows, given by `COLUMN:ROW`, to files; yield rows that have none, with the reason.

    Raises DataError if the file is damaged.
    """
    column = next(iter(wanted)).rpartition(":")[0]
    numbers = {int(key.rpartition(":")[2]): key for key in wanted}
    try:
        with guarded():
            number = 0
            for batch in _open(path).iter_batches(batch_size=RECORDINGS, columns=[column]):
                for value in batch.column(0):
                    key = numbers.get(number)
                    number += 1
                    if key is None:
                        continue
                    content = value.as_py()
                    content = content.get("bytes") if isinstance(content, dict) else content
                    if isinstance(content, bytes) and content:
                        wanted[key].write_bytes(content)
                    else:
                        yield key, "the row has no recording"
    except Damaged as error:
        raise DataError(f"{path.name}: damaged: {error}", "Download it again.", code="damaged-table") from error


def _files(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        if path.name.lower().endswith(ENDING) and path.is_file():
            yield path
        return
    for folder in (path, path / "data"):
        if folder.is_dir():
            yield from sorted(each for each in folder.iterdir() if each.name.lower().endswith(ENDING))


def _open(path: Path) -> Any:
    require_extra("importers", "pyarrow", path.name)
    with loading("pyarrow"):
        import pyarrow.parquet as pq
    return pq.ParquetFile(path)


def _positions(path: Path, names: list[str], columns: Columns) -> Positions:
    positions = find_positions(names, columns)
    if missing := missing_meanings(positions, columns):
        raise DataError(
            f"{path.name}: no column for {' and '.join(missing)}: {', '.join(names[:12])}",
            f"Name the columns: {' '.join(f'--column NAME={meaning}' for meaning in missing)}.",
            code="no-column",
        )
    return positions


def _rows(file: Path, where: str, columns: Columns, source: str) -> Clips:
    content = _open(file)
    schema = content.schema_arrow
    positions = _positions(file, schema.names, columns)
    audio = schema.names[positions.of["audio"]]
    kind = schema.field(audio).type
    inner = [field.name for field in kind] if hasattr(kind, "num_fields") and kind.num_fields else []
    has_bytes = "bytes" in inner or str(kind) in ("binary", "large_binary")
    place = f"{audio}.path" if "path" in inner else None if has_bytes else audio
    text, speaker = (schema.names[positions.of[each]] if each in positions.of else None for each in ("text", "speaker"))
    read = [name for name in (place, text, speaker) if name]
    number = 0
    for batch in content.iter_batches(batch_size=TEXTS, columns=read):
        for row in batch.to_pylist():
            written = row.get(audio)
            written = written.get("path") if isinstance(written, dict) else written
            name = written if isinstance(written, str) else ""
            spoken = row.get(text) if text else None
            person = row.get(speaker) if speaker else None
            member = Member(file, f"{audio}:{number}", _file_name(name, number), extract_rows) if has_bytes else None
            number += 1
            yield ListedClip(
                f"{where}:{number}",
                name or (member.name if member else ""),
                spoken if isinstance(spoken, str) else "",
                source if person is None else str(person),
                member=member,
            )


def _file_name(name: str, number: int) -> str:
    """Return the name of a row's recording; paths are those of another computer."""
    return PurePosixPath(name.replace("\\", "/")).name or f"{number:07d}"


PARQUET = FolderLayout(
    "parquet",
    is_parquet,
    read_parquet,
    "Parquet of the Hugging Face hub, with the recordings in it",
    named=True,
    resolves=resolve_parquet,
    takes_files=True,
)
