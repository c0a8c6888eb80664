"""FLAC: the length in the header, and the one that the last frame shows (RFC 9639)."""

from __future__ import annotations

from fishtui.audio.faults import AudioError, damaged, not_audio, truncated
from fishtui.audio.formats.part import ID3V1, ID3V1_SIZE, Bytes, Part, skip_id3v2

MAGIC = b"fLaC"
# The first block of every stream, and its length; the first bit is set if no other block follows.
STREAMINFO = (b"fLaC\x00\x00\x00\x22", b"fLaC\x80\x00\x00\x22")
# The second byte of frames that are equally long.
FIXED = 0xF8
# Longer than nearly all frames; a longer one is not compared.
TAIL = 1 << 18


def flac_parts(content: Bytes, start: int, end: int) -> list[Part]:
    """Return the streams from `start` to `end`. Raises AudioError if one is not as long as its header promises."""
    position = skip_id3v2(content, start)
    if content.at(position, 8) not in STREAMINFO:
        raise not_audio()
    starts = [position]
    while (position := content.find(MAGIC, position + 1, end)) >= 0:
        if content.at(position, 8) in STREAMINFO:
            starts.append(position)
    ends = [*starts[1:], end]
    return [_part(content, first, last) for first, last in zip(starts, ends, strict=True)]


def _part(content: Bytes, start: int, end: int) -> Part:
    info = content.at(start + 8, 34)
    if len(info) < 34:
        raise truncated()
    promised = int.from_bytes(info[13:18]) & (1 << 36) - 1
    block = int.from_bytes(info[:2])
    counted = _counted(content, start, end, block, promised)
    frames = _first_frame(content, start, end)
    span = _frame_span(content.at(frames, 16), block)
    skipped = span[0] if span else 0
    if span is not None and counted is not None:
        _check_sequence(content, frames, end, block, skipped, counted)
    if counted is not None and skipped:
        # Cut from a longer recording without encoding it again: libsndfile fills up what is missing.
        return Part(start, end, "flac", counted - skipped, slack=block, by_libav=True)
    if not promised:
        if counted is None:
            raise truncated("its last frame is not complete")
        # libsndfile does not read a stream whose header has no length.
        return Part(start, end, "flac", counted, by_libav=True)
    if counted is not None and counted < promised:
        raise truncated(f"{counted:,} of {promised:,} samples")
    if counted is not None and counted > promised:
        raise AudioError(
            f"the header promises {promised:,} samples, and {counted:,} follow",
            "Write it again: `ffmpeg -i FILE.flac NEW.flac`.",
            code="wrong-length",
        )
    return Part(start, end, "flac", promised)


def _counted(content: Bytes, start: int, end: int, block: int, promised: int) -> int | None:
    """Samples up to the end of the last frame; None if no frame is found in the last bytes."""
    if content.at(max(start, end - ID3V1_SIZE), 3) == ID3V1:
        end -= ID3V1_SIZE
    first = max(start + 42, end - TAIL)
    tail = content.at(first, end - first)
    position = len(tail)
    while (position := tail.rfind(b"\xff", 0, position)) >= 0:
        span = _frame_span(tail[position : position + 16], block)
        counted = span and span[1]
        # The check over the frame is slow here, so it is left out where the header confirms the length.
        if counted is not None and (counted == promised or _crc16(tail[position:]) == 0):
            return counted
    return None


def _check_sequence(content: Bytes, start: int, end: int, block: int, sample: int, counted: int) -> None:
    """Raise AudioError if frames are missing between the first one, which begins with `sample`, and the last.

    Decoders fill the gap, or join what is around it.
    """
    first = content.at(start, 4)
    if first[1] != FIXED:
        return
    position = start - 1
    while (position := content.find(first[:2], position + 1, end)) >= 0:
        header = content.at(position, 16)
        span = _frame_span(header, block)
        # What looks like a header within a frame has another number, or at least the same length.
        if span and span[0] == sample and (header[2] == first[2] or span[1] == counted):
            sample = span[1]
    if sample < counted:
        raise damaged(f"its frames from sample {sample:,} on are missing or damaged")


def _first_frame(content: Bytes, start: int, end: int) -> int:
    """The position of the first frame, which is behind all blocks of metadata."""
    position, is_last = start + 4, False
    while not is_last and position < end and len(header := content.at(position, 4)) == 4:
        is_last = bool(header[0] & 0x80)
        position += 4 + int.from_bytes(header[1:])
    return position


def _frame_span(header: bytes, block: int) -> tuple[int, int] | None:
    """The numbers of the first sample of a frame with this header, and after its last; None if it is not a header."""
    if len(header) < 6 or header[1] not in (0xF8, 0xF9) or header[3] & 1:
        return None
    sizes, rates, channels, depth = header[2] >> 4, header[2] & 15, header[3] >> 4, header[3] >> 1 & 7
    if sizes == 0 or rates == 15 or channels > 10 or depth == 3:
        return None
    length = 8 - (header[4] ^ 0xFF).bit_length() if header[4] & 0x80 else 1
    if length > 7 or (header[4] & 0x80 and length < 2):
        return None
    number = header[4] & (0x7F if length == 1 else (1 << (7 - length)) - 1)
    for byte in header[5 : 4 + length]:
        number = number << 6 | byte & 0x3F
    position = 4 + length
    extra = {6: 1, 7: 2}.get(sizes, 0)
    here = {1: 192, 2: 576, 3: 1152, 4: 2304, 5: 4608}.get(sizes, 256 << sizes - 8 if sizes >= 8 else 0)
    if extra:
        here = int.from_bytes(header[position : position + extra]) + 1
    position += extra + {12: 1, 13: 2, 14: 2}.get(rates, 0)
    if position >= len(header) or _crc8(header[:position]) != header[position]:
        return None
    first = number if header[1] & 1 else number * block
    return first, first + here


def _crc8(content: bytes) -> int:
    crc = 0
    for byte in content:
        crc ^= byte
        for _ in range(8):
            crc = crc << 1 & 0xFF ^ (0x07 if crc & 0x80 else 0)
    return crc


def _crc16(content: bytes) -> int:
    crc = 0
    for byte in content:
        crc = crc << 8 & 0xFFFF ^ CRC16[crc >> 8 ^ byte]
    return crc


def _table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        crc = value << 8
        for _ in range(8):
            crc = crc << 1 & 0xFFFF ^ (0x8005 if crc & 0x8000 else 0)
        table.append(crc)
    return tuple(table)


CRC16 = _table()
