"""The command `listen`: serve clips to a browser, also on another computer."""

from __future__ import annotations

import threading
from contextlib import suppress

import click

from fishtui.cli.completers import filter_terms
from fishtui.cli.options import SignedCommand, limited, shared
from fishtui.cli.session import Session
from fishtui.cli.settingoptions import setting


@click.command(cls=SignedCommand)
@click.argument("terms", nargs=-1, metavar="[FILTER]", shell_complete=filter_terms)
@limited
@setting("--port", "listen.port")
@shared(dry_run=False)
def listen(session: Session, terms: tuple[str, ...], limit: int) -> int:
    """Listen to clips in a browser, also over SSH.

    Serves the clips that match FILTER (see `fishtui clips --help`) until Ctrl-C, at an address that only this computer
    can reach and that contains a random token. If your browser is on another computer, first run the printed ssh
    command there.
    """
    from fishtui import wording
    from fishtui.cli import output
    from fishtui.errors import MisuseError
    from fishtui.listen.links import ssh_line
    from fishtui.listen.recordings import recordings
    from fishtui.listen.server import Server

    with session.catalog(must_exist=True) as catalog:
        found = recordings(catalog, " ".join(terms), limit or -1)
    if not found:
        raise MisuseError(
            "no matching clip has a recording", "See the clips: `fishtui clips list`.", code="no-recordings"
        )
    # An interrupt is the normal end, also right after the address is shown.
    with Server(found, session.settings.values.listen.port) as server, suppress(KeyboardInterrupt):
        if session.as_json:
            files = [
                {"name": each.name, "path": str(each.path), "url": f"{server.url}{number}"}
                for number, each in server.offers().items()
            ]
            output.document(
                {
                    "url": server.url,
                    "token": server.token,
                    "port": server.port,
                    "ssh": ssh_line(server.port),
                    "files": files,
                }
            )
        else:
            output.line(f"{wording.counted(len(found), 'clip')} served until Ctrl-C.")
            output.line("If your browser is on another computer, first run there:")
            output.line(f"  {ssh_line(server.port)}")
            output.line("Then open this address, and press the button of the page once:")
            output.address(server.url)
        threading.Event().wait()
    return 0
