"""The facts that checks judge: everything known about a clip, without reading its files again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from fishtui.families.registry import DEFAULT

if TYPE_CHECKING:
    from fishtui.audio.measure import Measurements
    from fishtui.audio.probe import Header
    from fishtui.dataset import Clip
    from fishtui.families.family import Family
    from fishtui.settings import CheckSettings, Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipFacts:
    """The facts about one clip that scanning and measuring found.

    `files` are the names of the audio files with this stem. `header` describes the one audio file; it is None if there
    is not exactly one, or if it cannot be read: then `audio_fault` is the code of the check that reports it and
    `audio_problem` its detail. `text` is the content of the transcript without a byte-order mark (`text_mark`), None if
    it is missing or cannot be read (`text_fault`, with the detail `text_problem`). `other_text` is the name of a second
    transcript, or without a transcript of a text with another extension. `codes` are "given" if they are valid and
    fishtui did not make them, "stale" if the audio has changed since. `measured` is None until the audio has been
    decoded. `disagreement` is the share of wrong characters between transcript and recognition, None if they were not
    compared. `family` is that of the model that the project trains.
    """

    name: str
    speaker: str
    files: tuple[str, ...] = ()
    header: Header | None = None
    audio_fault: str = ""
    audio_problem: str = ""
    text: str | None = None
    text_fault: Literal["", "missing-transcript", "not-utf8", "unreadable-transcript"] = ""
    text_problem: str = ""
    text_mark: bool = False
    other_text: str = ""
    codes: Literal["missing", "given", "current", "stale", "invalid"] = "missing"
    codes_problem: str = ""
    measured: Measurements | None = None
    disagreement: float | None = None
    family: Family = DEFAULT


class GroupFacts(NamedTuple):
    """The facts about one clip that are compared with those of other clips.

    `rate` is in characters per second of speech, None until the clip is measured. `sound` identifies the samples
    (`Measurements.sound_hash`), or the file until the clip is measured. `gain` is that of `fishtui score`, in nats.
    """

    id: int
    name: str
    speaker: str
    seconds: float | None = None
    rate: float | None = None
    script: str = ""
    sound: str | None = None
    text: str | None = None
    gain: float | None = None


ClipCheck = Callable[[ClipFacts, "Settings"], str | None]
"""Return one short line about a fault of a clip, or None if it has no such fault."""

GroupCheck = Callable[[Sequence[GroupFacts], "CheckSettings"], dict[int, str]]
"""Compare all clips that are not rejected; return a short line for each `GroupFacts.id` with the finding."""

SpeakerCheck = Callable[[Sequence[GroupFacts], "CheckSettings"], dict[str, str]]
"""Judge speakers by their clips; return a short line for each speaker with the finding."""

Contents = Mapping[Path, bytes | None]
"""New contents of files; None removes a file."""

Repair = Callable[["Clip", "Settings"], Contents]
"""Return the contents that repair a clip's files, without writing them. Raises DataError if that fails."""
