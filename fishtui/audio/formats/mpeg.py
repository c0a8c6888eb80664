"""MPEG audio (mp3): a row of frames, with tags and tables that may be missing, wrong, or of another file.

Header and tables: ISO/IEC 11172-3 and 13818-3; the tag of lame: http://gabriel.mp3-tech.org/mp3infotag.html.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from fishtui.audio.faults import damaged, not_audio, truncated
from fishtui.audio.formats.part import APE, ID3V1, ID3V1_SIZE, ID3V2, LYRICS, Bytes, Part, skip_id3v2

# Of a header: synchronization, version, layer and sample rate, which all frames of a stream share.
SHARED = 0xFFFE0C00
# The bits of the mode, all set for one channel.
MONO = 0xC0
# In kbit/s by index, for layers I to III of version 1 and of the others.
BITRATES = {
    (True, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
# Frames that must follow each other before a synchronization counts as one.
CERTAIN = 3
# How far into a file the first frame may be, in bytes, not counting tags.
LONGEST_JUNK = 1 << 16
# Bytes of zeros that count as padding; mpg123 gives up after more than the second number of them.
PADDING, MOST_PADDING = 64, 1024
# Encoders that write the padding into the table.
WITH_PADDING = re.compile(rb"LAME|Lavf|Lavc|L3\.99")
# A table may count itself, and the last frame may be cut.
UNCOUNTED = 1


class Frame(NamedTuple):
    """A frame by its header: bytes, samples, position of a table, and what the frames of a stream share."""

    size: int
    samples: int
    table: int
    shared: int


@dataclass(slots=True)
class Segment:
    """A stream within the file: it begins with a table, or at the beginning of the file."""

    start: int
    frame: Frame
    count: int = 0
    promised: int | None = None
    padding: int = 0
    has_junk: bool = False


def mpeg_parts(content: Bytes, start: int, end: int) -> list[Part]:
    """Return the streams from `start` to `end`. Raises AudioError if one is truncated, or without any stream."""
    segments = _segments(content, start, end)
    if not segments:
        raise not_audio()
    for segment in segments:
        if segment.promised is not None and segment.promised > segment.count + UNCOUNTED:
            raise truncated(f"{segment.count:,} of {segment.promised:,} frames")
    ends = [*(segment.start for segment in segments[1:]), end]
    return [
        Part(
            segment.start,
            segment_end,
            "mp3",
            max(0, segment.count * segment.frame.samples - segment.padding),
            slack=3 * segment.frame.samples,
            by_libav=segment.has_junk,
        )
        for segment, segment_end in zip(segments, ends, strict=True)
        if segment.count
    ]


def _segments(content: Bytes, start: int, end: int) -> list[Segment]:
    segments: list[Segment] = []
    position = skip_id3v2(content, start)
    while 0 <= position < end:
        frame = _frame_at(content, position)
        if (
            segments
            and frame
            and frame.shared != segments[-1].frame.shared
            and _is_certain(content, position, end, frame)
        ):
            raise damaged("its sample rate, layer or number of channels changes")
        if frame is None or (segments and frame.shared != segments[-1].frame.shared):
            following = _resume(content, position, end, bool(segments))
            if segments and not _tag_size(content, position, end):
                # mpg123 stops there, but not at a few zeros.
                is_padding = not content.at(position, PADDING).strip(b"\0") and following - position <= MOST_PADDING
                segments[-1].has_junk |= not is_padding
            position = following
            continue
        if not segments and not _is_certain(content, position, end, frame):
            position = _resume(content, position + 1, end, False)
            continue
        if position + frame.size > end:
            break
        table = content.at(position + frame.table, 4)
        if table in (b"Xing", b"Info") or content.at(position + 36, 4) == b"VBRI":
            segments.append(_with_table(content, position, frame))
        else:
            if not segments:
                segments.append(Segment(position, frame))
            segments[-1].count += 1
        position += frame.size
    return segments


def _frame_at(content: Bytes, position: int) -> Frame | None:
    header = content.at(position, 4)
    return _frame(int.from_bytes(header)) if len(header) == 4 and header[0] == 0xFF else None


@lru_cache(maxsize=4096)
def _frame(header: int) -> Frame | None:
    version, layer = header >> 19 & 3, 4 - (header >> 17 & 3)
    bitrate, rate = header >> 12 & 15, header >> 10 & 3
    if header >> 21 != 0x7FF or version == 1 or layer == 4 or bitrate in (0, 15) or rate == 3:
        return None
    first = version == 3
    bits = 1000 * BITRATES[first, layer][bitrate - 1]
    hertz, padding = RATES[version][rate], header >> 9 & 1
    samples = 384 if layer == 1 else 1152 if layer == 2 or first else 576
    size = (12 * bits // hertz + padding) * 4 if layer == 1 else samples // 8 * bits // hertz + padding
    mono = header & MONO == MONO
    table = 4 + ((17 if mono else 32) if first else (9 if mono else 17))
    return Frame(size, samples, table, header & SHARED | (MONO if mono else 0))


def _is_certain(content: Bytes, position: int, end: int, first: Frame) -> bool:
    """True if frames of one stream follow each other at `position`, or up to the end or a tag."""
    frame: Frame | None = first
    for _ in range(CERTAIN):
        if frame is None or frame.shared != first.shared:
            return False
        position += frame.size
        if position == end or (position < end and _tag_size(content, position, end)):
            return True
        frame = _frame_at(content, position)
    return True


def _resume(content: Bytes, position: int, end: int, anywhere: bool) -> int:
    """Return the position of the next frame after a tag or junk, -1 without one."""
    if size := _tag_size(content, position, end):
        return position + size
    furthest = end if anywhere else min(end, position + LONGEST_JUNK)
    while (position := content.find(b"\xff", position + 1, furthest)) >= 0:
        frame = _frame_at(content, position)
        if frame and _is_certain(content, position, end, frame):
            return position
    return -1


def _tag_size(content: Bytes, position: int, end: int) -> int:
    """Bytes of the tag at `position`, 0 without a tag."""
    beginning = content.at(position, 32)
    if beginning.startswith(ID3V2):
        return skip_id3v2(content, position) - position
    if beginning.startswith(ID3V1) and end - position >= ID3V1_SIZE:
        return ID3V1_SIZE
    if beginning.startswith(APE) and len(beginning) == 32:
        return 32 + int.from_bytes(beginning[12:16], "little")
    if beginning.startswith(LYRICS):
        found = content.find(b"LYRICS200", position, end)
        return found + 9 - position if found >= 0 else 0
    return 0


def _with_table(content: Bytes, position: int, frame: Frame) -> Segment:
    """The segment that begins with a table at `position`, whose frame has no sound."""
    if content.at(position + 36, 4) == b"VBRI":
        return Segment(position, frame, promised=int.from_bytes(content.at(position + 50, 4)))
    found = position + frame.table
    flags = int.from_bytes(content.at(found + 4, 4))
    promised = int.from_bytes(content.at(found + 8, 4)) if flags & 1 else None
    encoder = found + 8 + 4 * (flags & 1) + 4 * (flags >> 1 & 1) + 100 * (flags >> 2 & 1) + 4 * (flags >> 3 & 1)
    padding = 0
    if WITH_PADDING.match(content.at(encoder, 5)):
        both = int.from_bytes(content.at(encoder + 21, 3))
        padding = (both >> 12) + (both & 0xFFF)
    return Segment(position, frame, promised=promised or None, padding=padding)
