"""Corpora with lists of transcripts somewhere above their recordings: AISHELL, JSUT and JVS, MLS, M-AILABS."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from fishtui.dataset import EXTENSIONS, walk
from fishtui.importers.layout import Clips, Columns, FolderLayout, ListedClip, Malformed, Resolved
from fishtui.importers.lines import read_lines
from fishtui.importers.locate import Locator, preference
from fishtui.speakers import BY_BOOK, reader_of_book
from fishtui.wording import shortened

# Blanks between Chinese characters, which mark words for recognizers.
BLANKS = re.compile("(?<=[㐀-鿿])[ \t]+(?=[㐀-鿿])")
PINYIN = re.compile("[a-z]+[1-6]")
# Folders of JSUT and JVS, which hold speech of the person named by a folder above them.
PARTS = re.compile(
    r"basic5000|countersuffix26|loanword128|onomatopee300|precedent130|repeat500|travel1000|utparaphrase512"
    r"|voiceactress100|parallel100|nonpara30|whisper10|falset10",
    re.IGNORECASE,
)
MIXED = "mix"


@dataclass(frozen=True)
class _Lists:
    """The lists of transcripts of a corpus.

    `pattern` matches the path of a list below the source. `parse` returns the name of the recording and the text of a
    line, None for a line without them. `above` is the number of levels from the list to the folder that holds its
    recordings, at any depth. `speaker_of` returns the speaker of a recording, empty if its folders name the speaker,
    from the path of the list and the name of the recording.
    """

    pattern: re.Pattern[str]
    parse: Callable[[str], tuple[str, str] | None]
    above: int = 0
    speaker_of: Callable[[Path, str], str] = lambda path, name: ""

    def find(self, source: Path) -> Iterator[Path]:
        """Yield the lists in the source."""
        for folder, names in walk([source]):
            for name in names:
                path = folder / name
                # The name of the source belongs to the pattern, so that a part of a corpus is recognized.
                if self.pattern.search(path.absolute().as_posix()):
                    yield path

    def read(self, source: Path) -> Clips:
        """Yield a clip for each line of each list, and recordings that no line names. Raises FishtuiError."""
        for path in self.find(source):
            yield from self._read(path, source)

    def _read(self, path: Path, source: Path) -> Clips:
        top = path.parents[self.above]
        recordings = _recordings(top)
        named: set[str] = set()
        for line in read_lines(path):
            where = f"{path.relative_to(source).as_posix()}:{line.number}"
            if line.fault:
                yield Malformed(where, line.fault)
            elif line.text.strip():
                parsed = self.parse(line.text.strip("\r\n"))
                if parsed is None:
                    yield Malformed(where, f"not a name and a text: {shortened(line.text)}")
                    continue
                stem = _stem(parsed[0])
                named.add(stem)
                found = recordings.get(stem, [])
                if len({each.with_suffix("") for each in found}) > 1:
                    yield Malformed(where, f"{len(found)} recordings have the name {shortened(stem)}")
                    continue
                audio = str(min(found, key=lambda each: preference(each.name)).absolute()) if found else parsed[0]
                yield ListedClip(where, audio, parsed[1], self.speaker_of(path, stem))
        for stem in recordings.keys() - named:
            for unnamed in recordings[stem]:
                yield Malformed(unnamed.relative_to(source).as_posix(), f"no transcript in {path.name}")


def _recordings(top: Path) -> dict[str, list[Path]]:
    """Return all recordings below a folder by their composed names without extension."""
    found: dict[str, list[Path]] = defaultdict(list)
    for folder, names in walk([top]):
        for name in names:
            if os.path.splitext(name)[1].lower() in EXTENSIONS:
                found[_stem(name)].append(folder / name)
    return found


def _stem(name: str) -> str:
    stem, extension = os.path.splitext(name.strip().replace("\\", "/").rpartition("/")[2])
    return unicodedata.normalize("NFC", stem if extension.lower() in EXTENSIONS else stem + extension)


def _divided(line: str, mark: str | None) -> tuple[str, str] | None:
    name, *rest = line.split(mark, 1)
    return (name, rest[0].strip()) if rest and name.strip() else None


def _chinese(line: str) -> tuple[str, str] | None:
    """Return name and text of a line of AISHELL, without its pronunciations and blanks between characters."""
    divided = _divided(line, None)
    if divided is None:
        return None
    name, text = divided
    words = text.split()
    if len(words) > 1 and all(PINYIN.fullmatch(word) for word in words[1::2]):
        words = words[::2]
    return name, BLANKS.sub("", " ".join(words))


def _bars(line: str) -> tuple[str, str] | None:
    name, *texts = line.split("|")
    return (name, next((text for text in reversed(texts[:2]) if text.strip()), "")) if texts else None


def _person_above(path: Path, name: str) -> str:
    """Return the folder above the parts of JSUT or JVS."""
    return next((each.name for each in path.absolute().parents if not PARTS.fullmatch(each.name)), "")


def _reader_of_book(path: Path, name: str) -> str:
    """Return the speaker of by_book/female/SPEAKER/BOOK/metadata.csv."""
    return reader_of_book(path.absolute().parts[:-1])


AISHELL_LISTS = _Lists(re.compile(r"/transcript/aishell_transcript_v[\d.]+\.txt$"), _chinese, above=1)
AISHELL3_LISTS = _Lists(re.compile(r"/(?:train|test)/content\.txt$"), _chinese)
JSUT_LISTS = _Lists(re.compile(r"/transcripts?_utf8\.txt$"), partial(_divided, mark=":"), speaker_of=_person_above)
MLS_LISTS = _Lists(
    re.compile(r"/(?:train|dev|test)/transcripts\.txt$"),
    partial(_divided, mark="\t"),
    speaker_of=lambda path, name: name.partition("_")[0],
)
BOOK_LISTS = _Lists(re.compile(rf"/{BY_BOOK}/.+/metadata\.csv$"), _bars, speaker_of=_reader_of_book)


def _layout(
    name: str,
    help: str,
    *kinds: _Lists,
    resolves: Callable[[Path, Columns, Locator], Resolved] = lambda path, columns, locator: Resolved(columns),
) -> FolderLayout:
    def is_corpus(folder: Path) -> bool:
        return any(next(kind.find(folder), None) for kind in kinds)

    def read(folder: Path) -> Clips:
        for kind in kinds:
            yield from kind.read(folder)

    return FolderLayout(name, is_corpus, read, help, resolves=resolves)


def _doubt_mixed_books(folder: Path, columns: Columns, locator: Locator) -> Resolved:
    mixed = [path.parent.name for path in BOOK_LISTS.find(folder) if path.parents[1].name == MIXED]
    if not mixed:
        return Resolved(columns)
    return Resolved(columns, doubts=(f"several people read {', '.join(mixed[:3])}, and count as one speaker each",))


AISHELL = _layout(
    "aishell", "AISHELL-1 and 3: lists of transcripts, with audio by speaker", AISHELL_LISTS, AISHELL3_LISTS
)
JSUT = _layout("jsut", "JSUT and JVS: transcript_utf8.txt with lines of ID:text", JSUT_LISTS)
MLS = _layout("mls", "Multilingual LibriSpeech: transcripts.txt, audio/SPEAKER/BOOK/ID.flac", MLS_LISTS)
MAILABS = _layout(
    "mailabs", "M-AILABS: by_book/female/SPEAKER/BOOK/metadata.csv", BOOK_LISTS, resolves=_doubt_mixed_books
)
CORPORA = (AISHELL, JSUT, MLS, MAILABS)
