"""The `fishtui` command: the command line, or the interface if no command is given."""

from __future__ import annotations

import os
import signal
import sys

# Set by a shell that asks for completions, by click's convention.
COMPLETION = "_FISHTUI_COMPLETE"


def main() -> None:
    """Run the command line or the interface, and exit with its status. Only the one that runs is loaded."""
    # Until commands handle it, and after them, an interrupt ends the process at once, without a traceback of imports.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    # Worker processes would import modules from the working folder, whose files may come from another user.
    os.environ["PYTHONSAFEPATH"] = "1"
    _open_closed_streams()
    _use_utf8()
    from fishtui.cli.commands import command_names
    from fishtui.tui import main as interface

    words = sys.argv[1:]
    if COMPLETION not in os.environ and interface.is_wanted(words, command_names()):
        from fishtui.signals import interruptible

        with interruptible():
            status = interface.run(words)
        sys.exit(status)
    from fishtui.cli.main import run

    sys.exit(run(words))


def _open_closed_streams() -> None:
    """Connect standard streams that the caller has closed to nothing, as in `fishtui scan >&-`.

    Otherwise the next file that is opened, such as the catalog, gets the stream's number, and output goes there.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            # The lowest free descriptor is `number`, because those below it are open.
            os.open(os.devnull, os.O_RDWR)
            os.set_inheritable(number, True)
            setattr(sys, name, os.fdopen(number, "r" if number == 0 else "w", encoding="utf-8"))


def _use_utf8() -> None:
    """Start again in Python's UTF-8 mode if the locale has another encoding: names of files are UTF-8 everywhere."""
    if sys.getfilesystemencoding() != "utf-8" and os.environ.get("PYTHONUTF8") != "1":
        os.environ["PYTHONUTF8"] = "1"
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


if __name__ == "__main__":
    main()
