"""The format of a file by its first bytes, and its parts."""

from __future__ import annotations

from io import FileIO

from fishtui.audio.faults import CONVERT, FOREIGN_FORMAT, AudioError, damaged, empty_file
from fishtui.audio.formats.flac import MAGIC as FLAC
from fishtui.audio.formats.flac import flac_parts
from fishtui.audio.formats.mpeg import mpeg_parts
from fishtui.audio.formats.ogg import MAGIC as OGG
from fishtui.audio.formats.ogg import ogg_parts
from fishtui.audio.formats.part import Bytes, Part, skip_id3v2
from fishtui.audio.formats.pcm import BEGINNINGS, pcm_parts

# More is not the work of a person who joins files.
MOST_PARTS = 1000
# Of formats that are not read here, at a position: their usual name.
FOREIGN = (
    (4, b"ftyp", "MP4 or M4A"),
    (0, b"\x1a\x45\xdf\xa3", "WebM or Matroska"),
    (0, b"\x30\x26\xb2\x75", "WMA"),
    (0, b"#!AMR", "AMR"),
    (0, b"ADIF", "AAC"),
    (0, b"\xff\xf1", "AAC"),
    (0, b"\xff\xf9", "AAC"),
    (0, b"wvpk", "WavPack"),
    (0, b"MAC ", "Monkey's Audio"),
    (0, b"FLV", "FLV"),
)


def parts_of(handle: FileIO) -> list[Part]:
    """Return the parts of an open, unbuffered file, in the order in which they are heard.

    Raises AudioError if it is empty, truncated, or not in a format that is read.
    """
    content = Bytes(handle)
    if not content.size:
        raise empty_file()
    parts = _parts(content)
    if len(parts) > MOST_PARTS:
        raise damaged(f"{len(parts):,} recordings follow each other in it")
    return parts


def _parts(content: Bytes) -> list[Part]:
    beginning = content.at(0, 16)
    if beginning.startswith(BEGINNINGS):
        return pcm_parts(content)
    start = skip_id3v2(content, 0)
    magic = content.at(start, 4)
    if magic == FLAC:
        return flac_parts(content, start, content.size)
    if magic == OGG:
        return ogg_parts(content, start, content.size)
    for position, wanted, name in FOREIGN:
        if beginning[position:].startswith(wanted):
            raise foreign_content(name)
    return mpeg_parts(content, start, content.size)


def foreign_content(name: str) -> AudioError:
    """The error for a file in a format that only other programs read."""
    problem = f"the file is in a format that fishtui does not read: {name}"
    return AudioError(problem, CONVERT, FOREIGN_FORMAT, code="foreign-content")
