"""SubRip, WebVTT and SubStation subtitles next to long recordings."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from fishtui.importers.timed import Caption, Captions, read_whole, timed_layout

FORMATS = {".vtt": "vtt", ".srt": "srt", ".ass": "ass", ".ssa": "ssa"}
VOICE = re.compile(r"<v(?:\.[^\s<>]*)?\s+([^<>\n]{1,80})>")
# Captions of players that roll the text upwards repeat the lines above; the last of them lasts for a moment.
MOMENT_S = 0.05
# Times within a caption, which automatic captions have.
INNER_TIME = re.compile(r"<\d[\d:.]+>")


def read_subtitles(path: Path) -> Captions:
    """Return the captions of a file of subtitles. Raises DataError, OSError, and any error of pysubs2."""
    import pysubs2

    format_ = FORMATS[path.suffix.lower()]
    options = {"keep_html_tags": True} if format_ in ("srt", "vtt") else {}
    content = read_whole(path).replace("\0", "")
    # pysubs2 takes a line with two of these for the times of a caption.
    rolling = len(INNER_TIME.findall(content))
    with warnings.catch_warnings():
        # Of numbers that nothing here uses.
        warnings.simplefilter("ignore")
        events = pysubs2.SSAFile.from_string(INNER_TIME.sub("", content), format_=format_, **options)
    captions = [_caption(event) for event in events if not event.is_comment and not event.is_drawing]
    return Captions(list(_unrolled(captions)) if rolling > len(captions) / 4 else captions)


def _caption(event: object) -> Caption:
    text = getattr(event, "text", "").replace("\\N", "\n").replace("\\n", "\n")
    voices = dict.fromkeys(name.strip() for name in VOICE.findall(text))
    several = "several people speak in it" if len(voices) > 1 else ""
    speaker = next(iter(voices), getattr(event, "name", "") or "")
    return Caption(event.start / 1000, event.end / 1000, text, speaker, several)  # type: ignore[attr-defined]


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
    tuple(FORMATS),
    read_subtitles,
)
