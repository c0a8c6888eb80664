"""Files with one chunk of samples: wav, RF64, W64, AIFF, AU, CAF and NIST.

A writer that cannot seek leaves a size of zero, or a huge one; then the samples go on to the end of the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Literal, NamedTuple

from fishtui.audio.faults import (
    AudioError,
    damaged,
    foreign_content,
    no_samples,
    not_audio,
    several_recordings,
    truncated,
)
from fishtui.audio.formats.mpeg import mpeg_parts
from fishtui.audio.formats.part import APE, ID3V1, ID3V2, Bytes, Part

Order = Literal["little", "big"]

# Writers of headers miscount by the size of a header.
MISCOUNTED = 128
# How far the placeholders of streamed files are from 2³¹: sox, espeak and arecord write one page or a header less.
NEAR = 1 << 13
# Bytes behind the last chunk that are not counted as sound.
LONGEST_JUNK = 1 << 12
PLAIN = frozenset({1, 3, 6, 7})
FLOAT = 3
MPEG = frozenset({0x50, 0x55})
EXTENSIBLE = 0xFFFE
# Of formats that are not read here: their usual name.
FOREIGN = {
    **dict.fromkeys((0x160, 0x161, 0x162, 0x163), "WMA"),
    **dict.fromkeys((0x45, 0x64), "G.726"),
    **dict.fromkeys((0xFF, 0x1600, 0x1610), "AAC"),
    **dict.fromkeys((0x566F, 0x674F, 0x6750, 0x6751, 0x676F, 0x6770, 0x6771), "Vorbis"),
    0x22: "TrueSpeech",
    0x83: "G.729",
    0x130: "ACELP",
    0x270: "ATRAC3",
    0x704F: "Opus",
    0x2000: "AC-3",
    0x2001: "DTS",
    0xF1AC: "FLAC",
}
GUID = {b"wave": bytes.fromhex("f3acd3118cd100c04f8edb8a"), b"riff": bytes.fromhex("2e91cf11a5d628db04c10000")}
BEGINNINGS = (b"RIFF", b"RIFX", b"RF64", b"BW64", b"riff", b"FORM", b".snd", b"dns.", b"caff", b"NIST_1A")


class Chunk(NamedTuple):
    """A chunk: its name, the position of its size, and of its content, and its size as the header promises."""

    name: bytes
    size_at: int
    start: int
    size: int


def pcm_parts(content: Bytes) -> list[Part]:
    """Return the recording of a file that begins with one of `BEGINNINGS`.

    Raises AudioError if it is truncated, empty, or followed by what may be another part of it.
    """
    beginning = content.at(0, 16)
    if beginning[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64"):
        return _riff(content, "big" if beginning[:4] == b"RIFX" else "little")
    if beginning[:4] == b"FORM":
        return _aiff(content)
    if beginning[:4] == b"caff":
        return _caf(content)
    if beginning[:4] == b"riff":
        return _w64(content)
    return _nist(content) if beginning[:4] == b"NIST" else _au(content)


def _riff(content: Bytes, order: Order) -> list[Part]:
    width = layout = 0
    long: Chunk | None = None
    for chunk in _chunks(content, 12, order):
        if chunk.name == b"ds64":
            long = chunk
        elif chunk.name == b"fmt ":
            layout, width = _format(content.at(chunk.start, min(chunk.size, 40)), order)
        elif chunk.name == b"data":
            break
    else:
        raise _without_data(content, order)
    size = chunk.size
    if long is not None and size == 0xFFFFFFFF:
        size = int.from_bytes(content.at(long.start + 8, 8), order)
        length = _length(content, chunk.start, size, order)
        patches = [(long.start, content.size - 8, 8), (long.start + 8, length, 8)]
    else:
        length = _length(content, chunk.start, size, order)
        patches = [(4, content.size - 8, 4), (chunk.size_at, length, 4)]
    if layout in MPEG:
        return mpeg_parts(content, chunk.start, chunk.start + length)
    return [_part(content, "wav", length // width if width else None, patches, order)]


def _format(fmt: bytes, order: Order) -> tuple[int, int]:
    """Return the tag of a `fmt ` chunk, and the bytes of a frame if they do not vary, else 0.

    Raises AudioError for a codec that is not read.
    """
    if len(fmt) < 16:
        return 0, 0
    tag, channels, width, bits = (int.from_bytes(fmt[at : at + 2], order) for at in (0, 2, 12, 14))
    if tag == EXTENSIBLE and len(fmt) >= 26:
        tag = int.from_bytes(fmt[24:26], order)
    if tag in FOREIGN:
        raise foreign_content(f"{FOREIGN[tag]} in wav")
    return tag, width if tag in PLAIN and width == channels * -(-bits // 8) else 0


def _without_data(content: Bytes, order: Order) -> AudioError:
    promised = int.from_bytes(content.at(4, 4), order)
    if promised + 8 > content.size + MISCOUNTED and content.at(0, 4) == b"RIFF":
        return truncated()
    return not_audio()


def _aiff(content: Bytes) -> list[Part]:
    common = sound = None
    for chunk in _chunks(content, 12, "big"):
        if chunk.name == b"COMM":
            common = chunk
        elif chunk.name == b"SSND":
            sound = chunk
            if not chunk.size or _is_placeholder(chunk.size):
                break
    if sound is None or common is None:
        promised = int.from_bytes(content.at(4, 4))
        raise truncated() if promised + 8 > content.size + MISCOUNTED else not_audio()
    header = content.at(common.start, 22)
    channels, frames, bits = (int.from_bytes(header[at : at + n]) for at, n in ((0, 2), (2, 4), (6, 2)))
    coding = header[18:22] if content.at(8, 4) == b"AIFC" else b"NONE"
    start = sound.start + 8
    length = _length(content, start, max(0, sound.size - 8), "big")
    width = channels * -(-bits // 8) if coding in (b"NONE", b"twos", b"sowt", b"raw ", b"fl32", b"FL32", b"fl64") else 0
    patches = [(4, content.size - 8, 4), (sound.size_at, length + 8, 4)]
    if width:
        if frames > length // width + MISCOUNTED and not _is_placeholder(frames * width) and frames < 0x7FFF0000:
            raise truncated(f"{length // width:,} of {frames:,} samples")
        patches.append((common.start + 2, length // width, 4))
    return [_part(content, "aiff", length // width if width else None, patches, "big")]


def _caf(content: Bytes) -> list[Part]:
    position = 8
    width = 0
    while len(header := content.at(position, 12)) == 12:
        size = int.from_bytes(header[4:])
        if header[:4] == b"desc":
            coding, _, packet, per_packet = (content.at(position + at, 4) for at in (20, 24, 28, 32))
            if coding == b"lpcm" and int.from_bytes(per_packet) == 1:
                width = int.from_bytes(packet)
        if header[:4] == b"data":
            length = _length(content, position + 16, max(0, size - 4) if size != (1 << 64) - 1 else 0, "big", deep=8)
            frames = length // width if width else None
            return [_part(content, "caf", frames, [(position + 4, length + 4, 8)], "big")]
        position += 12 + size
    raise truncated() if position > content.size else not_audio()


def _w64(content: Bytes) -> list[Part]:
    if content.at(4, 12) != GUID[b"riff"] or content.at(24, 16) != b"wave" + GUID[b"wave"]:
        raise not_audio()
    position, width, by_libav = 40, 0, False
    while len(header := content.at(position, 24)) == 24 and header[4:16] == GUID[b"wave"]:
        size = int.from_bytes(header[16:], "little")
        start = position + 24
        if header[:4] == b"fmt ":
            layout, width = _format(content.at(start, 40), "little")
            # libsndfile reads floats in the extensible layout as integers.
            by_libav = layout == FLOAT and content.at(start, 2) == b"\xfe\xff"
        if header[:4] == b"data":
            length = _length(content, start, size - 24 if 24 <= size < 1 << 63 else 0, "little", deep=8)
            patches = [(16, content.size, 8), (position + 16, length + 24, 8)]
            part = _part(content, "w64", length // width if width else None, patches, "little")
            return [replace(part, by_libav=by_libav)]
        position = start + max(0, size - 24) + 7 & ~7
    raise truncated() if position > content.size else not_audio()


def _au(content: Bytes) -> list[Part]:
    order: Order = "big" if content.at(0, 1) == b"." else "little"
    start, size, coding = (int.from_bytes(content.at(at, 4), order) for at in (4, 8, 12))
    channels = int.from_bytes(content.at(20, 4), order)
    if start < 24 or start > content.size or not channels:
        raise not_audio()
    length = _length(content, start, size, order)
    width = channels * {1: 1, 2: 1, 3: 2, 4: 3, 5: 4, 6: 4, 7: 8, 27: 1}.get(coding, 0)
    return [_part(content, "au", length // width if width else None, [(8, length, 4)], order)]


def _nist(content: Bytes) -> list[Part]:
    lines = content.at(0, 1 << 16).split(b"end_head")[0].split(b"\n")
    fields = {words[0]: words[2] for line in lines if len(words := line.split()) == 3}
    try:
        start = int(lines[1])
        frames, channels, wide = (int(fields[name]) for name in (b"sample_count", b"channel_count", b"sample_n_bytes"))
    except (IndexError, KeyError, ValueError) as error:
        raise not_audio() from error
    width = max(1, channels * wide)
    if frames * width > content.size - start + MISCOUNTED:
        raise truncated(f"{max(0, content.size - start) // width:,} of {frames:,} samples")
    if frames * width < content.size - start - LONGEST_JUNK:
        raise damaged(f"its header promises {frames:,} samples, and {(content.size - start) // width:,} follow")
    return [Part(0, content.size, "nistsphere", min(frames, (content.size - start) // width))]


def _chunks(content: Bytes, position: int, order: Order) -> Iterator[Chunk]:
    while len(header := content.at(position, 8)) == 8 and _is_name(header[:4]):
        chunk = Chunk(header[:4], position + 4, position + 8, int.from_bytes(header[4:], order))
        yield chunk
        position = chunk.start + chunk.size + (chunk.size & 1)


def _length(content: Bytes, start: int, size: int, order: Order, deep: int = 4) -> int:
    """Bytes of sound from `start` on: `size` as its header has it, or up to the end of a file that was streamed."""
    available = max(0, content.size - start)
    if not size and not available:
        raise no_samples()
    if not size and deep == 4 and _ends_with_chunks(content, start, order):
        raise no_samples()
    if not size or (size > available and _is_placeholder(size)):
        return available
    if size > available + MISCOUNTED:
        raise truncated(f"{available:,} of {size:,} bytes")
    length = min(size, available)
    behind = start + length + (length & 1 if deep == 4 else -length % 8)
    if content.at(start + length, 4) in (b"RIFF", b"FORM", b"caff") or content.at(behind, 4) in (b"RIFF", b"FORM"):
        raise several_recordings()
    if deep == 4 and not (_is_no_sound(content, behind, order) or _is_no_sound(content, start + length, order)):
        raise AudioError(
            f"{content.size - start - length:,} bytes follow the samples that its header counts",
            "If they are sound, the header was never finished: `ffmpeg -ignore_length 1 -i FILE NEW.wav`.",
            code="unfinished-header",
        )
    return length


def _ends_with_chunks(content: Bytes, position: int, order: Order) -> bool:
    """True if there are only whole chunks from `position` on, at least one."""
    for chunk in _chunks(content, position, order):
        position = chunk.start + chunk.size + (chunk.size & 1)
        if position in (content.size, content.size + 1):
            return True
    return False


def _is_no_sound(content: Bytes, position: int, order: Order) -> bool:
    """True if from `position` on there are only chunks, tags, zeros, or too little to be sound."""
    for chunk in _chunks(content, position, order):
        if chunk.name[:3] in (ID3V1, ID3V2) or content.at(position, 8) == APE:
            return True
        position = chunk.start + chunk.size + (chunk.size & 1)
    return content.size - position <= LONGEST_JUNK or not content.at(position, content.size - position).strip(b"\0")


def _is_placeholder(size: int) -> bool:
    """True for sizes that writers leave if they do not know the length."""
    return any(abs(size - full) <= NEAR for full in (1 << 31, 1 << 32, 1 << 63, 1 << 64))


def _is_name(name: bytes) -> bool:
    return all(32 <= byte < 127 for byte in name)


def _part(content: Bytes, kind: str, frames: int | None, wanted: list[tuple[int, int, int]], order: Order) -> Part:
    """The whole file, with those sizes corrected that differ; a value that does not fit in its bytes is left."""
    patches = tuple(
        (position, value.to_bytes(count, order))
        for position, value, count in wanted
        if value < 1 << 8 * count and int.from_bytes(content.at(position, count), order) != value
    )
    if frames == 0:
        raise no_samples()
    return Part(0, content.size, kind, frames, patches=patches)
