"""Pipes, sockets, devices, folders and links to nowhere among the clips: each is named, and none blocks a stage."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from fishtui.catalog.scan import scan
from fishtui.catalog.store import Catalog
from fishtui.importers.run import import_clips
from fishtui.runs.ledger import Ledger
from fishtui.runs.reporter import Reporter
from fishtui.settings import ExtractSettings, NormalizeSettings, PackSettings, ScanSettings, Settings
from fishtui.stages.extract import extract
from fishtui.stages.normalize import normalize
from fishtui.stages.pack import pack
from tests.builders import project, time_limit, tone, write_clip

SETTINGS = Settings(
    scan=ScanSettings(workers=1),
    normalize=NormalizeSettings(workers=1),
    extract=ExtractSettings(device="cpu", workers=1),
    pack=PackSettings(workers=1),
)


def make_socket(path: Path) -> None:
    """Create a socket; its path may be longer than a name of one."""
    folder = os.open(path.parent, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(f"/proc/self/fd/{folder}/{path.name}")
    os.close(folder)


def make_link_to_pipe(path: Path) -> None:
    os.mkfifo(path.with_name(f".{path.name}"))
    path.symlink_to(f".{path.name}")


KINDS: dict[str, Callable[[Path], object]] = {
    "pipe": os.mkfifo,
    "socket": make_socket,
    "nowhere": lambda path: path.symlink_to("nowhere"),
    "loop": lambda path: path.symlink_to(path.name),
    "folder": Path.mkdir,
    "linked": make_link_to_pipe,
}
if os.geteuid() == 0:
    KINDS["zero"] = lambda path: os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, 5))


def filled(folder: Path) -> Path:
    """A dataset in which each kind of special file takes the place of a recording, a transcript, and codes."""
    write_clip(folder / "good.wav", samples=tone(0.3))
    for kind, make in KINDS.items():
        for part in ("wav", "lab", "npy"):
            clip = write_clip(folder / f"{kind}-{part}.wav", samples=tone(0.3))
            clip.with_suffix(f".{part}").unlink(missing_ok=True)
            make(clip.with_suffix(f".{part}"))
    (folder / "here").symlink_to(".")
    (folder / "itself").symlink_to("itself")
    return folder


def named(ledger: Ledger) -> set[str]:
    return {entry.item.rpartition("/")[2].removesuffix(".wav") for entry in (*ledger.failed, *ledger.skipped)}


def test_special_files_are_named_and_never_block_a_stage(tmp_path: Path, checkpoint: Path) -> None:
    made = project(tmp_path)
    data = filled(tmp_path / "data" / "anna").parent
    wavs, labs, npys = ({f"{kind}-{part}" for kind in KINDS} for part in ("wav", "lab", "npy"))
    with time_limit(120):
        with Catalog(made, data) as catalog:
            scan(catalog, SETTINGS, Reporter())
            rows = catalog.query("SELECT name FROM clips WHERE severity = 3")
            assert {row["name"].rpartition("/")[2] for row in rows} == wavs | labs
        ledger = normalize(made, SETTINGS, Reporter(), source=data, target=tmp_path / "loud", clean=False)
        # A folder in place of a transcript is not one, and the recording alone is copied.
        assert named(ledger) == wavs | labs - {"folder-lab"}
        ledger = extract(made, SETTINGS, Reporter(), data=data, checkpoint=checkpoint / "codec.pth")
        # A link to nowhere is replaced by the codes.
        assert named(ledger) == wavs | labs | npys - {"nowhere-npy"}
        ledger = pack(made, SETTINGS, Reporter(), data=data, output=data / "protos")
        assert named(ledger) == wavs | labs | npys - {"nowhere-npy"}
        assert ledger.done == 2
        source = filled(tmp_path / "in" / "anna").parent
        imported = project(tmp_path / "imported")
        ledger = import_clips(imported, Reporter(), source=source, data=imported.root / "data", mode="copy")
        assert named(ledger) == (wavs | labs) - {"folder-wav"}
        assert ledger.done == 1 + len(npys)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_files_without_permission_are_named(tmp_path: Path) -> None:
    write_clip(tmp_path / "data" / "anna" / "1.wav", samples=tone(0.3)).chmod(0)
    write_clip(tmp_path / "data" / "anna" / "2.wav", samples=tone(0.3)).with_suffix(".lab").chmod(0)
    with Catalog(project(tmp_path), tmp_path / "data") as catalog:
        scan(catalog, SETTINGS, Reporter())
        assert catalog.value("SELECT count(*) FROM clips WHERE severity = 3") == 2
