"""download: a checkpoint from the Hugging Face hub, every file's size and hash checked."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import httpx
from huggingface_hub import HfApi, hf_hub_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import tqdm

from fishtui.checkpoint import files_to_download
from fishtui.errors import CheckpointError, FishtuiError, MisuseError
from fishtui.files import hash_file
from fishtui.project import Project
from fishtui.runs.ledger import Ledger
from fishtui.runs.reporter import Reporter
from fishtui.wording import reason_of


@dataclass(frozen=True)
class RemoteFile:
    """A file of the hub: its size in bytes, and its SHA-256, or where it is no LFS file, its git blob id."""

    name: str
    size: int
    sha256: str | None
    blob_id: str | None


def download(
    project: Project, reporter: Reporter, *, repository: str, revision: str, target: Path, dry_run: bool = False
) -> Ledger:
    """Fetch the files of a checkpoint that are missing or damaged in `target`.

    An interrupted file goes on where it stopped. Raises FishtuiError without network or access, and if the
    repository is not a checkpoint of this model.
    """
    files = _remote_files(repository, revision)
    ledger = Ledger(unit="files")
    wanted = []
    for file in files:
        if is_complete(target / file.name, file):
            ledger.skip(file.name, "complete already")
        else:
            wanted.append(file)
    if dry_run:
        ledger.done = len(wanted)
        return ledger
    total = sum(file.size for file in wanted)
    fetched = 0
    for file in wanted:
        reporter.progress(fetched, total, unit="bytes", note=file.name)
        path = target / file.name
        try:
            # A file of the right name that failed the check would count as there.
            hf_hub_download(
                repository,
                file.name,
                revision=revision,
                local_dir=target,
                force_download=path.exists(),
                tqdm_class=_meter(reporter, file.name, fetched, total),
            )
        except (HfHubHTTPError, httpx.HTTPError, LocalEntryNotFoundError, OSError) as error:
            raise _explained(error, repository) from error
        if is_complete(path, file):
            ledger.done += 1
            reporter.artifact("checkpoint file", path)
        else:
            ledger.fail(file.name, "its content is not what the hub says: download again")
        fetched += file.size
    reporter.progress(total, total, unit="bytes")
    return ledger


def _meter(reporter: Reporter, name: str, before: int, total: int) -> type[tqdm]:
    """A tqdm that tells `reporter` how many of `total` bytes are there; the hub's client wants a class."""

    class Meter(tqdm):
        def update(self, n: float | None = 1) -> bool | None:
            shown = super().update(n)
            reporter.progress(min(before + int(self.n), total), total, unit="bytes", note=name)
            return shown

    return Meter


def is_complete(path: Path, file: RemoteFile) -> bool:
    """Whether the file at `path` has the size and hash that the hub says."""
    if not path.is_file() or path.stat().st_size != file.size:
        return False
    if file.sha256 is not None:
        return hash_file(path) == file.sha256
    return file.blob_id is None or _git_blob_id(path) == file.blob_id


def _git_blob_id(path: Path) -> str:
    """SHA-1 of a file as git names its content (git's "Git Objects", blob header and content)."""
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\x00" % len(content) + content, usedforsecurity=False).hexdigest()


def _remote_files(repository: str, revision: str) -> list[RemoteFile]:
    try:
        info = HfApi().model_info(repository, revision=revision, files_metadata=True)
    except (HfHubHTTPError, httpx.HTTPError, HFValidationError, OfflineModeIsEnabled, OSError) as error:
        raise _explained(error, repository) from error
    files = {
        sibling.rfilename: RemoteFile(
            sibling.rfilename, sibling.size or 0, sibling.lfs.sha256 if sibling.lfs else None, sibling.blob_id
        )
        for sibling in info.siblings or []
    }
    try:
        names = files_to_download(files)
    except CheckpointError as error:
        raise CheckpointError(f"{repository}: {error.problem}", error.remedy, code=error.code) from error
    return [files[name] for name in names]


def _explained(error: Exception, repository: str) -> FishtuiError:
    if isinstance(error, HFValidationError):
        return MisuseError(f"{repository!r} is no name of a repository", "Write it as OWNER/NAME.")
    if isinstance(error, GatedRepoError):
        return FishtuiError(
            f"{repository} asks for your consent first",
            f"Accept its terms at huggingface.co/{repository}, then set HF_TOKEN or run `hf auth login`.",
        )
    if isinstance(error, RepositoryNotFoundError):
        return FishtuiError(
            f"there is no {repository} on the hub, or it needs a token",
            "Check the name; set HF_TOKEN or run `hf auth login`.",
        )
    if isinstance(error, RevisionNotFoundError):
        return FishtuiError(f"{repository} has no such revision", "Leave --revision out for the newest.")
    return FishtuiError(
        f"the hub could not be reached, or broke off: {reason_of(error)}",
        "Check the network and run it again: it goes on where it stopped.",
    )
