"""The command `import`."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, get_args

import click

from fishtui.cli.options import ListingCommand, shared
from fishtui.cli.session import Session
from fishtui.errors import MisuseError
from fishtui.importers.destination import TransferMode
from fishtui.importers.layout import MEANINGS
from fishtui.importers.layouts import LAYOUTS

if TYPE_CHECKING:
    from fishtui.importers.source import Understood

FOLDER = click.Path(file_okay=False, path_type=Path)
ALL_LAYOUTS = [(layout.name, layout.help) for layout in LAYOUTS.values()]


@click.command("import", cls=ListingCommand, listed=("Layouts", ALL_LAYOUTS))
@click.argument("source", type=click.Path(path_type=Path))
@click.option(
    "--layout",
    type=click.Choice(list(LAYOUTS)),
    metavar="LAYOUT",
    help="Layout of SOURCE, one of those below (default: detected).",
)
@click.option(
    "--column",
    "named",
    multiple=True,
    metavar="COLUMN=THING",
    help=f"What a column is: {', '.join(MEANINGS)}; COLUMN is a name or number, as in 3=text; repeatable. For captions"
    " such as `ANNA: Hello`, label=speaker or label=text.",
)
@click.option("--speaker", help="Speaker of all clips (default: from SOURCE, or from the folders of the recordings).")
@click.option("--audio-root", type=FOLDER, help="Folder of the recordings (default: that of SOURCE).")
@click.option(
    "--mode",
    type=click.Choice(get_args(TransferMode)),
    default="auto",
    show_default=True,
    help="How to transfer recordings; link is a hard link, auto links or copies across file systems.",
)
@click.option("--data", type=FOLDER, help="Folder to import into (default: the setting paths.data).")
@click.option("--yes", is_flag=True, help="Import without a question, even if columns are a guess.")
@shared()
def import_(
    session: Session,
    source: Path,
    layout: str | None,
    named: tuple[str, ...],
    speaker: str | None,
    audio_root: Path | None,
    mode: str,
    data: Path | None,
    yes: bool,
) -> int:
    """Import clips from another dataset layout.

    Writes SPEAKER/clip.wav and clip.lab. SOURCE is a table, a transcript with times such as subtitles, an archive, or a
    folder with some of these or with recordings and transcripts; it is never changed. Shows layout, columns, speakers
    and the first clips, and asks if some of that is a guess. Parts of a recording become clips of their own; those of
    subtitles are cut at the pauses near their times. Labels of captions, such as `ANNA: Hello`, become speakers if they
    recur; captions whose speaker is not known are left out then. Existing clips are kept, so an import can be repeated.
    """
    from fishtui.importers.run import import_clips
    from fishtui.importers.source import understand
    from fishtui.importers.summary import summary_dict

    if data is not None and not data.resolve().is_relative_to(session.project.root.resolve()):
        raise MisuseError(
            f"{data} is outside the project",
            "Name a folder inside it, or set paths.data in fishtui.toml.",
            code="outside-project",
        )
    settings = session.settings.values
    arguments: dict[str, Any] = {
        "source": source,
        "data": session.path(data, settings.paths.data),
        "layout": layout,
        "columns": dict(_column(each) for each in named),
        "speaker": speaker,
        "audio_root": audio_root,
    }
    if not session.is_adopted:
        session.check_project()
        found = understand(**arguments, text_extension=settings.pack.text_extension)
        session.preview["understood"] = summary_dict(found)
        _confirm(session, found, yes)
    stage = partial(
        import_clips,
        session.project,
        **arguments,
        mode=cast(TransferMode, mode),
        text_extension=settings.pack.text_extension,
        accepts_guesses=yes or session.dry_run,
        settings=settings,
    )
    return session.run("import", stage, **arguments, mode=mode)


def _confirm(session: Session, found: Understood, yes: bool) -> None:
    """Show what an import understood, and ask about guesses. Raises MisuseError if nobody can answer or agrees."""
    from fishtui.cli import diagnostics, output
    from fishtui.importers.run import uncertain
    from fishtui.importers.summary import summary_lines

    if not session.as_json:
        for line in summary_lines(found):
            output.line(line)
    if not found.doubts or yes or session.dry_run:
        return
    if session.as_json or session.detach or not sys.stdin.isatty():
        raise uncertain(found)
    if not diagnostics.confirm("Import these clips?"):
        raise MisuseError("nothing was imported", "Choose with --column or --layout.", code="not-confirmed")
    # Not at the end, where it could be an argument behind `--`.
    session.command.insert(1, "--yes")


def _column(text: str) -> tuple[str, str]:
    """Return a meaning and its column, from `COLUMN=MEANING`, or `MEANING=COLUMN`."""
    name, equals, thing = text.rpartition("=")
    if not equals or not name or not thing:
        raise MisuseError(
            f"--column {text}: not a column and its meaning",
            "Write it as --column sentence=text, or --column 3=text.",
            code="bad-column",
        )
    if thing.strip() in MEANINGS:
        return thing.strip(), name
    first, _, rest = text.partition("=")
    return first.strip(), rest
