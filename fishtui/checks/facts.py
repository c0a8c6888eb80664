"""What a clip's checks look at: everything known of it, and nothing that is read anew."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from fishtui.audio.measure import Measurements
    from fishtui.audio.probe import Header
    from fishtui.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipFacts:
    """One clip as scanning and measuring have found it.

    `files` are the names of the audio files of that stem. `header` is that of the one audio file, None if there is
    none or it can't be read; `audio_fault` is then the code of the check that says why, `audio_problem` the words
    for it. `text` is the transcript as it stands in its file, less a byte-order mark (`text_mark`), None if it is
    missing or can't be read (`text_fault`). Codes are "given" if they are valid and were made elsewhere, "stale" if
    the audio has changed since. `measured` is None until the audio has been decoded.
    """

    name: str
    speaker: str
    files: tuple[str, ...] = ()
    header: Header | None = None
    audio_fault: str = ""
    audio_problem: str = ""
    text: str | None = None
    text_fault: Literal["", "missing-transcript", "not-utf8", "unreadable-transcript"] = ""
    text_mark: bool = False
    codes: Literal["missing", "given", "current", "stale", "invalid"] = "missing"
    codes_problem: str = ""
    measured: Measurements | None = None


ClipCheck = Callable[[ClipFacts, "Settings"], str | None]
"""Says in one short line what is wrong with a clip, or None: nothing, or nothing that this check can tell."""
