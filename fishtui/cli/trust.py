"""`fishtui trust`: start runs in a project that other users can write."""

from __future__ import annotations

from pathlib import Path

import click

from fishtui.cli.options import shared
from fishtui.cli.session import Session


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), required=False, metavar="[DIR]")
@click.option("--revoke", is_flag=True, help="Stop trusting DIR.")
@shared()
def trust(session: Session, folder: Path | None, revoke: bool) -> int:
    """Trust the project in DIR, or list the trusted projects.

    In a project that other users own or can write, fishtui starts nothing, because files of the project name commands
    that would run as you. If you trust the project, everyone who can write there can run commands as you. The list of
    trusted projects is in your own configuration folder.
    """
    from fishtui.cli import output
    from fishtui.errors import MisuseError
    from fishtui.project import working_folder
    from fishtui.trust import distrust, trust, trusted_file, trusted_folders

    if folder is not None:
        folder = (working_folder() / folder).resolve()
        if not revoke and not folder.is_dir():
            raise MisuseError(f"{folder}: no such folder", "Give the folder of a project.", code="no-folder")
        if not session.dry_run:
            (distrust if revoke else trust)(folder)
    elif revoke:
        raise MisuseError("--revoke needs a folder", "Give the folder of a project.", code="missing-option")
    found = trusted_folders()
    if session.as_json:
        output.document(found)
    else:
        for each in found:
            output.line(each)
        output.line(f"{len(found)} trusted, in {trusted_file()}")
    return 0
