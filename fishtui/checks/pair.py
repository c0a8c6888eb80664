"""Checks of what belongs to a clip: one recording, its transcript, its codes."""

from __future__ import annotations

from fishtui.checks.facts import ClipCheck, ClipFacts
from fishtui.checks.table import shortened
from fishtui.checks.text import cleaned
from fishtui.settings import Settings


def shared_stem(facts: ClipFacts, settings: Settings) -> str | None:
    return shortened(", ".join(facts.files)) if len(facts.files) > 1 else None


def missing_audio(facts: ClipFacts, settings: Settings) -> str | None:
    if facts.files or _trainable_without_audio(facts):
        return None
    found = [
        *(["transcript"] if facts.text_fault != "missing-transcript" else []),
        *(["codes"] if facts.codes != "missing" else []),
    ]
    return f"only {' and '.join(found)}" if found else "nothing is left of it"


def audio_gone(facts: ClipFacts, settings: Settings) -> str | None:
    return "only transcript and codes" if not facts.files and _trainable_without_audio(facts) else None


def _trainable_without_audio(facts: ClipFacts) -> bool:
    return facts.text_fault != "missing-transcript" and facts.codes in ("given", "current", "stale")


def missing_transcript(facts: ClipFacts, settings: Settings) -> str | None:
    if facts.text_fault != "missing-transcript" or not facts.files:
        return None
    return f"nothing beside {shortened(facts.files[0])}"


def unreadable_transcript(facts: ClipFacts, settings: Settings) -> str | None:
    return "the file can't be opened" if facts.text_fault == "unreadable-transcript" else None


def not_utf8(facts: ClipFacts, settings: Settings) -> str | None:
    return "bytes that are no UTF-8" if facts.text_fault == "not-utf8" else None


def empty_transcript(facts: ClipFacts, settings: Settings) -> str | None:
    if facts.text is None or cleaned(facts.text).strip():
        return None
    return f"nothing is left of {shortened(facts.text.strip())}" if facts.text.strip() else "no text in the file"


def several_lines(facts: ClipFacts, settings: Settings) -> str | None:
    lines = len((facts.text or "").strip().splitlines())
    return f"{lines} lines" if lines > 1 else None


def byte_order_mark(facts: ClipFacts, settings: Settings) -> str | None:
    return "at the beginning" if facts.text_mark else None


def codes_invalid(facts: ClipFacts, settings: Settings) -> str | None:
    return facts.codes_problem or "they can't be used" if facts.codes == "invalid" else None


def codes_stale(facts: ClipFacts, settings: Settings) -> str | None:
    return "the recording has changed since" if facts.codes == "stale" else None


def codes_missing(facts: ClipFacts, settings: Settings) -> str | None:
    return "not made yet" if facts.codes == "missing" and facts.files else None


CHECKS: dict[str, ClipCheck] = {
    "shared-stem": shared_stem,
    "missing-audio": missing_audio,
    "audio-gone": audio_gone,
    "missing-transcript": missing_transcript,
    "unreadable-transcript": unreadable_transcript,
    "not-utf8": not_utf8,
    "empty-transcript": empty_transcript,
    "several-lines": several_lines,
    "byte-order-mark": byte_order_mark,
    "codes-invalid": codes_invalid,
    "codes-stale": codes_stale,
    "codes-missing": codes_missing,
}
