"""The `fishtui` command: the command line, or the interface if no command is given."""

from __future__ import annotations

import os
import sys

# Set by a shell that asks for completions, by click's convention.
COMPLETION = "_FISHTUI_COMPLETE"


def main() -> None:
    """Run the command line or the interface, and exit with its status. Only the one that runs is loaded."""
    from fishtui.cli.commands import command_names
    from fishtui.tui import main as interface

    words = sys.argv[1:]
    if COMPLETION not in os.environ and interface.is_wanted(words, command_names()):
        sys.exit(interface.run(words))
    from fishtui.cli.main import run

    sys.exit(run(words))


if __name__ == "__main__":
    main()
