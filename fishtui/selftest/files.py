"""The files of a checkpoint against the published ones."""

from __future__ import annotations

from collections.abc import Mapping

from fishtui.checkpoint import CheckpointFolder
from fishtui.selftest.line import Line
from fishtui.stages.download import downloaded_sum
from fishtui.wording import counted, size


def check_files(checkpoint: CheckpointFolder, hashes: Mapping[str, str]) -> Line:
    """Compare the SHA-256 of each file with the published one, where fishtui or the download knows it.

    A merged model has weights of its own; its other files are copies.
    """
    family = checkpoint.family
    own = {path.name for path in checkpoint.weight_files} if checkpoint.record_file.exists() else set()
    downloaded = {name: found for name in hashes if (found := downloaded_sum(checkpoint.path / name))}
    known = downloaded | dict(family.published)
    published = {name: found for name, found in known.items() if name in hashes and name not in own}
    total = sum(path.stat().st_size for path in checkpoint.files if path.is_file())
    read = f"{counted(len(hashes), 'file')}, {size(total)}"
    figures = {"files": float(len(hashes)), "bytes": float(total), "compared": float(len(published))}
    if not published:
        found = f"{read}; their published sums are not known: the folder is not from `fishtui download`"
        return Line(name="files", state="skipped", found=found, figures=figures)
    if others := [name for name, found in published.items() if hashes[name] != found]:
        return Line(
            name="files",
            state="fail",
            found=f"{', '.join(others)} {'differ' if len(others) > 1 else 'differs'} from the published {family.title}",
            remedy="Download it again with `fishtui download --force`, unless you changed the file yourself.",
            figures=figures,
        )
    return Line(name="files", state="pass", found=f"{read}; {len(published)} equal the published ones", figures=figures)
