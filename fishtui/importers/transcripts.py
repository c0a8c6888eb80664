"""Find the transcript of a recording: next to it, in a list of its folder, or in a folder of texts next to its own."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from pathlib import Path

from fishtui.dataset import read_transcript
from fishtui.errors import DataError
from fishtui.importers.lines import read_lines
from fishtui.speakers import is_content
from fishtui.wording import cannot_read

# Lists of a folder's transcripts, as LibriSpeech has them: lines of a recording's name, a blank and the words.
LIST_ENDING = ".trans.txt"
# Folders of texts next to those of recordings, as VCTK has them.
TEXT_FOLDER = re.compile(r"(?:txt|text|transcript|transcription|label|lab|lbl)s?(?:[\W_\d].*)?", re.IGNORECASE)
# Recordings of one sentence by several microphones, as VCTK has them.
MICROPHONE = re.compile(r"(?P<sentence>.+)_mic[1-9]", re.IGNORECASE)

Read = Callable[[], str]
"""Reads the transcript of a recording. Raises DataError."""


class Transcripts:
    """Finds the transcripts of recordings below `top`, with one of these `endings`, the first that exists."""

    def __init__(self, top: Path, endings: Sequence[str]) -> None:
        self._top = top
        self._endings = endings
        self._texts_in = cache(self._list_texts)
        self._near = cache(lambda folder: list(self._text_folders(folder)))

    def in_folder(self, folder: Path, names: Sequence[str]) -> Callable[[str], Read | None]:
        """Return a function that finds the transcript of a recording in `folder`, which holds `names`, by its stem."""
        near = _Texts(names, self._endings)
        listed = cache(lambda: _read_lists([folder / name for name in names if name.lower().endswith(LIST_ENDING)]))

        def find(stem: str) -> Read | None:
            if name := near.find(stem):
                return partial(read_transcript, folder / name)
            try:
                text = listed().get(_composed(stem))
            except DataError as error:
                return partial(_fail, error)
            if text is not None:
                return lambda: text
            found = [(texts, self._texts_in(texts).find(stem)) for texts in self._near(folder)]
            paths = [texts / name for texts, name in found if name]
            return partial(_read_equal, paths) if paths else None

        return find

    def _text_folders(self, folder: Path) -> Iterator[Path]:
        """Yield the folders of texts that correspond to a folder of recordings: txt/anna to wav48/anna."""
        inside = folder.relative_to(self._top).parts
        for depth, name in enumerate(inside):
            if is_content(name):
                parent = self._top.joinpath(*inside[:depth])
                with os.scandir(parent) as entries:
                    found = sorted(each.name for each in entries if each.is_dir() and TEXT_FOLDER.fullmatch(each.name))
                for each in found:
                    texts = parent.joinpath(each, *inside[depth + 1 :])
                    if texts.is_dir():
                        yield texts

    def _list_texts(self, folder: Path) -> _Texts:
        try:
            return _Texts(os.listdir(folder), self._endings)
        except OSError as error:
            raise cannot_read(folder, error) from error


class _Texts:
    """The names of transcripts among the files of a folder; letters may be composed in another way."""

    def __init__(self, names: Sequence[str], endings: Sequence[str]) -> None:
        self._names = set(names)
        self._endings = endings
        self._composed: dict[str, str] = {}
        for name in sorted(names):
            for ending in endings:
                if name.lower().endswith(ending.lower()):
                    self._composed.setdefault(_composed(name[: -len(ending)]) + ending, name)

    def find(self, stem: str) -> str | None:
        """Return the name of the transcript of the recording named `stem`, None without one."""
        microphone = MICROPHONE.fullmatch(stem)
        for each in (stem, *([microphone["sentence"]] if microphone else [])):
            for ending in self._endings:
                exact = each + ending
                if found := exact if exact in self._names else self._composed.get(_composed(exact)):
                    return found
        return None


def _read_lists(paths: Sequence[Path]) -> dict[str, str]:
    """Return the texts in lists, by the composed names of their recordings. Raises DataError."""
    texts: dict[str, str] = {}
    for path in paths:
        for line in read_lines(path):
            name, _, text = line.text.strip().partition(" ")
            if name:
                texts.setdefault(_composed(name), text.strip())
    return texts


def _read_equal(paths: Sequence[Path]) -> str:
    """Return the transcript in all of these files. Raises DataError if two of them differ."""
    first, *others = paths
    text = read_transcript(first)
    for path in others:
        if read_transcript(path) != text:
            raise DataError(
                f"{first} and {path} have different texts",
                "Move the folder of the texts that were not spoken away, then import again.",
                code="different-transcripts",
            )
    return text


def _fail(error: DataError) -> str:
    raise error


def _composed(name: str) -> str:
    return name if name.isascii() else unicodedata.normalize("NFC", name)
