"""Ogg: pages of one or several streams, which may follow each other (RFC 3533)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from fishtui.audio.faults import CONVERT, damaged, not_audio, truncated
from fishtui.audio.formats.part import Bytes, Part, skip_id3v2

MAGIC = b"OggS"
FIRST, LAST = 2, 4
NO_GRANULE = (1 << 64) - 1
CODECS = {
    b"\x01vorbis": "vorbis",
    b"OpusHead": "opus",
    b"\x7fFLAC": "flac",
    b"Speex   ": "speex",
}
# The most samples of a packet; a first page that counts more is the middle of a longer stream.
LONGEST_PACKET = {"vorbis": 4096, "opus": 5760, "flac": 65_535, "speex": 6400}
# libav keeps a few samples at the ends that libsndfile drops.
SLACK = 2048
LONGEST_JUNK = 1 << 16


class Page(NamedTuple):
    """The header of a page, its packets that end in it, and the positions of its body and of its end."""

    position: int
    flags: int
    granule: int
    serial: int
    number: int
    packets: int
    body: int
    end: int


@dataclass(slots=True)
class Stream:
    """One logical stream: its codec ("" if it is not sound), and its state at the last page so far."""

    codec: str
    skipped: int = 0
    number: int = 0
    granule: int = 0
    first: tuple[int, int] | None = None
    packets: int = 0
    ended: bool = False
    missing: bool = False


@dataclass(slots=True)
class Link:
    """Streams that are multiplexed with each other, from `start` to the next link."""

    start: int
    streams: dict[int, Stream] = field(default_factory=dict)
    has_body: bool = False


def ogg_parts(content: Bytes, start: int, end: int) -> list[Part]:
    """Return the links of a chain. Raises AudioError if one is incomplete, or without any sound."""
    links: list[Link] = []
    for page in _pages(content, start, end):
        if page.flags & FIRST and (not links or links[-1].has_body):
            links.append(Link(page.position))
        if links:
            _add(content, links[-1], page)
    if not links:
        raise not_audio()
    ends = [*(link.start for link in links[1:]), end]
    parts = [part for link, link_end in zip(links, ends, strict=True) if (part := _part(link, link_end))]
    if not parts:
        raise not_audio()
    return parts


def _pages(content: Bytes, start: int, end: int) -> Iterator[Page]:
    position = content.find(MAGIC, skip_id3v2(content, start), end)
    while 0 <= position < end:
        header = content.at(position, 27)
        if header[:4] != MAGIC:
            position = content.find(MAGIC, position, end)
            continue
        if len(header) < 27:
            return
        table = content.at(position + 27, header[26])
        body = position + 27 + header[26]
        page_end = body + sum(table)
        if len(table) < header[26] or page_end > end:
            return
        yield Page(
            position,
            header[5],
            int.from_bytes(header[6:14], "little"),
            int.from_bytes(header[14:18], "little"),
            int.from_bytes(header[18:22], "little"),
            sum(size < 255 for size in table),
            body,
            page_end,
        )
        position = page_end


def _add(content: Bytes, link: Link, page: Page) -> None:
    if page.flags & FIRST:
        beginning = content.at(page.body, min(19, page.end - page.body))
        codec = next((name for magic, name in CODECS.items() if beginning.startswith(magic)), "")
        skipped = int.from_bytes(beginning[10:12], "little") if codec == "opus" else 0
        link.streams[page.serial] = Stream(codec, skipped, page.number)
        return
    link.has_body = True
    stream = link.streams.get(page.serial)
    if stream is None:
        return
    stream.missing |= page.number != stream.number + 1
    stream.number = page.number
    stream.packets += page.packets
    if page.granule != NO_GRANULE:
        if stream.first is None and page.granule:
            most = stream.packets * LONGEST_PACKET.get(stream.codec, 0)
            stream.first = (page.granule, _opus_samples(content, page) if stream.codec == "opus" else most)
        stream.granule = page.granule
    stream.ended |= bool(page.flags & LAST)


def _opus_samples(content: Bytes, page: Page) -> int:
    """Samples of the packets on a page, at 48 kHz (RFC 6716, section 3.1)."""
    table = content.at(page.position + 27, page.body - page.position - 27)
    samples, position, begins = 0, page.body, True
    for size in table:
        if begins and size:
            head = content.at(position, 2)
            kind, code = head[0] >> 3, head[0] & 3
            length = 480 << (kind & 3) if kind < 12 else 480 << (kind & 1) if kind < 16 else 120 << (kind & 3)
            length = 2880 if kind < 12 and kind & 3 == 3 else length
            samples += length * (head[1] & 63 if code == 3 and len(head) > 1 else 1 if code == 0 else 2)
        position += size
        begins = size < 255
    return samples


def _part(link: Link, end: int) -> Part | None:
    sounds = [stream for stream in link.streams.values() if stream.codec]
    if not sounds:
        return None
    stream = sounds[0]
    if not stream.ended:
        raise truncated(
            "its last page is missing",
            f"Copy it again from its source. If the recording was stopped there: {CONVERT}",
        )
    if stream.missing:
        raise damaged("pages are missing")
    granule, most = stream.first or (0, 0)
    alone = len(link.streams) == 1
    from_zero = granule <= most
    frames = max(0, stream.granule - stream.skipped) if from_zero else None
    return Part(
        link.start,
        end,
        "ogg",
        frames,
        clock=48_000 if stream.codec == "opus" else 0,
        slack=SLACK,
        by_libav=not alone or not from_zero or stream.codec in ("flac", "speex"),
    )
