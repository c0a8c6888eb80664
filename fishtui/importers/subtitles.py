"""SubRip, WebVTT and SubStation subtitles next to long recordings."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from fishtui.importers.captions import SEVERAL, Caption, Captions
from fishtui.importers.cues import LINE_END, read_cues
from fishtui.importers.timed import read_whole, timed_layout

ENDINGS = (".vtt", ".srt", ".ass", ".ssa")
VOICE = re.compile(r"<v(?:\.[^\s<>]*)?\s+([^<>\n]{1,80})>")
# Captions of players that roll the text upwards repeat the lines above; the last of them lasts for a moment.
MOMENT_S = 0.05
# Times within a caption, which automatic captions have.
INNER_TIME = re.compile(r"<\d[\d:.]+>")


def read_subtitles(path: Path) -> Captions:
    """Return the captions of a file of subtitles. Raises DataError, OSError, and any error of pysubs2."""
    content = read_whole(path).replace("\0", "")
    extension = path.suffix.lower()
    if extension not in (".vtt", ".srt"):
        return Captions(_of_substation(content, extension[1:]))
    captions = [_caption(*cue) for cue in read_cues(content, ends_at_blank=extension == ".vtt")]
    is_rolling = len(INNER_TIME.findall(content)) > len(captions) / 4
    return Captions(list(_unrolled(captions)) if is_rolling else captions)


def _of_substation(content: str, version: str) -> list[Caption]:
    import pysubs2

    # Line ends of old Macs.
    lines = "\n".join(LINE_END.split(content))
    with warnings.catch_warnings():
        # Of numbers that nothing here uses.
        warnings.simplefilter("ignore")
        events = pysubs2.SSAFile.from_string(lines, format_=version)
    # Without overrides and comments in braces.
    return [
        Caption(event.start / 1000, event.end / 1000, event.plaintext, event.name)
        for event in events
        if not event.is_comment and not event.is_drawing
    ]


def _caption(start: float, end: float, text: str) -> Caption:
    voices = dict.fromkeys(name.strip() for name in VOICE.findall(text))
    return Caption(start, end, text, next(iter(voices), ""), SEVERAL if len(voices) > 1 else "")


def _unrolled(captions: Sequence[Caption]) -> Iterator[Caption]:
    """Yield the new lines of captions that roll: without lines that the one before showed."""
    shown: list[str] = []
    for caption in captions:
        lines = [line.strip() for line in caption.text.split("\n") if line.strip()]
        plain = [_plain(line) for line in lines]
        common = next((n for n in range(min(len(shown), len(plain)), 0, -1) if shown[-n:] == plain[:n]), 0)
        shown = plain
        new = "\n".join(lines[common:])
        if new and caption.end - caption.start > MOMENT_S:
            yield replace(caption, text=new)


def _plain(line: str) -> str:
    return " ".join(re.sub(r"<[^<>]*>", "", line).split())


SUBTITLES = timed_layout(
    "subtitles",
    "SubRip, WebVTT or SubStation subtitles (.srt .vtt .ass) next to long recordings",
    ENDINGS,
    read_subtitles,
)
