"""Turn names of speakers and clips into safe names of folders and files."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from itertools import count

from fishtui.dataset import PACKED_FOLDER
from fishtui.sanitize import HARMFUL
from fishtui.speakers import is_content

# In bytes: with a number and an extension, a name has at most 200.
LONGEST = 180
SEPARATORS = re.compile(r"[/\\]")


def safe_name(text: str, otherwise: str, longest: int = LONGEST) -> str:
    """`text` as the name of a file or folder, `otherwise` if no character of it can be used.

    The name is composed (NFC), has at most `longest` bytes, no separators, controls, characters that turn or hide text,
    or bytes that are not UTF-8; it is not hidden, and not `protos`, which `find_clips` skips.
    """
    name = SEPARATORS.sub("_", HARMFUL.sub("_", unicodedata.normalize("NFC", text)))
    name = name.strip().lstrip(". ").encode()[:longest].decode(errors="ignore").rstrip()
    if not name:
        return otherwise
    return f"{name}_" if name.lower() == PACKED_FOLDER else name


def numbered(name: str, number: int) -> str:
    """`name` for number 1, `name-2` for number 2."""
    return name if number == 1 else f"{name}-{number}"


def part_name(stem: str, start: float, end: float) -> str:
    """Return the name of a part of a recording from `start` to `end` seconds: `stem_00001500_00004000`."""
    return f"{stem}_{round(1000 * start):08d}_{round(1000 * end):08d}"


def speaker_folders(names: Iterable[str]) -> dict[str, str]:
    """Return the name of a folder for each speaker, different for different speakers, whom a scan names after it."""
    folders: dict[str, str] = {}
    taken: set[str] = set()
    for name in dict.fromkeys(names):
        base = safe_name(name, "speaker")
        # A scan never takes such a folder for a speaker's.
        base = f"speaker_{base}" if is_content(base) else base
        folders[name] = next(each for number in count(1) if (each := numbered(base, number)) not in taken)
        taken.add(folders[name])
    return folders
