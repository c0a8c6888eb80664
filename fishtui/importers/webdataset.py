"""WebDataset: tar archives with a recording and its text under one name, read as a stream."""

from __future__ import annotations

import lzma
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from shutil import copyfileobj
from typing import Self

from fishtui.dataset import EXTENSIONS, TEXT_EXTENSIONS
from fishtui.errors import DataError
from fishtui.files import decode_text
from fishtui.importers.columns import find_positions
from fishtui.importers.layout import Clips, FolderLayout, ListedClip, Malformed, Member
from fishtui.reading import NOTE, Damaged, guarded, parse_json
from fishtui.wording import shortened

ENDINGS = (".tar", ".tar.gz", ".tgz")
FAULTS = (OSError, EOFError, tarfile.TarError, zlib.error, lzma.LZMAError)
TRANSCRIPT, METADATA = "text", "json"


def is_webdataset(path: Path) -> bool:
    """Return True for a tar archive, or a folder with some."""
    return next(_archives(path), None) is not None


def read_webdataset(path: Path) -> Clips:
    """Yield the samples of archives with the names of their recordings; nothing is unpacked."""
    top = path if path.is_dir() else path.parent
    for archive in _archives(path):
        try:
            with guarded():
                yield from _samples(archive, archive.relative_to(top).as_posix(), top.absolute().name)
        except (*FAULTS, Damaged) as error:
            yield Malformed(archive.name, f"cannot be read to its end: {error}")


def extract_members(path: Path, wanted: Mapping[str, Path]) -> Iterator[tuple[str, str]]:
    """Write the members of these names to files; yield those that cannot be read, with the reason. Raises DataError."""
    missing = dict(wanted)
    try:
        with guarded(), _open(path) as archive:
            for member in archive:
                target = missing.pop(member.name, None) if member.isreg() else None
                content = archive.extractfile(member) if target else None
                if target and content:
                    with target.open("wb") as file:
                        copyfileobj(content, file)
                if not missing:
                    return
    except (*FAULTS, Damaged) as error:
        raise DataError(
            f"{path.name}: cannot be read to its end: {error}", "Copy it again.", code="damaged-tar"
        ) from error
    for name in missing:
        yield name, "no longer in the archive"


def _archives(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        if path.name.lower().endswith(ENDINGS) and path.is_file():
            yield path
        return
    yield from sorted(each for each in path.iterdir() if each.name.lower().endswith(ENDINGS) and each.is_file())


class _Header(tarfile.TarInfo):
    """The header of a member; a damaged one is an error, where tarfile takes it for the end of the archive."""

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(archive)
        except tarfile.HeaderError as error:
            # The mark of the end.
            if type(error).__name__ == "EOFHeaderError":
                raise
            raise tarfile.ReadError(f"no valid header at byte {archive.offset:,}") from error


def _open(path: Path) -> tarfile.TarFile:
    return tarfile.open(path, "r|*", tarinfo=_Header)


def _samples(path: Path, where: str, source: str) -> Clips:
    """Yield a clip for each group of members with one name before the first dot."""
    key: str | None = None
    sample: dict[str, str] = {}
    try:
        with _open(path) as archive:
            for member in archive:
                name = PurePosixPath(member.name)
                if not member.isreg() or name.name.startswith("."):
                    continue
                stem, _, ending = name.name.partition(".")
                own = str(name.parent / stem)
                if own != key:
                    if key is not None:
                        yield _clip(path, where, source, key, sample)
                    key, sample = own, {}
                if PurePosixPath(ending).suffix.lower() in EXTENSIONS or ("audio" in sample and _is_recording(ending)):
                    # The name of a sample ends at the first dot.
                    reason = f"not the only recording that can belong to {shortened(own)}"
                    yield Malformed(f"{where}/{member.name}", reason)
                else:
                    _add(sample, archive, member, ending.lower())
    except FAULTS:
        # Of the last sample, the rest may be missing.
        if key is not None and {"audio", TRANSCRIPT} <= sample.keys():
            yield _clip(path, where, source, key, sample)
        raise
    if key is not None:
        yield _clip(path, where, source, key, sample)


def _is_recording(ending: str) -> bool:
    return f".{ending.lower()}" in EXTENSIONS


def _add(sample: dict[str, str], archive: tarfile.TarFile, member: tarfile.TarInfo, ending: str) -> None:
    """Put the name of a recording, or the content of a text, into its sample."""
    if _is_recording(ending):
        sample["audio"] = member.name
    elif ending == METADATA or f".{ending}" in TEXT_EXTENSIONS:
        content = archive.extractfile(member)
        if content is None or member.size > NOTE:
            sample["fault"] = f"its text is larger than {NOTE:,} bytes"
        else:
            _add_text(sample, ending, content.read())


def _add_text(sample: dict[str, str], ending: str, content: bytes) -> None:
    """Put text and speaker of a member into its sample."""
    try:
        if ending != METADATA:
            sample.setdefault(TRANSCRIPT, decode_text(content))
            return
        values = parse_json(content)
    except (UnicodeDecodeError, Damaged) as error:
        sample["fault"] = f"its text is damaged: {error}"
        return
    if isinstance(values, str):
        sample[TRANSCRIPT] = values
        return
    names = list(values) if isinstance(values, dict) else []
    positions = find_positions(names, {})
    for meaning in (TRANSCRIPT, "speaker"):
        value = values[names[positions.of[meaning]]] if meaning in positions.of else None
        if isinstance(value, str | int) and not isinstance(value, bool):
            sample[meaning] = str(value)


def _clip(path: Path, where: str, source: str, key: str, sample: Mapping[str, str]) -> ListedClip | Malformed:
    place = f"{where}/{key}"
    if "fault" in sample:
        return Malformed(place, sample["fault"])
    if "audio" not in sample:
        return Malformed(place, "no recording")
    audio = sample["audio"]
    member = Member(path, audio, PurePosixPath(audio).name, extract_members)
    return ListedClip(place, member.name, sample.get(TRANSCRIPT, ""), sample.get("speaker", source), member=member)


WEBDATASET = FolderLayout(
    "webdataset",
    is_webdataset,
    read_webdataset,
    "WebDataset: tar archives with KEY.mp3 and KEY.json or KEY.txt",
    takes_files=True,
)
