"""`fishtui clips move`, `split` and `merge`: correct the cuts of clips in their recordings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from fishtui.cli.completers import clip_names
from fishtui.cli.options import shared
from fishtui.cli.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable

    from fishtui.catalog.cutedits import CutChange
    from fishtui.catalog.store import Catalog
    from fishtui.settings import Settings

ID = click.argument("id", shell_complete=clip_names)


@click.command()
@ID
@click.option("--start", type=float, default=0.0, metavar="SECONDS", help="Seconds to move the start by.")
@click.option("--end", type=float, default=0.0, metavar="SECONDS", help="Seconds to move the end by.")
@shared()
def move(session: Session, id: str, start: float, end: float) -> int:
    """Move the start or end of a clip in its recording.

    A negative number moves it to an earlier time, as in --start -0.1. The clip must be one that `fishtui slice` or
    `fishtui import` cut from a recording. The transcript stays; codes are made again by the next extract.
    """
    from fishtui.catalog.cutedits import move_ends
    from fishtui.errors import MisuseError

    if not start and not end:
        raise MisuseError("no end to move", "Give --start or --end.", code="missing-option")
    return _change(
        session,
        id,
        "moved",
        lambda catalog, settings, clip: move_ends(catalog, settings, clip, start, end, dry_run=session.dry_run),
    )


@click.command()
@ID
@click.argument("at", type=float)
@shared()
def split(session: Session, id: str, at: float) -> int:
    """Split a clip AT seconds after its start.

    The second part becomes a clip of its own. The transcript is divided at the end of a sentence or word near there:
    check both parts. The review of the clip is opened again.
    """
    from fishtui.catalog.cutedits import split

    return _change(
        session,
        id,
        "split",
        lambda catalog, settings, clip: split(catalog, settings, clip, at, dry_run=session.dry_run),
    )


@click.command()
@ID
@shared()
def merge(session: Session, id: str) -> int:
    """Merge a clip with the next one of its recording.

    What is between the two is kept; transcripts and tags are joined. `fishtui clips undo` restores both clips.
    """
    from fishtui.catalog.cutedits import merge

    return _change(
        session, id, "merged", lambda catalog, settings, clip: merge(catalog, settings, clip, dry_run=session.dry_run)
    )


def _change(session: Session, id: str, verb: str, change: Callable[[Catalog, Settings, int], CutChange]) -> int:
    from fishtui.catalog import lookup
    from fishtui.catalog.actions import clip_row
    from fishtui.catalog.interactive import measure
    from fishtui.cli import output

    settings = session.settings.values
    with session.catalog(must_exist=True) as catalog:
        clip = lookup.resolve_ids(catalog, [id])[0]
        name = clip_row(catalog, clip)["name"]
        done = change(catalog, settings, clip)
        if not session.dry_run:
            measure(catalog, settings, done.clips)
    if session.as_json:
        output.document(
            {
                "action": verb,
                "clip": name,
                "cuts": [{"start": cut.start, "end": cut.end} for cut in done.cuts],
                "others": list(done.others),
                "overlaps": list(done.overlaps),
                "dry_run": session.dry_run,
            }
        )
        return 0
    output.line(f"{name} {'would be ' * session.dry_run}{verb}")
    for cut, part in zip(done.cuts, (name, *done.others), strict=False):
        output.line(f"  {cut.start:.3f}-{cut.end:.3f} s  {part}")
    for other in done.overlaps:
        output.line(f"  overlaps with {other}")
    return 0
