"""Tables without names of columns: which column is which follows from their values, or from `--column NUMBER=text`."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path

from fishtui.dataset import EXTENSIONS
from fishtui.errors import MisuseError
from fishtui.importers.columns import clip_of
from fishtui.importers.evidence import MOST_ROWS, Column, are_alike, examine, names_files
from fishtui.importers.layout import MEANINGS, Clips, Columns, ListedClip, Malformed, Resolved, TableLayout
from fishtui.importers.lines import beginning, first_line
from fishtui.importers.locate import Locator
from fishtui.importers.parts import names_length
from fishtui.importers.records import DELIMITERS, read_records, split_line

# The column that is used where the one for text is empty.
OTHERWISE = "text otherwise"
# In this many rows some speaker speaks twice.
LEAST_REPEATED = 3
# The first line of the Korean Single Speaker dataset.
KSS_LINE = re.compile(r"\d/\d_\d{4}\.wav\|")
# Recordings whose length is compared with a column.
MOST_MEASURED = 3


def is_rows(line: str, columns: Columns) -> bool:
    """Return True for fields between bars or tabs, or after the name of a recording; with numbered columns, for any."""
    delimiter = _delimiter(line)
    if delimiter is None or any(not number.isdecimal() for number in columns.values()):
        return False
    fields = split_line(line, delimiter)
    if not fields:
        return False
    return bool(columns) or delimiter in "|\t" or os.path.splitext(fields[0].strip())[1].lower() in EXTENSIONS


def read_rows(path: Path, columns: Columns) -> Clips:
    """Yield the clips of a table whose `columns` are resolved numbers. Raises DataError."""
    delimiter = _delimiter(first_line(path)) or "|"
    indexes = {meaning: int(number) - 1 for meaning, number in columns.items()}
    otherwise = indexes.pop(OTHERWISE, None)
    count = _usual_count(path, delimiter)
    # A missing normalized text is the only field that may be left out.
    least = count - 1 if otherwise is not None and indexes["text"] == count - 1 else count
    for record in read_records(path, delimiter):
        if isinstance(record, Malformed):
            yield record
            continue
        where, fields = record
        if not least <= len(fields) <= count:
            yield Malformed(where, f"fields: {len(fields)}, most rows have {count}")
            continue
        values = {meaning: fields[index] for meaning, index in indexes.items() if index < len(fields)}
        if otherwise is not None and not values.get("text", "").strip():
            values["text"] = fields[otherwise]
        yield clip_of(where, values, {})


def resolve_rows(path: Path, columns: Columns, locator: Locator) -> Resolved:
    """Return the columns as the user numbered them, and the others by their values.

    Raises DataError; MisuseError without a column for audio or text.
    """
    line = first_line(path)
    delimiter = _delimiter(line)
    if delimiter is None:
        raise MisuseError(
            f"{path}: unknown layout: {beginning(line)}",
            "Separate the columns by commas, semicolons, tabs or bars.",
            code="unknown-layout",
        )
    count = _usual_count(path, delimiter)
    records = (record[1] for record in read_records(path, delimiter) if not isinstance(record, Malformed))
    rows = list(islice((fields for fields in records if len(fields) == count), MOST_ROWS))
    if not rows or count < 2:
        raise MisuseError(
            f"{path}: unknown layout: {beginning(line)}", "Name another table or --layout.", code="unknown-layout"
        )
    for meaning, number in columns.items():
        if not number.isdecimal() or len(number) > 8 or not 1 <= int(number) <= count:
            raise MisuseError(
                f"{path}: no column {number}: {beginning(line)}",
                f"Name columns by their numbers, from 1 to {count}: --column NUMBER={meaning}.",
                code="no-column",
            )
    found = _Arrangement(path, line, rows, examine(rows, locator), columns, locator)
    used = [meaning for meaning in MEANINGS if meaning in found.columns]
    shown = tuple((meaning, _place(int(found.columns[meaning]) - 1)) for meaning in used)
    return Resolved(found.columns, shown, tuple(found.doubts))


class _Arrangement:
    """The columns of a table, found by their values where the user gave none."""

    def __init__(
        self,
        path: Path,
        line: str,
        rows: Sequence[Sequence[str]],
        facts: list[Column],
        given: Columns,
        locator: Locator,
    ) -> None:
        self.columns: dict[str, str] = dict(given)
        self.doubts: list[str] = []
        self._rows = rows
        self._facts = facts
        self._locator = locator
        self._free = [index for index in range(len(facts)) if str(index + 1) not in given.values()]
        if "audio" not in given:
            self._take("audio", self._audio())
        if "text" not in given:
            self._take("text", self._text(path))
        if "speaker" not in given:
            self._find_speaker(is_certain={"audio", "text"} <= given.keys(), has_commas=_delimiter(line) in (",", ";"))

    def _take(self, meaning: str, index: int) -> None:
        self.columns[meaning] = str(index + 1)
        self._free.remove(index)

    def _audio(self) -> int:
        def evidence(index: int) -> tuple[int, bool, int]:
            return self._facts[index].recordings, names_files(self._facts[index]), -index

        return max(self._free, key=evidence)

    def _text(self, path: Path) -> int:
        facts = self._facts
        texts = [index for index in self._free if facts[index].has_sentences]
        if not texts:
            texts = [index for index in self._free if facts[index].has_letters and not facts[index].is_language]
            if len(texts) > 1:
                # Of short values, those that differ more are the words.
                texts.sort(key=lambda index: (len(set(facts[index].values)), index))
                self._doubt(texts[-1], "text", f"{_places(sorted(texts))} have short values")
                return texts[-1]
        if not texts:
            raise MisuseError(
                f"{path}: no column of text", "Name it by its number: --column NUMBER=text.", code="no-column"
            )
        if len(texts) > 1:
            first, last = texts[0], texts[-1]
            pairs = [(row[first], row[last]) for row in self._rows]
            if len(texts) == 2 and are_alike(*zip(*pairs, strict=True)):
                # A text and its normalized form.
                self.columns[OTHERWISE] = str(first + 1)
                self._free.remove(first)
                return last
            self._doubt(first, "text", f"{_places(texts)} all hold sentences")
            return first
        return texts[0]

    def _find_speaker(self, is_certain: bool, has_commas: bool) -> None:
        free = [index for index in self._free if not self._facts[index].is_void]
        languages = [index for index in free if self._facts[index].is_language]
        # Another column of sentences is a doubt about the text, unless the user chose that.
        rest = [index for index in free if index not in languages and not self._facts[index].has_sentences]
        labels = [index for index in rest if self._facts[index].is_label]
        if labels:
            self._take("speaker", labels[0])
        if is_certain:
            return
        if (length := next((index for index in rest if self._is_length(index)), None)) is not None:
            self._take("duration", length)
            rest.remove(length)
        measures = [index for index in rest if self._facts[index].is_measure]
        unknown = [index for index in rest if index not in labels and index not in measures]
        if measures:
            self.doubts.append(
                f"{_places(measures)} may be times of parts: --column {measures[0] + 1}=start --column NUMBER=end"
            )
        if unknown:
            self.doubts.append(f"{_places(unknown)} is not used; --column NUMBER=speaker if it names speakers")
        if len(labels) > 1:
            self._doubt(labels[0], "speaker", f"{_places(labels)} have few values")
        elif labels and has_commas and any(row[labels[0]].startswith(" ") for row in self._rows):
            self._doubt(labels[0], "speaker", f"{_places(labels)} may be the rest of sentences with commas")
        elif labels and len(set(self._facts[labels[0]].values)) == len(self._rows) >= LEAST_REPEATED:
            self._doubt(labels[0], "speaker", f"{_places(labels)} has another value in each row")

    def _is_length(self, index: int) -> bool:
        """Return True if a column has the lengths of the first recordings."""
        if not self._facts[index].is_measure or not {"start", "end", "duration"}.isdisjoint(self.columns):
            return False
        audio = int(self.columns["audio"]) - 1
        return all(names_length(self._locator, row[audio], row[index]) for row in self._rows[:MOST_MEASURED])

    def _doubt(self, index: int, meaning: str, reason: str) -> None:
        self.doubts.append(f"{reason}: {_place(index)} as {meaning}? Otherwise --column NUMBER={meaning}")


def _delimiter(line: str) -> str | None:
    """The separator of a line: bars and tabs are rarely characters of a text."""
    return next((each for each in ("|", "\t", ";", ",") if each in DELIMITERS and each in line), None)


def _usual_count(path: Path, delimiter: str) -> int:
    """The number of fields that most rows have, of the first thousand."""
    records = islice(read_records(path, delimiter), MOST_ROWS)
    counts = Counter(len(record[1]) for record in records if not isinstance(record, Malformed))
    # The larger of equally frequent ones.
    return max(counts, key=lambda count: (counts[count], count), default=0)


def _place(index: int) -> str:
    return f"column {index + 1}"


def _places(indexes: Sequence[int]) -> str:
    numbers = [str(index + 1) for index in indexes]
    return f"column {numbers[0]}" if len(numbers) == 1 else f"columns {', '.join(numbers[:-1])} and {numbers[-1]}"


def read_ljspeech(path: Path, columns: Columns) -> Clips:
    """Yield clips from lines `id|text|normalized text`, with the normalized text if present. Raises DataError."""
    return _read_bars(
        path,
        (2, 3),
        "id|text|normalized text has 2 or 3",
        lambda where, fields: ListedClip(where, fields[0], fields[-1] if fields[-1].strip() else fields[1]),
    )


def read_list(path: Path, columns: Columns) -> Clips:
    """Yield clips from lines `audio|speaker|language|text` or `audio|speaker|text`. Raises DataError."""
    return _read_bars(
        path,
        (3, 4),
        "audio|speaker|language|text has 4",
        lambda where, fields: ListedClip(where, fields[0], fields[-1], fields[1]),
    )


def is_kss(line: str, columns: Columns) -> bool:
    """Return True if a table's first line is one of the Korean Single Speaker dataset."""
    return KSS_LINE.match(line) is not None and 4 <= line.count("|") <= 5


def read_kss(path: Path, columns: Columns) -> Clips:
    """Yield clips with the text in which numbers are words. The folders are books of one speaker. Raises DataError."""
    return _read_bars(
        path,
        (5, 6),
        "audio|text|text with numbers as words|letters|seconds|English has 5 or 6",
        lambda where, fields: ListedClip(where, fields[0], fields[2] if fields[2].strip() else fields[1], "kss"),
    )


def _read_bars(
    path: Path, counts: tuple[int, int], expected: str, clip_of: Callable[[str, Sequence[str]], ListedClip]
) -> Clips:
    """Yield clips from lines of fields between bars; lines with another number of fields are malformed."""
    for record in read_records(path, "|"):
        if isinstance(record, Malformed):
            yield record
            continue
        where, fields = record
        if len(fields) in counts:
            yield clip_of(where, fields)
        else:
            yield Malformed(where, f"{len(fields)} fields between bars; {expected}")


def _has_bars(line: str, columns: Columns) -> bool:
    return "|" in line


ROWS = TableLayout(
    "rows", is_rows, read_rows, "rows without names of columns, such as id|text", named=True, resolves=resolve_rows
)
LIST = TableLayout("list", _has_bars, read_list, "lines of audio|speaker|language|text", only_by_name=True)
LJSPEECH = TableLayout(
    "ljspeech", _has_bars, read_ljspeech, "lines of id|text|normalized text, with audio in wavs/", only_by_name=True
)
KSS = TableLayout("kss", is_kss, read_kss, "Korean Single Speaker: transcript.v.1.4.txt")
