"""Text that was read in a wrong encoding: UTF-8 encoded twice, and UTF-16 without a byte-order mark."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from typing import NamedTuple

from fishtui.files import marked_encoding

WIDE = ("utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be")
CONTROLS = bytes(range(9)) + bytes(range(14, 32))
# Two-byte characters that occur in words: accented letters of Latin, accents, Greek, Cyrillic, Armenian, Hebrew and
# Arabic letters. The others are what a capital letter before a punctuation mark would give.
TWO_BYTES = (
    *((0x80, 0x17F), (0x1A0, 0x1A1), (0x1AF, 0x1B0), (0x1CD, 0x1DC), (0x218, 0x21B)),
    # Three that cp1252 shows bytes as.
    *((0x192, 0x192), (0x2C6, 0x2C6), (0x2DC, 0x2DC)),
    *((0x300, 0x304), (0x306, 0x30C), (0x323, 0x323), (0x327, 0x328)),
    *((0x386, 0x3CE), (0x400, 0x4FF), (0x531, 0x587), (0x5D0, 0x5EA), (0x600, 0x6FF)),
)
# Encodings that UTF-8 is often read in by mistake, the most frequent first, each with sequences that hardly occur in
# text, so that one of them is enough: accented letters, and the beginnings of quotation marks, euro signs and emoji.
TYPICAL = {
    "cp1252": re.compile("[ÃÂ][\x80-\xbaŒœŠšŽžŸˆ˜†‡•‰€™¼-¿]|â[€\x80].|â[‚\x82]¬|ð[Ÿ\x9f]..", re.DOTALL),
    "mac_roman": re.compile("√[©®±ºª∂ß°¢†´¨§¶üÄâéÅñòôöúùÖá]|‚Ä[ôòúùìî¶]|‚Ç¨|¬[Ωº´ª∞]"),
    "cp1251": re.compile("[ГВ][©±¶¬µ¦¤®]|вЂ.|в‚¬|рџ..", re.DOTALL),
    "cp437": re.compile("[├┬][^\\s─-╿]|ΓÇ.|Γé¼|≡ƒ..", re.DOTALL),
}
# Encodings of some languages, which only such sequences show: in capitals, correct words have the others.
REGIONAL = {
    "cp850": re.compile("[├┬][^\\s─-╿]"),
    "koi8_r": re.compile("(?:[пя][─-▟÷²·≈≤≥⌠■∙√°]){2}"),
    "cp866": re.compile("(?:[╨╤][^\\s]){2}"),
    "iso8859_2": re.compile("^[^€‚„…†‡‰‹›™•–—“”‘’]*[ĂÄĹ][\x80-\x9f]"),
    "cp1250": re.compile("Ä[‡™‚Ť›Ź]|Ĺ[‚„›şĽ‡™ˇĄ±Żľ‘ŻĂ¤]|Ă[ł©ˇ˝¤¶ĽşŁ®˘]|Č[™›]"),
    "cp1253": re.compile("[ΞΟ][€ƒ†‡‰‹•™£¤¥¦§¨©¬®°±²³µ¶½]"),
    "cp1255": re.compile("׳[\x90\x9a\x9c-\x9f•˜™¡¢£¥¦§¨©×]"),
    "cp1256": re.compile("[طظعغ][€ƒ†‡ˆ‰‹™¢£¤¥¦§¨©¬®¯°±²³´µ¶·¸¼½¾]"),
    "cp874": re.compile("(?:เ[ธน][\x80-\x9fก-ฟ€…‘’“”•–—]){3}"),
}
# Encodings of two bytes for a character, three of which look like two.
DOUBLE_BYTE = ("gbk", "cp932", "cp949", "big5")
# The first character of East Asian scripts.
EAST_ASIAN = "\u2e80"
MOST_TIMES = 3


class _Misreading(NamedTuple):
    """Bytes above 127 as one encoding shows them: the byte of each character, and patterns for runs and sequences."""

    bytes: dict[str, int]
    run: re.Pattern[str]
    sequence: re.Pattern[str]


@cache
def _misreading(encoding: str) -> _Misreading:
    found = {}
    for byte in range(0x80, 0x100):
        shown = bytes([byte]).decode(encoding, "replace")
        # Bytes without a character are shown as the control character with that number.
        found[chr(byte) if shown == "\ufffd" else shown] = byte
    if encoding == "cp1252":
        found |= {chr(byte): byte for byte in range(0x80, 0xA0)}

    def characters(first: int, last: int) -> str:
        return f"[{''.join(re.escape(each) for each, byte in found.items() if first <= byte <= last)}]"

    rest = characters(0x80, 0xBF)
    sequence = "|".join(
        [
            characters(0xC2, 0xDF) + rest,
            characters(0xE0, 0xEF) + rest * 2,
            characters(0xF0, 0xF4) + rest * 3,
        ]
    )
    return _Misreading(found, re.compile(characters(0x80, 0xFF) + "+"), re.compile(sequence))


def undo_double_encoding(text: str) -> str:
    """Return `text` with the letters restored whose UTF-8 was read in another encoding and encoded again."""
    for _ in range(MOST_TIMES):
        if text.isascii():
            break
        before = text
        possible = [encoding for encoding in TYPICAL if _is_read_wholly(text, encoding)]
        possible += [encoding for encoding, typical in {**TYPICAL, **REGIONAL}.items() if typical.search(text)]
        text = next((found for each in possible if (found := _restored(text, each)) != text), _restored_pairs(text))
        if text == before:
            break
    return text


def _restored(text: str, encoding: str) -> str:
    return _misreading(encoding).sequence.sub(lambda match: _read(match[0], encoding) or match[0], text)


def _restored_pairs(text: str) -> str:
    """Return an East Asian text whose UTF-8 was read as characters of two bytes, otherwise `text`."""
    for encoding in DOUBLE_BYTE:
        try:
            found = text.encode(encoding).decode("utf-8")
        except UnicodeError:
            continue
        letters = [each for each in found if not each.isascii()]
        if len(letters) > 1 and min(letters) >= EAST_ASIAN and all(map(_is_plausible, letters)):
            return found
    return text


def _is_read_wholly(text: str, encoding: str) -> bool:
    """Return True if all runs of characters above 127 are, together, several characters of UTF-8."""
    read = [_read(run, encoding) for run in _misreading(encoding).run.findall(text)]
    return None not in read and sum(len(each or "") for each in read) > 1


def _read(run: str, encoding: str) -> str | None:
    """Return the characters whose bytes in UTF-8 look like `run`; None if that is not possible."""
    content = bytes(_misreading(encoding).bytes[each] for each in run)
    try:
        found = content.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return found if all(map(_is_plausible, found)) else None


def _is_plausible(character: str) -> bool:
    if ord(character) < 0x800:
        return any(first <= ord(character) <= last for first, last in TWO_BYTES)
    return unicodedata.category(character) not in ("Cn", "Co", "Cs", "Cc")


def decode_wide(content: bytes) -> str | None:
    """Return the text of a file in UTF-16 or UTF-32, with or without a byte-order mark; None if it is neither."""
    marked = marked_encoding(content)
    if marked is not None:
        return _decoded(content, marked)
    controls = len(content) - len(content.translate(None, CONTROLS))
    if not controls or controls < len(content) // 4:
        return None
    if len(content) % 2:
        # A line end that another program has added.
        content = content.removesuffix(b"\n")
    found = [text for encoding in WIDE if (text := _decoded(content, encoding)) is not None]
    # In the wrong order of bytes, letters become characters with higher numbers.
    return min(found, key=lambda text: sum(map(ord, text)) / len(text), default=None)


def _decoded(content: bytes, encoding: str) -> str | None:
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        return None
    is_text = all(each in "\t\r\n" or unicodedata.category(each) not in ("Cn", "Co", "Cs", "Cc") for each in text)
    return text if is_text and any(map(str.isalnum, text)) else None
