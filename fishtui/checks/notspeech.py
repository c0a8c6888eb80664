"""Checks of transcripts that hold something other than spoken words, or words that were damaged on their way."""

from __future__ import annotations

import html
import re
import unicodedata

from fishtui.charsets import describe
from fishtui.checks import textrepairs as repairs
from fishtui.checks.facts import ClipFacts
from fishtui.checks.misdecoded import undo_wrong_reading
from fishtui.checks.misread import decode_wide, undo_double_encoding
from fishtui.checks.registry import INFO, WARNING, check
from fishtui.checks.text import RESERVED, cleaned, listed
from fishtui.settings import Settings
from fishtui.wording import shortened

ESCAPE = re.compile(r"\\(?:u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|x[0-9a-fA-F]{2}|[nrt](?!\w))|(?<!\d)(?:%[0-9a-fA-F]{2})+")
# Written by tables without a value, and by people who did not understand a recording. Words of any language are left
# out, such as `null`, which is zero in German.
PLACEHOLDER = re.compile(
    r"nan|NaN|None|NULL|#?N/A|undefined"
    r"|[\[(<](?i:inaudible|unintelligible|unclear|blank_audio|music|noise|silence|crosstalk|unk)[^\])>]*[\])>][.!?]?"
)


@check(
    "no-letters",
    WARNING,
    "The transcript has no letter and no digit, so the voice would learn sounds without words.",
    "Write the spoken words, or reject the clip.",
)
def no_letters(facts: ClipFacts, settings: Settings) -> str | None:
    text = facts.family.without_speakers(cleaned(facts)).strip()
    if not text or any(map(str.isalnum, text)) or _is_wide(facts.text or ""):
        return None
    return f"only {shortened(text, 30)}"


@check(
    "html-entities",
    WARNING,
    "The transcript has HTML entities, such as &amp;, instead of characters, and the model reads them as text.",
    "Replace them by their characters.",
    fix=repairs.replace_entities,
)
def html_entities(facts: ClipFacts, settings: Settings) -> str | None:
    found = repairs.ENTITY.findall(facts.text or "")
    return listed(each for each in found if html.unescape(each) != each)


@check(
    "escapes",
    WARNING,
    "The transcript has escaped characters, such as \\u00e9, \\n or %20, and the model reads them as text.",
    "Replace them by their characters.",
)
def escapes(facts: ClipFacts, settings: Settings) -> str | None:
    return listed(ESCAPE.findall(facts.text or ""))


@check(
    "placeholder",
    WARNING,
    "The transcript is a placeholder, such as NaN or [inaudible], and not what was spoken.",
    "Write the spoken words, or reject the clip.",
)
def placeholder(facts: ClipFacts, settings: Settings) -> str | None:
    text = (facts.text or "").strip()
    return shortened(text, 30) if PLACEHOLDER.fullmatch(text) else None


@check(
    "time-codes",
    WARNING,
    "The transcript has times of a subtitle or label file, which are not spoken but which the model reads.",
    "Keep only the spoken words.",
    fix=repairs.remove_times,
)
def time_codes(facts: ClipFacts, settings: Settings) -> str | None:
    text = facts.text or ""
    found = [*repairs.TIMES.finditer(text)] or [*repairs.LABELS.finditer(text)]
    return listed(" ".join(match[0].split()) for match in found)


@check(
    "table-row",
    WARNING,
    "The transcript looks like a row of a table, with names or numbers that are not spoken but which the model reads.",
    "Keep only the spoken words.",
    fix=repairs.keep_text_of_row,
)
def table_row(facts: ClipFacts, settings: Settings) -> str | None:
    text = RESERVED.sub("", facts.text or "")
    row = next((line.strip() for line in text.splitlines() if repairs.is_row(line)), None)
    return None if row is None else shortened(row.replace("\t", "→"), 30)


@check(
    "double-encoded",
    WARNING,
    "Some letters of the transcript are broken, because UTF-8 was read in another encoding and saved again.",
    "Restore the letters, or type the text again.",
    fix=repairs.restore_letters,
)
def double_encoded(facts: ClipFacts, settings: Settings) -> str | None:
    text = facts.text or ""
    restored = undo_double_encoding(text)
    if restored == text:
        return None
    words = [f"{old} for {new}" for old, new in zip(text.split(), restored.split(), strict=False) if old != new]
    return listed(words) or "letters are broken"


@check(
    "wrong-encoding",
    WARNING,
    "The letters of the transcript are wrong, because text in another encoding was read in a wrong one.",
    "Restore the letters, or type the text again.",
    fix=repairs.read_again,
)
def wrong_encoding(facts: ClipFacts, settings: Settings) -> str | None:
    text = facts.text or ""
    found = undo_wrong_reading(text) if undo_double_encoding(text) == text else []
    return describe(found) if found else None


@check(
    "utf-16",
    WARNING,
    "The transcript is UTF-16 without a byte-order mark, so the model reads invisible characters between the letters.",
    "Save it as UTF-8.",
    fix=repairs.save_as_utf8,
)
def utf_16(facts: ClipFacts, settings: Settings) -> str | None:
    wide = decode_wide((facts.text or "").encode("utf-8", "surrogatepass"))
    return None if wide is None else shortened(wide.strip(), 30)


@check(
    "decomposed-text",
    INFO,
    "Letters and their accents are separate characters; training and synthesis join them.",
    "Leave it as it is, or join them in the file for other tools.",
    fix=repairs.compose,
)
def decomposed_text(facts: ClipFacts, settings: Settings) -> str | None:
    text = facts.text or ""
    if unicodedata.is_normalized("NFC", text):
        return None
    words = [word for word in text.split() if not unicodedata.is_normalized("NFC", word)]
    return listed(unicodedata.normalize("NFC", word) for word in words) or "letters are not joined"


def _is_wide(text: str) -> bool:
    return decode_wide(text.encode("utf-8", "surrogatepass")) is not None
