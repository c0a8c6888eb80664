"""Recordings as data URLs in a page, within a limit of its size."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from fishtui.audio.decode import read_audio
from fishtui.audio.encode import encode_audio
from fishtui.errors import FishtuiError

# Bytes of a page that a mail or a phone still takes.
LIMIT = 24_000_000


class Encoding(NamedTuple):
    """A format that browsers play: its name for people, its type, and libsndfile's terms."""

    name: str
    type: str
    kind: str
    subtype: str


# Without loss, and small enough for many lines; every phone plays both.
ENCODINGS = (
    Encoding("FLAC", "audio/flac", "FLAC", "PCM_16"),
    Encoding("MP3", "audio/mpeg", "MP3", "MPEG_LAYER_III"),
)


@dataclass(frozen=True)
class Sounds:
    """The data URL of each recording that is embedded, why others cannot be read, and how many groups are left out."""

    encoding: Encoding
    urls: dict[Path, str]
    unreadable: dict[Path, str]
    left_out: int

    @property
    def size(self) -> int:
        """The size of all data URLs in bytes."""
        return sum(map(len, self.urls.values()))


def embed(groups: Sequence[Sequence[Path]], limit: int = LIMIT) -> Sounds:
    """Return the recordings of groups as data URLs: without loss if all are within `limit` bytes, otherwise smaller.

    If they still exceed the limit, the last groups are left out as a whole.
    """
    for encoding in ENCODINGS:
        found = _embed(groups, limit, encoding)
        if not found.left_out:
            break
    return found


def _embed(groups: Sequence[Sequence[Path]], limit: int, encoding: Encoding) -> Sounds:
    urls: dict[Path, str] = {}
    unreadable: dict[Path, str] = {}
    size = 0
    for place, group in enumerate(groups):
        own = dict(_encoded(group, encoding, unreadable))
        size += sum(len(url) for path, url in own.items() if path not in urls)
        if size > limit:
            return Sounds(encoding, urls, unreadable, len(groups) - place)
        urls |= own
    return Sounds(encoding, urls, unreadable, 0)


def _encoded(group: Sequence[Path], encoding: Encoding, unreadable: dict[Path, str]) -> Iterable[tuple[Path, str]]:
    for path in group:
        try:
            audio = read_audio(path, mixed=True)
            content = encode_audio(audio.samples.clip(-1, 1), audio.rate, encoding.kind, encoding.subtype)
        except FishtuiError as error:
            unreadable[path] = error.problem
            continue
        yield path, f"data:{encoding.type};base64,{base64.b64encode(content).decode()}"
