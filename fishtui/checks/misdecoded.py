"""Text in an encoding of its language that was read in another one, such as KOI8-R shown as Latin letters."""

from __future__ import annotations

import re

from fishtui.charsets import CERTAIN, COMMON, LETTERS, MOST_BYTES, Reading, likelihood, readings

LANGUAGES = (*LETTERS, *COMMON)
# The logarithm of how much likelier another reading has to be.
LEAST_GAIN = 12.0
# Frequent letters of Western languages and their marks: with few of them, a text is what it seems.
FREQUENT = frozenset("éèàçêâîôûœäöüßáíóúñåÉÈÀÇÊÄÖÜÁÍÓÚÑÅ’‘“”«»–—…¿¡„\xa0")
LARGEST_SHARE = 0.25
# What wrongly read text has among Cyrillic: a capital, a mark or Latin letters inside of a word, or lines of boxes.
CYRILLIC = re.compile("[а-џґ][А-ЯЀ-ЏҐ]|[А-џ][^\x00-\x7f\\w\\s’][А-џ]|[a-z][Ѐ-џґ]|[Ѐ-џґ][a-z]|[─-▟]")
CONTROLS = re.compile("[\x80-\x9f]")


def undo_wrong_reading(text: str) -> list[Reading]:
    """Return the most likely reading of a text that was read in a wrong encoding, and the second if it is as likely.

    The result is empty for a text that is likelier as it is.
    """
    if text.isascii():
        return []
    wrong = ["cp1251", "koi8_r"] if CYRILLIC.search(text) else ["cp1252"] if _is_unusual(text) else []
    contents = [content for each in wrong if (content := _bytes_of(text, each)) is not None]
    found = [each for content in contents for each in _whole_readings(content) if _is_text(each.text)]
    if not found:
        return []
    least = likelihood(text[:MOST_BYTES], LANGUAGES) + LEAST_GAIN
    likely = sorted((each for each in found if each.likelihood > least), key=lambda each: -each.likelihood)
    return [each for each in likely[:2] if each.likelihood > likely[0].likelihood - CERTAIN]


def _whole_readings(content: bytes) -> list[Reading]:
    """Return the readings of all of a text, judged by its beginning."""
    found = readings(content[:MOST_BYTES])
    if len(content) > MOST_BYTES:
        return [each._replace(text=content.decode(each.encoding, "replace")) for each in found]
    return found


def _is_unusual(text: str) -> bool:
    """Return True for a text with letters that few Western languages have, or with many that are not ASCII."""
    other = [each for each in text if not each.isascii()]
    return len(other) > LARGEST_SHARE * len(text) or not FREQUENT.issuperset(other)


def _bytes_of(text: str, encoding: str) -> bytes | None:
    """Return the bytes that an encoding shows as this text, None if that is not possible."""
    try:
        if not CONTROLS.search(text):
            return text.encode(encoding)
        # Bytes without a character in an encoding are shown as the control character with that number.
        return b"".join(each.encode("latin-1" if CONTROLS.match(each) else encoding) for each in text)
    except UnicodeEncodeError:
        return None


def _is_text(text: str) -> bool:
    return not CONTROLS.search(text) and "\ufffd" not in text
