"""The command `import`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import cast, get_args

import click

from fishtui.cli.options import shared
from fishtui.cli.session import Session
from fishtui.errors import DONE, PARTIAL, MisuseError
from fishtui.importers.destination import TransferMode
from fishtui.importers.layouts import LAYOUTS

FOLDER = click.Path(file_okay=False, path_type=Path)
HELP = "\n".join(f"  {layout.name:<12} {layout.help}" for layout in LAYOUTS.values())


@click.command("import", epilog=f"\b\nLayouts:\n{HELP}")
@click.argument("source", type=click.Path(path_type=Path))
@click.option("--layout", type=click.Choice(list(LAYOUTS)), help="Layout of SOURCE (default: detected).")
@click.option(
    "--column",
    "named",
    multiple=True,
    metavar="THING=NAME",
    help="Column or key of audio, text or speaker, as text=sentence.",
)
@click.option("--speaker", help="Speaker name (default: from SOURCE, or the name of its folder).")
@click.option(
    "--mode",
    type=click.Choice(get_args(TransferMode)),
    default="auto",
    show_default=True,
    help="Transfer of recordings; auto links them, or copies across file systems.",
)
@click.option("--data", type=FOLDER, help="Folder of the dataset.")
@shared()
def import_(
    session: Session,
    source: Path,
    layout: str | None,
    named: tuple[str, ...],
    speaker: str | None,
    mode: str,
    data: Path | None,
) -> int:
    """Import clips from another dataset layout.

    Writes SPEAKER/clip.wav and clip.lab. SOURCE is a table, a folder with one, or a folder of recordings with
    transcripts next to them; it is never changed. Existing clips are kept, so an import can be repeated.
    """
    from fishtui.cli import output
    from fishtui.importers.run import import_clips

    if data is not None and not data.resolve().is_relative_to(session.project.root.resolve()):
        raise MisuseError(
            f"{data} is outside the project",
            "Name a folder inside it, or set paths.data in fishtui.toml.",
            code="outside-project",
        )
    data = session.path(data, session.settings.values.paths.data)
    columns = dict(_column(each) for each in named)
    stage = partial(
        import_clips,
        session.project,
        source=source,
        data=data,
        layout=layout,
        columns=columns,
        speaker=speaker,
        mode=cast(TransferMode, mode),
        text_extension=session.settings.values.pack.text_extension,
    )
    status = session.run(
        "import", stage, source=source, data=data, layout=layout, columns=columns, speaker=speaker, mode=mode
    )
    if status in (DONE, PARTIAL) and not (session.as_json or session.dry_run):
        output.line(f"They are in {session.project.shown(data)}. Next: `fishtui validate`")
    return status


def _column(text: str) -> tuple[str, str]:
    thing, equals, name = text.partition("=")
    if not equals or not name:
        raise MisuseError(f"--column {text}: no column name", "Write it as --column text=sentence.", code="bad-column")
    return thing.strip(), name
