"""Turn names of speakers and clips into safe names of folders and files."""

from __future__ import annotations

import re
import unicodedata

from fishtui.dataset import PACKED_FOLDER
from fishtui.sanitize import HARMFUL

# In bytes: with a number and an extension, a name has at most 200.
LONGEST = 180
SEPARATORS = re.compile(r"[/\\]")


def safe_name(text: str, otherwise: str) -> str:
    """`text` as the name of a file or folder, `otherwise` if no character of it can be used.

    The name is composed (NFC), has at most 180 bytes, no separators, controls, characters that turn or hide text, or
    bytes that are not UTF-8; it is not hidden, and not `protos`, which `find_clips` skips.
    """
    name = SEPARATORS.sub("_", HARMFUL.sub("_", unicodedata.normalize("NFC", text)))
    name = name.strip().lstrip(". ").encode()[:LONGEST].decode(errors="ignore").rstrip()
    if not name:
        return otherwise
    return f"{name}_" if name.lower() == PACKED_FOLDER else name


def numbered(name: str, number: int) -> str:
    """`name` for number 1, `name-2` for number 2."""
    return name if number == 1 else f"{name}-{number}"
