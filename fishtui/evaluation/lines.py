"""Lines that every checkpoint speaks: transcripts of held-out clips, hard lines of the language, the user's own."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache
from itertools import cycle
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from fishtui.dataset import is_inside
from fishtui.errors import MisuseError
from fishtui.evaluation.language import LANGUAGES, UNKNOWN, guess_language
from fishtui.evaluation.references import SpeakerReference
from fishtui.files import decode_text
from fishtui.reading import NOTE, PATH, Damaged, read_bounded
from fishtui.shards.packed import ManifestEntry
from fishtui.shards.split import VALIDATION
from fishtui.wording import cannot_read

HELD_OUT = "held-out"
OWN: Literal["own"] = "own"
OWN_LINES = "lines.txt"
"""The file in the project folder with the user's own lines."""
SPEAKER_MARK = "|"
"""Ends the name of the speaker of an own line."""

USUAL_COUNT = 12
Kind = Literal["held-out", "short", "question", "numbers", "name", "paragraph", "own"]
Speaker = tuple[str, str]
"""The name of a speaker, and the language, empty if it is unknown."""


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A text to speak, and the voice to speak it in.

    `clip` is the held-out clip with this transcript, `reference` the clip that shows the voice, with a hash of its
    content; both are empty without one.
    """

    kind: Kind
    text: str
    speaker: str = ""
    language: str = ""
    clip: Annotated[str, msgspec.Meta(pattern=PATH)] = ""
    reference: Annotated[str, msgspec.Meta(pattern=PATH)] = ""
    reference_hash: str = ""

    @property
    def id(self) -> str:
        """A hash of all fields: an equal line has an equal id in every evaluation."""
        return hashlib.sha256(json.dumps(msgspec.to_builtins(self), sort_keys=True).encode()).hexdigest()[:12]

    @property
    def is_inside(self) -> bool:
        """True unless the name of a clip leads outside of the dataset."""
        return all(not name or is_inside(name) for name in (self.clip, self.reference))


class Lines(msgspec.Struct, frozen=True):
    """Lines to speak, without duplicates, and remarks about lines that are missing."""

    lines: tuple[Line, ...]
    remarks: tuple[str, ...] = ()


def choose_lines(
    entries: Sequence[ManifestEntry],
    references: Mapping[str, SpeakerReference],
    *,
    own: Iterable[str] = (),
    count: int = USUAL_COUNT,
    hard: bool = True,
    language: str = "",
    excluded: Collection[str] = (),
) -> Lines:
    """Return the lines to speak: up to `count` held-out transcripts, the hard lines if wanted, and the user's `own`.

    `entries` is the manifest of the shards. `language` is that of the dataset; if it is empty, each speaker's is
    guessed. Hard lines are dealt to the speakers in turn, and so are own lines, except those that name their speaker as
    `SPEAKER|text`. The same arguments give the same lines.
    """
    usable = [each for each in entries if each["text"].strip() and each["clip"] not in excluded]
    languages = _languages(usable, language)
    speakers = sorted(languages.items())
    held_out = choose_held_out(usable, count)
    texts: list[tuple[Kind, str, Speaker, str]] = [
        ("held-out", each["text"].strip(), (each["speaker"], languages[each["speaker"]]), each["clip"])
        for each in held_out
    ]
    texts += [(*each, "") for each in _hard_lines(speakers if hard else ())]
    texts += [(*each, "") for each in _own_lines(own, speakers or [("", language)])]
    found = {line.id: line for line in (_line(*each, references) for each in texts)}
    remarks = _remarks(held_out, languages if hard else {}, languages.keys() - references.keys())
    return Lines(tuple(found.values()), tuple(remarks))


def choose_held_out(entries: Iterable[ManifestEntry], count: int = USUAL_COUNT) -> list[ManifestEntry]:
    """Return up to `count` held-out clips, spread evenly over speakers, by speaker and clip.

    Which clips of a speaker are chosen depends on hashes of their names, and stays the same as others are added.
    """
    by_speaker: dict[str, list[ManifestEntry]] = defaultdict(list)
    for entry in entries:
        if entry["split"] == VALIDATION and is_inside(entry["clip"]):
            by_speaker[entry["speaker"]].append(entry)
    waiting = [sorted(clips, key=_order) for _, clips in sorted(by_speaker.items())]
    chosen: list[ManifestEntry] = []
    while waiting and len(chosen) < count:
        chosen += [clips.pop(0) for clips in waiting[: count - len(chosen)]]
        waiting = [clips for clips in waiting if clips]
    return sorted(chosen, key=lambda entry: (entry["speaker"], entry["clip"]))


def no_lines() -> MisuseError:
    """Return the error for a training of which nothing can be spoken."""
    return MisuseError(
        "no lines to speak: no clip is held out, and the language is unknown",
        f"Write lines into {OWN_LINES}, set evaluate.language, or raise pack.validation and pack again.",
        code="no-lines",
    )


@cache
def read_hard_lines(language: str) -> tuple[tuple[Kind, str], ...]:
    """Return kind and text of the hard lines of a language, which are a part of fishtui; none for other languages."""
    if language not in LANGUAGES:
        return ()
    path = Path(__file__).parent / "hardlines" / f"{language}.txt"
    pairs = (line.split("\t") for line in path.read_text(encoding="utf-8").splitlines())
    return tuple((msgspec.convert(kind, Kind), text) for kind, text in pairs)


def read_own_lines(path: Path) -> list[str]:
    """Return the user's lines, one per line of a file; blank lines are left out, and a missing file has none.

    Raises MisuseError, code `cannot-read`, if the file is not readable as text.
    """
    try:
        content = decode_text(read_bounded(path, NOTE))
    except FileNotFoundError:
        return []
    except (OSError, Damaged, UnicodeDecodeError) as error:
        remedy = "Save it as UTF-8 text with one line to speak per line, or remove it."
        raise cannot_read(path, error, MisuseError, remedy) from error
    return [line.strip() for line in content.splitlines() if line.strip()]


def _order(entry: ManifestEntry) -> tuple[str, str]:
    name = entry["clip"]
    return hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest(), name


def _languages(entries: Iterable[ManifestEntry], language: str) -> dict[str, str]:
    """Return each speaker's language: that of the dataset if it is known, otherwise guessed from the transcripts."""
    texts: dict[str, list[str]] = defaultdict(list)
    for entry in entries:
        texts[entry["speaker"]].append(entry["text"])
    if language:
        return dict.fromkeys(texts, language)
    everyone = guess_language(text for each in zip(*texts.values(), strict=False) for text in each)
    # A speaker with few words is taken to speak the language of the others.
    return {speaker: guess_language(own) or everyone for speaker, own in texts.items()}


def _hard_lines(speakers: Sequence[Speaker]) -> list[tuple[Kind, str, Speaker]]:
    """Return the hard lines of each language, dealt to its speakers in turn."""
    by_language: dict[str, list[Speaker]] = defaultdict(list)
    for speaker in speakers:
        by_language[speaker[1]].append(speaker)
    return [
        (kind, text, speaker)
        for language, having in sorted(by_language.items())
        for (kind, text), speaker in zip(read_hard_lines(language), cycle(having), strict=False)
    ]


def _own_lines(own: Iterable[str], speakers: Sequence[Speaker]) -> Iterable[tuple[Kind, str, Speaker]]:
    """Return the user's lines with the speakers that they name, or those whose turn it is."""
    named, turns = {speaker[0]: speaker for speaker in speakers}, cycle(speakers)
    for line in own:
        name, _, text = line.partition(SPEAKER_MARK)
        if (speaker := named.get(name.strip())) and text.strip():
            yield OWN, text.strip(), speaker
        else:
            yield OWN, line, next(turns)


def _line(kind: Kind, text: str, speaker: Speaker, clip: str, references: Mapping[str, SpeakerReference]) -> Line:
    name, language = speaker
    reference = references.get(name, SpeakerReference("", ""))
    return Line(
        kind=kind,
        text=text,
        speaker=name,
        language=language,
        clip=clip,
        reference=reference.clip,
        reference_hash=reference.hash,
    )


def _remarks(
    held_out: Sequence[ManifestEntry], languages: Mapping[str, str], without: Collection[str]
) -> Iterable[str]:
    """Return remarks on missing lines; `languages` are those that hard lines are wanted in, by speaker."""
    if not held_out:
        yield "no clips are held out: no line has a real recording; raise pack.validation and pack again"
    unknown = sorted(speaker for speaker, language in languages.items() if language == UNKNOWN)
    if unknown:
        yield f"no hard lines for {_named(unknown)}: the language is unclear from the transcripts"
    for language in sorted({*languages.values()} - {*LANGUAGES, UNKNOWN}):
        yield f"no hard lines for the language {language}: there are some for {', '.join(LANGUAGES)}"
    if without:
        yield f"no reference for {_named(sorted(without))}: no readable clip to train on; they speak without one"


def _named(speakers: Sequence[str]) -> str:
    return ", ".join(speakers[:3]) + (f" and {len(speakers) - 3} more" if len(speakers) > 3 else "")
