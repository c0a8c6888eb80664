"""`fishtui doctor --model`: show the lines of a model's self-test as they come, and write its report."""

from __future__ import annotations

from pathlib import Path

from fishtui.cli import output
from fishtui.cli.session import Session
from fishtui.errors import DONE, PARTIAL
from fishtui.files import write_text
from fishtui.glyphs import SIGN


def show_selftest(session: Session, folder: Path, report: Path | None, clip: Path | None, again: bool) -> int:
    """Test the checkpoint in `folder`; return the exit status, 3 if a line fails. Raises FishtuiError."""
    from fishtui.checkpoint import CheckpointFolder

    # Before torch is loaded, which takes seconds.
    checkpoint = CheckpointFolder(folder)
    checkpoint.check()
    from fishtui.selftest.clips import own_clip, shipped_clips
    from fishtui.selftest.line import SHOWN, Line
    from fishtui.selftest.report import markdown
    from fishtui.selftest.run import run_selftest

    def show(line: Line) -> None:
        if not session.as_json:
            earlier = " (passed earlier)" if line.is_reused else ""
            output.finding(SIGN[SHOWN[line.state]], line.name, f"{line.state}: {line.found}{earlier}", line.remedy)

    values = session.settings.values
    clips = [own_clip(clip, values.pack.text_extension, checkpoint.family.clean)] if clip else shipped_clips()
    found = run_selftest(folder, clips, values, again=again, show=show)
    if report is not None:
        write_text(report, markdown(found))
    if session.as_json:
        output.document(found.as_dict())
    return PARTIAL if found.has_failed else DONE
