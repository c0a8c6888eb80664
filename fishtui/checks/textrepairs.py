"""Safe repairs of transcripts: each computes the new content of the file, and writes nothing."""

from __future__ import annotations

import csv
import html
import re
import unicodedata
from collections.abc import Callable

from fishtui.charsets import describe, describe_encoding
from fishtui.checks.facts import Contents
from fishtui.checks.misdecoded import undo_wrong_reading
from fishtui.checks.misread import decode_wide, undo_double_encoding
from fishtui.dataset import Clip
from fishtui.errors import DataError
from fishtui.files import read_if_present
from fishtui.settings import Settings

ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
MOST_TIMES = 3

CLOCK = r"\d{1,2}(?::\d{2}){1,2}(?:[.,]\d{1,3})?"
EXACT = r"\d{1,2}:\d{2}(?::\d{2})?[.,]\d{1,3}|\d{1,2}:\d{2}:\d{2}"
TIME = rf"(?:{CLOCK}|\d+[.,]\d+)\s?s?"
TO = r"\s*(?:-+>|[→–—-])\s*"
ARROW = r"\s*(?:-+>|→)\s*"
# Times that nobody speaks: a range with an arrow, a time in square brackets, an exact one in others, and one with
# fractions of a second. A number alone on the line before a range counts the subtitles.
TIMES = re.compile(
    rf"(?:^WEBVTT[^\n]*\n\s*)?(?:^\d+[ \t]*\r?\n)?[\[(]?\s*{TIME}{ARROW}{TIME}\s*[\])]?"
    rf"|\[\s*(?:{TIME}{TO}{TIME}|{CLOCK})\s*\]"
    rf"|[(<]\s*(?:{EXACT})(?:{TO}(?:{EXACT}))?\s*[)>]"
    r"|\b\d{1,2}:\d{2}(?::\d{2})?[.,]\d{2,3}\b",
    re.MULTILINE,
)
# A line that begins with a time of day or with two numbers of a label file; only a person knows what of it is spoken.
LABELS = re.compile(
    r"^\s*(?:\d{1,2}:\d{2}:\d{2}|0?0:\d{2})\b|^\s*\d+\.\d{2,}[ \t]+\d+\.\d{2,}[ \t]|^\s*\d+[ \t]+\d{5,}[ \t]",
    re.MULTILINE,
)
QUOTED_ROW = re.compile(r'\s*"[^"]*"(?:[,;]"[^"]*")+\s*')
# A name with a digit, a dot or a line, then a semicolon without a space.
NAMED_ROW = re.compile(r"(?=[^;\s]*[\d._-])[\w./\\-]+;\S")


def replace_entities(clip: Clip, settings: Settings) -> Contents:
    """Replace codes of web pages by their characters, also if they were encoded several times."""

    def replace(text: str) -> str:
        for _ in range(MOST_TIMES):
            text = ENTITY.sub(lambda match: html.unescape(match[0]), text)
        return text

    return _changed(clip, replace)


def remove_times(clip: Clip, settings: Settings) -> Contents:
    """Remove the times that nobody speaks. Raises DataError if nothing else is in the transcript."""

    def remove(text: str) -> str:
        if not TIMES.search(text):
            return text
        lines = [line.strip() for line in TIMES.sub(" ", text).splitlines()]
        return "\n".join(line for line in lines if line) + "\n" * text.endswith("\n")

    return _changed(clip, remove)


def is_row(line: str) -> bool:
    """Return True if a line has fields between bars or tabs, or is a row of quoted fields."""
    line = line.strip()
    return "|" in line or "\t" in line or bool(QUOTED_ROW.fullmatch(line) or NAMED_ROW.match(line))


def keep_text_of_row(clip: Clip, settings: Settings) -> Contents:
    """Keep the text of a row that has a name, and one text. Raises DataError if it is not certain which field it is."""

    def keep(text: str) -> str:
        row = text.strip()
        name, *others = [field.strip() for field in _fields(row)]
        texts = set(filter(None, others))
        is_name = name.rpartition("/")[2].partition(".")[0] == clip.stem or bool(
            # A name has a digit and no space, a text has spaces.
            re.fullmatch(r"\S*\d\S*", name) and all(" " in each for each in texts)
        )
        if "\n" in row or not is_name or len(texts) != 1:
            raise DataError(
                f"{clip.transcript.name}: several fields can be the text",
                "Edit the transcript: keep only the spoken words.",
                code="unclear-row",
            )
        return texts.pop() + "\n" * text.endswith("\n")

    return _changed(clip, keep)


def _fields(row: str) -> list[str]:
    """Return the fields of a row, which has several or is a single one."""
    delimiter = next((each for each in "|\t;," if each in row), "|")
    return next(csv.reader([row], delimiter=delimiter)) if QUOTED_ROW.fullmatch(row) else row.split(delimiter)


def restore_letters(clip: Clip, settings: Settings) -> Contents:
    """Restore letters whose UTF-8 was read in another encoding."""
    return _changed(clip, undo_double_encoding)


def read_again(clip: Clip, settings: Settings) -> Contents:
    """Restore the letters of a text that was read in a wrong encoding. Raises DataError if several are as likely."""

    def restore(text: str) -> str:
        found = undo_wrong_reading(text)
        if len(found) > 1:
            raise DataError(
                f"{clip.transcript.name}: {describe(found)}",
                "Edit the transcript: type the spoken words.",
                code="unknown-encoding",
            )
        return found[0].text if found else text

    return _changed(clip, restore)


def compose(clip: Clip, settings: Settings) -> Contents:
    """Join letters and their accents into one character each."""
    return _changed(clip, lambda text: unicodedata.normalize("NFC", text))


def save_as_utf8(clip: Clip, settings: Settings) -> Contents:
    """Save a transcript in UTF-16 or UTF-32 as UTF-8. Raises DataError if it is in another encoding."""
    content = read_if_present(clip.transcript)
    text = None if content is None else decode_wide(content)
    if text is None:
        likely = describe_encoding(content or b"")
        raise DataError(
            f"{clip.transcript.name}: {likely or 'unknown encoding'}",
            "Convert it with iconv, or open it in an editor with its own encoding and save it as UTF-8.",
            code="unknown-encoding",
        )
    return {clip.transcript: text.removeprefix("\ufeff").encode()}


def _changed(clip: Clip, change: Callable[[str], str]) -> Contents:
    """Return the transcript with another text. Raises DataError if that leaves no letter or digit."""
    text = change(clip.read_transcript())
    if not any(map(str.isalnum, text)):
        raise DataError(
            f"{clip.transcript.name}: no words would be left",
            "Write the spoken words, or reject the clip: `fishtui clips reject`.",
            code="no-words-left",
        )
    return {clip.transcript: text.encode()}
