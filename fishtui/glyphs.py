"""Signs of states, the same in every front end: a colour is never all that tells one from another."""

from __future__ import annotations

RUN = {
    "queued": "◌",
    "running": "●",
    "stopping": "●",
    "succeeded": "✓",
    "partial": "◐",
    "failed": "✗",
    "stopped": "■",
    "lost": "?",
}
# Of no finding, of an info, a warning and an error.
SEVERITY = (" ", "·", "▲", "✗")
REVIEWED = {"accepted": "✓", "rejected": "–"}

# What stands for them, and for lines and bars, where a terminal has nothing but ASCII.
ASCII = str.maketrans(
    "◌●✓◐✗■·▲–▶…─│━┃═║→←↑↓▁▂▃▄▅▆▇█░▒▓▐▔▕◀▸▾○┌┐└┘├┤┬┴┼╭╮╰╯┏┓┗┛┣┫┳┻╋▏▎▍▌▋▊▉★◆⏎╸╺",
    "o*+%x#.!->~-|-|=|><^v__.-==##.:%|^|<>vo++++++++++++++++++++++|||||||*+<--",
)


def clip(status: str, severity: int) -> str:
    """The sign of a clip: what was decided about it, or else the worst that was found."""
    return REVIEWED.get(status, SEVERITY[severity])
