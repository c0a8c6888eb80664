"""The files of a checkpoint against the published ones."""

from __future__ import annotations

from collections.abc import Mapping

from fishtui.checkpoint import CheckpointFolder
from fishtui.selftest.line import Line
from fishtui.wording import counted, size


def check_files(checkpoint: CheckpointFolder, hashes: Mapping[str, str]) -> Line:
    """Compare the SHA-256 of each file with the published one, where that is known.

    A merged model has weights of its own; its other files are copies.
    """
    family = checkpoint.family
    own = {path.name for path in checkpoint.weight_files} if checkpoint.record_file.exists() else set()
    published = {name: found for name, found in family.published.items() if name in hashes and name not in own}
    total = sum(path.stat().st_size for path in checkpoint.files if path.is_file())
    read = f"{counted(len(hashes), 'file')}, {size(total)}"
    figures = {"files": float(len(hashes)), "bytes": float(total), "compared": float(len(published))}
    if not published:
        found = f"{read}; no published sums of {family.title} are known to fishtui"
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
