"""Checks of a clip's files: one recording, its transcript, its codes."""

from __future__ import annotations

import os

from fishtui.checks import repairs, textrepairs
from fishtui.checks.facts import ClipFacts
from fishtui.checks.registry import ERROR, INFO, WARNING, check
from fishtui.checks.text import cleaned
from fishtui.settings import Settings
from fishtui.wording import shortened


@check(
    "shared-stem",
    ERROR,
    "Several audio files share one name, so it is unclear which of them the transcript and the codes belong to.",
    "Rename or remove all but one.",
)
def shared_stem(facts: ClipFacts, settings: Settings) -> str | None:
    return shortened(", ".join(facts.files)) if len(facts.files) > 1 else None


@check(
    "missing-audio",
    ERROR,
    "The recording for this transcript or these codes is missing, so nothing can be learned from them.",
    "Put the recording into the same folder under the same name, or remove these files.",
)
def missing_audio(facts: ClipFacts, settings: Settings) -> str | None:
    if facts.files or _trainable_without_audio(facts):
        return None
    found = [
        *(["transcript"] if facts.text_fault != "missing-transcript" else []),
        *(["codes"] if facts.codes != "missing" else []),
    ]
    return f"only {' and '.join(found)}" if found else "all its files are gone"


@check(
    "audio-gone",
    INFO,
    "The recording is gone; its transcript and codes can still be trained on, but not checked or encoded again.",
    "Put the recording back if you still have it.",
)
def audio_gone(facts: ClipFacts, settings: Settings) -> str | None:
    return "only transcript and codes" if not facts.files and _trainable_without_audio(facts) else None


def _trainable_without_audio(facts: ClipFacts) -> bool:
    return facts.text_fault != "missing-transcript" and facts.codes in ("given", "current", "stale")


@check(
    "missing-transcript",
    ERROR,
    "The recording has no transcript, and the voice is learned from both, so the clip is not used.",
    "Draft it with `fishtui transcribe`, or write the spoken words into a text file with the same name (usually .lab).",
)
def missing_transcript(facts: ClipFacts, settings: Settings) -> str | None:
    if facts.text_fault != "missing-transcript" or not facts.files:
        return None
    if facts.other_text:
        extension = os.path.splitext(facts.other_text)[1]
        return f'{shortened(facts.other_text)} is text: set pack.text_extension = "{extension}", or rename it'
    return f"no {settings.pack.text_extension} file for {shortened(facts.files[0])}"


@check(
    "two-transcripts",
    WARNING,
    "Two transcripts have this clip's name, differing in case or in how letters are composed, and only one is used.",
    "Remove the wrong one.",
)
def two_transcripts(facts: ClipFacts, settings: Settings) -> str | None:
    return f"{shortened(facts.other_text)} is not used" if facts.other_text and not facts.text_fault else None


@check(
    "unreadable-transcript",
    ERROR,
    "The transcript cannot be read, so the clip is not used.",
    "Check the file's permissions.",
)
def unreadable_transcript(facts: ClipFacts, settings: Settings) -> str | None:
    return "the file cannot be opened" if facts.text_fault == "unreadable-transcript" else None


@check(
    "not-utf8",
    ERROR,
    "The transcript is not UTF-8, so some of its letters are unknown and the clip is not used.",
    "Save it as UTF-8, for example with iconv.",
    fix=textrepairs.save_as_utf8,
)
def not_utf8(facts: ClipFacts, settings: Settings) -> str | None:
    return facts.text_problem or "some bytes are not UTF-8" if facts.text_fault == "not-utf8" else None


@check(
    "empty-transcript",
    ERROR,
    "The transcript has no words; {…}, <…> and emoji do not count, because training drops them.",
    "Write the spoken words, or remove the clip.",
)
def empty_transcript(facts: ClipFacts, settings: Settings) -> str | None:
    if facts.text is None or cleaned(facts).strip():
        return None
    return f"no words in {shortened(facts.text.strip())}" if facts.text.strip() else "no text in the file"


@check(
    "several-lines",
    WARNING,
    "The transcript has several lines, and the voice is trained as if all of them were spoken in this clip.",
    "Keep only the spoken words, on one line.",
)
def several_lines(facts: ClipFacts, settings: Settings) -> str | None:
    lines = len((facts.text or "").strip().splitlines())
    return f"{lines} lines" if lines > 1 else None


@check(
    "byte-order-mark",
    INFO,
    "The transcript begins with a byte-order mark, which fishtui understands but other tools read as text.",
    "Save it as UTF-8 without the mark.",
    fix=repairs.remove_mark,
)
def byte_order_mark(facts: ClipFacts, settings: Settings) -> str | None:
    return "at the beginning" if facts.text_mark else None


@check(
    "codes-invalid",
    WARNING,
    "The codes are damaged, from another codec or another tool's file, so the clip cannot be trained on.",
    "Run `fishtui extract`, which keeps a copy of a file that it did not make.",
)
def codes_invalid(facts: ClipFacts, settings: Settings) -> str | None:
    return facts.codes_problem or "not usable" if facts.codes == "invalid" else None


@check(
    "codes-stale",
    WARNING,
    "The codes were made from another recording, so the voice would learn sounds that do not match the transcript.",
    "Run `fishtui extract`.",
)
def codes_stale(facts: ClipFacts, settings: Settings) -> str | None:
    return "the recording has changed since" if facts.codes == "stale" else None


@check(
    "codes-missing",
    INFO,
    "The recording has no codes yet, and training needs them.",
    "Run `fishtui extract`.",
)
def codes_missing(facts: ClipFacts, settings: Settings) -> str | None:
    return "not made yet" if facts.codes == "missing" and facts.files else None
