"""Results of the self-test that are still valid: those of the same files, clips, code, libraries and device."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import platformdirs

from fishtui.codehash import code_hash
from fishtui.errors import FishtuiError
from fishtui.files import hash_file, state_of, write_bytes
from fishtui.reading import Damaged, read_json
from fishtui.selftest.line import Line

# Code that the results depend on.
CODE = (
    *("selftest", "lm", "codec", "audio", "nn.py", "sentences.py", "speech.py"),
    *("families", "training/lora.py", "training/memory.py", "training/gate.py"),
)
# Results and hashes that are kept, the newest ones.
KEPT = 500
LARGEST = 4 << 20


class Content(msgspec.Struct):
    """The file: hashes of files by path and state, and passed checks by key; newer entries come last."""

    hashes: dict[str, str] = {}
    lines: dict[str, Line] = {}


class Store:
    """The results on this machine, in the user's own folder. A store that cannot be read or written is empty."""

    def __init__(self) -> None:
        self._path: Path = platformdirs.user_state_path("fishtui") / "selftest.json"
        try:
            self._content = read_json(self._path, Content, LARGEST)
        except (OSError, Damaged):
            self._content = Content()

    def sha256(self, path: Path) -> str:
        """Return the SHA-256 of a file, which is read only if it has changed. Raises OSError."""
        key = json.dumps([str(path.resolve()), *state_of(path.stat())])
        if key not in self._content.hashes:
            self._content.hashes[key] = hash_file(path)
            self._save()
        return self._content.hashes[key]

    def find(self, key: str) -> Line | None:
        """Return the check of `key` if it has passed before."""
        found = self._content.lines.get(key)
        return msgspec.structs.replace(found, is_reused=True) if found is not None else None

    def keep(self, key: str, line: Line) -> None:
        """Keep a check that has passed; another result may come from something that was fixed since."""
        if line.state == "pass":
            self._content.lines.pop(key, None)
            self._content.lines[key] = line
            self._save()

    def _save(self) -> None:
        content = Content(
            dict(list(self._content.hashes.items())[-KEPT:]), dict(list(self._content.lines.items())[-KEPT:])
        )
        try:
            write_bytes(self._path, msgspec.json.encode(content))
        except FishtuiError:
            # The test works without it.
            return


def key_of(name: str, hashes: Mapping[str, str], others: Sequence[str]) -> str:
    """Return the key of a check: its name, the files of the model by name, and what else it depends on."""
    content = json.dumps([name, sorted(hashes.items()), list(others), code_hash(*CODE)])
    return hashlib.sha256(content.encode()).hexdigest()
