"""Names of speakers and clips, made safe as names of folders and files."""

from __future__ import annotations

import re
import unicodedata

from fishtui.dataset import PACKED_FOLDER
from fishtui.sanitize import HARMFUL

# In bytes, so that a name stays within 200 with a number and an extension behind it.
LONGEST = 180
SEPARATORS = re.compile(r"[/\\]")


def safe_name(text: str, otherwise: str) -> str:
    """`text` as the name of a file or folder, or `otherwise` if nothing is left of it.

    Composed (NFC), without separators, controls, characters that turn or hide text, and bytes that aren't UTF-8;
    visible, never `protos`, whose clips nobody would see, and of 180 bytes at most.
    """
    name = SEPARATORS.sub("_", HARMFUL.sub("_", unicodedata.normalize("NFC", text)))
    name = name.strip().lstrip(". ").encode()[:LONGEST].decode(errors="ignore").rstrip()
    if not name:
        return otherwise
    return f"{name}_" if name.lower() == PACKED_FOLDER else name


def numbered(name: str, number: int) -> str:
    """The first of a name is the name itself, the second `name-2`."""
    return name if number == 1 else f"{name}-{number}"
