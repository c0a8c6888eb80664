"""download: get a checkpoint from the Hugging Face hub, and check the size and hash of every file."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from pathlib import Path

import httpx
from huggingface_hub import HfApi, get_token, hf_hub_download
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

from fishtui.acceptance import check_accepted
from fishtui.checkpoint import family_in, files_to_download
from fishtui.errors import FishtuiError, MisuseError
from fishtui.families.registry import published_family
from fishtui.files import hash_file, require_space
from fishtui.project import Project
from fishtui.reading import Damaged, read_text
from fishtui.runs.ledger import Ledger
from fishtui.runs.reporter import Reporter
from fishtui.wording import NEW_TOKEN, reason_of

# A missing network, a refusal, or a wrong address; the client's part in Rust reports failures as RuntimeErrors.
FAILURES = (
    HfHubHTTPError, httpx.HTTPError, httpx.InvalidURL, HFValidationError, LocalEntryNotFoundError, OfflineModeIsEnabled,
    OSError, RuntimeError,
)  # fmt: skip
SHA256 = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class RemoteFile:
    """A file on the hub: its size in bytes, and its SHA-256, or its git blob id if it is not an LFS file."""

    name: str
    size: int
    sha256: str | None
    blob_id: str | None


def download(
    project: Project,
    reporter: Reporter,
    *,
    repository: str,
    revision: str,
    target: Path,
    choose: Callable[[str, Collection[str]], list[str]] | None = None,
    force: bool = False,
    dry_run: bool = False,
) -> Ledger:
    """Download the files of a checkpoint, or those that `choose` returns, that are missing or damaged in `target`.

    `choose` gets the repository and the names of its files. An interrupted download of a file is resumed. Files of a
    published checkpoint, at the revision that its family names, must have the published hashes. Raises FishtuiError
    without network or access, or if the model's licence is not accepted, CheckpointError if the repository is not a
    checkpoint, and MisuseError without `force` if a file in `target` is not from a download.
    """
    remote = _remote_files(repository, revision)
    family = family_in(repository, remote) if choose is None else None
    if family is not None:
        check_accepted(family)
    known = _published(repository, revision)
    files = [_expect(remote[name], known) for name in (choose or files_to_download)(repository, remote)]
    ledger = Ledger(unit="files")
    wanted = []
    for file in files:
        if is_complete(target / file.name, file):
            ledger.skip(file.name, "already complete")
        else:
            wanted.append(file)
    if not force:
        _refuse_replacing([target / file.name for file in wanted])
    if dry_run:
        ledger.done = len(wanted)
        return ledger
    total = sum(file.size for file in wanted)
    # Parts of an interrupted download are kept.
    partial = target.glob(".cache/huggingface/download/*.incomplete")
    require_space(target, total - sum(path.stat().st_size for path in partial))
    fetched = 0
    for file in wanted:
        reporter.progress(fetched, total, unit="bytes", note=file.name)
        path = target / file.name
        _fetch(repository, revision, file.name, target, _meter(reporter, file.name, fetched, total))
        if is_complete(path, file):
            ledger.done += 1
            reporter.artifact("checkpoint file", path)
        else:
            differs = "published one" if file.name in known else "hub's"
            ledger.fail(file.name, f"the content differs from the {differs}: download again")
        fetched += file.size
    reporter.progress(total, total, unit="bytes")
    if family is not None:
        reporter.note(f"{family.title} is under the {family.licence.name}: {family.licence.address}")
    return ledger


def _fetch(repository: str, revision: str, name: str, target: Path, meter: type[tqdm]) -> None:
    """Download a file of the hub into `target`. Raises FishtuiError."""
    try:
        # Without force_download, the hub's client keeps a damaged file of the right name.
        hf_hub_download(
            repository,
            name,
            revision=revision,
            local_dir=target,
            force_download=(target / name).exists(),
            tqdm_class=meter,
        )
    except FAILURES as error:
        raise _hub_error(error, repository) from error


def _refuse_replacing(paths: list[Path]) -> None:
    """Raise MisuseError if one of the files, which differ from the hub's, was not written by an earlier download."""
    for path in paths:
        if path.exists() and not _metadata(path).exists():
            raise MisuseError(
                f"{path}: another file than the hub's, and not from a download",
                "Download to another folder by setting paths.checkpoint, or replace it with --force.",
                code="other-model",
            )


def _metadata(path: Path) -> Path:
    """Return the file that the hub's client writes next to a download: commit, tag and time, a line each."""
    return path.parent / ".cache" / "huggingface" / "download" / f"{path.name}.metadata"


def downloaded_sum(path: Path) -> str:
    """Return the SHA-256 that the hub gave for a downloaded file; empty if it gave none, or the file is not from it."""
    try:
        _, tag, *_ = read_text(_metadata(path)).splitlines()
    except (OSError, Damaged, ValueError):
        return ""
    # The tag of a large file is its SHA-256, that of others is shorter.
    return tag if SHA256.fullmatch(tag) else ""


def _meter(reporter: Reporter, name: str, before: int, total: int) -> type[tqdm]:
    """Return a class of progress bars for the hub's client that reports the bytes so far, of `total`, to `reporter`."""

    class Meter(tqdm):
        def update(self, n: float | None = 1) -> bool | None:
            shown = super().update(n)
            reporter.progress(min(before + int(self.n), total), total, unit="bytes", note=name)
            return shown

    return Meter


def is_complete(path: Path, file: RemoteFile) -> bool:
    """Return True if the file at `path` has the size and hash of the file on the hub."""
    if not path.is_file() or path.stat().st_size != file.size:
        return False
    if file.sha256 is not None:
        return hash_file(path) == file.sha256
    return file.blob_id is None or _git_blob_id(path) == file.blob_id


def _git_blob_id(path: Path) -> str:
    """Return the id that git gives a file's content: the SHA-1 of blob header and content (Pro Git, "Git Objects")."""
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\x00" % len(content) + content, usedforsecurity=False).hexdigest()


def _published(repository: str, revision: str) -> Mapping[str, str]:
    """Return the published SHA-256 of files by name, empty for other repositories and revisions."""
    family = published_family(repository)
    return family.published if family is not None and revision == family.revision else {}


def _expect(file: RemoteFile, known: Mapping[str, str]) -> RemoteFile:
    return replace(file, sha256=known.get(file.name, file.sha256))


def _remote_files(repository: str, revision: str) -> dict[str, RemoteFile]:
    try:
        info = HfApi().model_info(repository, revision=revision, files_metadata=True)
    except FAILURES as error:
        raise _hub_error(error, repository) from error
    return {
        sibling.rfilename: RemoteFile(
            sibling.rfilename, sibling.size or 0, sibling.lfs.sha256 if sibling.lfs else None, sibling.blob_id
        )
        for sibling in info.siblings or []
    }


def _hub_error(error: Exception, repository: str) -> FishtuiError:
    """Return the error for a failed request to the hub."""
    if isinstance(error, HFValidationError):
        return MisuseError(f"{repository!r}: not a repository", "Write it as OWNER/NAME.", code="not-a-repository")
    status = error.response.status_code if isinstance(error, HfHubHTTPError) else 0
    if isinstance(error, GatedRepoError):
        accepting = f"Accept them at huggingface.co/{repository} with your account"
        return FishtuiError(
            f"{repository}: a gated model, whose terms your account has not accepted"
            if get_token()
            else f"{repository}: a gated model, which needs an account of the hub that has accepted its terms",
            f"{accepting}. If you have, let the token in HF_TOKEN read gated repositories, or use another one."
            if get_token()
            else f"{accepting}, then {NEW_TOKEN}.",
            code="terms-not-accepted",
        )
    if isinstance(error, RepositoryNotFoundError):
        return FishtuiError(
            f"{repository}: not found on the hub, or private",
            f"Check the name; for a private repository {NEW_TOKEN}.",
            code="no-such-repository",
        )
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return FishtuiError(
            f"{repository}: the hub does not accept the token that is set",
            "Unset HF_TOKEN or run `hf auth logout`, or use a valid token: `hf auth login`.",
            code="bad-token",
        )
    if isinstance(error, RevisionNotFoundError):
        return FishtuiError(
            f"{repository}: no such revision", "Omit --revision for the published one.", code="no-such-revision"
        )
    if isinstance(error, OfflineModeIsEnabled):
        return FishtuiError(
            f"{repository}: HF_HUB_OFFLINE forbids the network", "Unset it and try again.", code="hub-offline"
        )
    return FishtuiError(
        f"{repository}: the request to the hub failed: {reason_of(error)}",
        "Check the network and run the command again; finished parts are kept.",
        code="hub-unreachable",
    )
