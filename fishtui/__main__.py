"""The `fishtui` command: the interface without a command, else the command line."""

from __future__ import annotations

import sys


def main() -> None:
    """Run what the command line asks for, and exit with its status. Neither front end is loaded for the other."""
    from fishtui.cli.commands import COMMANDS
    from fishtui.tui import main as interface

    words = sys.argv[1:]
    if interface.is_wanted(words, list(COMMANDS)):
        sys.exit(interface.run(words))
    from fishtui.cli.main import run

    sys.exit(run(words))


if __name__ == "__main__":
    main()
