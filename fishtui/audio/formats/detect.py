"""The format of a file by its first bytes, and its parts."""

from __future__ import annotations

from dataclasses import replace
from io import FileIO

from fishtui.audio.faults import damaged, empty_file, foreign_content
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
    (8, b"AVI ", "AVI"),
    (0, b"TTA1", "TTA"),
    (0, b"TTA2", "TTA"),
    (0, b"tBaK", "TAK"),
    (0, b"Creative Voice", "VOC"),
    (0, b".SoX", "SoX"),
    (0, b"XoS.", "SoX"),
    (0, b"DSD ", "DSF"),
    (0, b"FRM8", "DSDIFF"),
    (0, b"MPCK", "Musepack"),
    (0, b"MP+", "Musepack"),
    (0, b".RMF", "RealMedia"),
    (0, b".ra\xfd", "RealAudio"),
    (0, b"ajkg", "Shorten"),
    (0, b"\x00\x00\x01\xba", "MPEG video"),
)
# A packet of an MPEG transport stream begins with this byte; mp3 frames inside may look like a file of frames.
PACKET, PACKET_SIZE = b"G", 188


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
    start = skip_id3v2(content, 0)
    beginning = content.at(start, 16)
    for position, wanted, name in FOREIGN:
        if beginning[position:].startswith(wanted):
            raise foreign_content(name)
    if all(content.at(number * PACKET_SIZE, 1) == PACKET for number in range(3)):
        raise foreign_content("MPEG transport stream")
    if beginning.startswith(BEGINNINGS):
        return [_moved(part, start) for part in pcm_parts(content.behind(start))]
    magic = beginning[:4]
    if magic == FLAC:
        return flac_parts(content, start, content.size)
    if magic == OGG:
        return ogg_parts(content, start, content.size)
    return mpeg_parts(content, start, content.size)


def _moved(part: Part, by: int) -> Part:
    """Return a part that was found `by` bytes behind the beginning of the file."""
    patches = tuple((position + by, patch) for position, patch in part.patches)
    return replace(part, start=part.start + by, end=part.end + by, patches=patches)
