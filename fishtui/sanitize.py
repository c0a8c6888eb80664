"""Make text from files and people safe to display."""

from __future__ import annotations

import re

# Controls, format characters that turn or hide text (bidirectional controls, zero width except the joiners that scripts
# need), line separators, and lone surrogates from file names that are not UTF-8.
HARMFUL = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]"
)


def harmless(text: str) -> str:
    """`text` on one line, with escape codes for characters that could control a terminal or turn the reading order."""
    return HARMFUL.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    if 0xDC80 <= code <= 0xDCFF:
        # A byte of a file name, as the file system codec represents it.
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
