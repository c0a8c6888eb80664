"""Write recordings inside of archives into files of their own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from fishtui.dataset import AUDIO_EXTENSIONS, EXTENSIONS
from fishtui.errors import FishtuiError
from fishtui.files import refuse_full_disk
from fishtui.importers.parts import convert
from fishtui.importers.source import FoundClip
from fishtui.names import safe_name
from fishtui.runs.ledger import Ledger
from fishtui.wording import cannot_write, reason_of

# Extensions by the first bytes of a recording without a name.
SIGNS = {b"RIFF": ".wav", b"fLaC": ".flac", b"OggS": ".ogg", b"ID3": ".mp3", b"FORM": ".aiff"}
OTHERWISE = ".mp3"
# In bytes: a number may follow.
LONGEST_STEM = 150


def extract(archive: Path, clips: Mapping[int, FoundClip], folder: Path, ledger: Ledger) -> dict[int, Path]:
    """Write the recordings of clips of one archive below a folder; return their paths by the keys of `clips`.

    Clips without a recording are entered in the ledger. Raises FishtuiError if the disk is full.
    """
    members = {index: clip.member for index, clip in clips.items() if clip.member}
    raw = {member.key: folder / f"{index}.raw" for index, member in members.items()}
    reasons: dict[str, str] = {}
    try:
        member = next(iter(members.values()))
        reasons.update(member.extracts(archive, raw))
    except FishtuiError as error:
        refuse_full_disk(error, 0)
        reasons = {key: error.problem for key, path in raw.items() if not path.exists()}
    except OSError as error:
        failure = cannot_write(folder, error)
        refuse_full_disk(failure, 0)
        reasons = {key: failure.problem for key, path in raw.items() if not path.exists()}
    found: dict[int, Path] = {}
    for index, member in members.items():
        if reason := reasons.get(member.key):
            ledger.fail(clips[index].where, reason)
            continue
        try:
            found[index] = _named(raw[member.key], member.name, folder / str(index))
        except FishtuiError as error:
            refuse_full_disk(error, 0)
            ledger.fail(clips[index].where, error.problem)
        except (OSError, MemoryError, RuntimeError, ValueError) as error:
            ledger.fail(clips[index].where, f"cannot extract: {reason_of(error)}")
    return found


def _named(raw: Path, name: str, folder: Path) -> Path:
    """Move an extracted recording to its name; one in a foreign format becomes flac. Raises FishtuiError, OSError."""
    stem, extension = Path(name).stem, Path(name).suffix.lower()
    if extension not in EXTENSIONS:
        stem, extension = name, _sniffed(raw)
    stem = safe_name(stem, "clip", LONGEST_STEM)
    folder.mkdir()
    if extension in AUDIO_EXTENSIONS:
        return raw.rename(folder / f"{stem}{extension}")
    target = folder / f"{stem}.flac"
    convert(raw, target)
    raw.unlink()
    return target


def _sniffed(path: Path) -> str:
    with path.open("rb") as file:
        beginning = file.read(4)
    return next((extension for sign, extension in SIGNS.items() if beginning.startswith(sign)), OTHERWISE)
