"""Signs and tones of states, the same in every front end: a state never differs from another by its color alone."""

from __future__ import annotations

# The sign of each state. A number is the severity of a finding; 0 is a clip without findings.
SIGN: dict[str | int, str] = {
    # Runs.
    "queued": "◌",
    "running": "●",
    "stopping": "◑",
    "succeeded": "✓",
    "partial": "◐",
    "failed": "✗",
    "stopped": "■",
    "lost": "?",
    # Steps of the pipeline.
    "current": "✓",
    "due": "↻",
    "never": "○",
    "excluded": " ",
    "unknown": " ",
    # Checks of the machine.
    "ok": "✓",
    "warning": "▲",
    "error": "✗",
    # Review decisions.
    "accepted": "✓",
    "rejected": "–",
    # Severities.
    0: " ",
    1: "i",
    2: "▲",
    3: "✗",
}
# The tone of each state: "success", "accent", "warning", "error" or "muted", as themes name them. Others have none.
TONE: dict[str | int, str] = {
    "queued": "muted",
    "running": "accent",
    "stopping": "warning",
    "succeeded": "success",
    "partial": "warning",
    "failed": "error",
    "stopped": "warning",
    "lost": "error",
    "current": "success",
    "due": "warning",
    "ok": "success",
    "warning": "warning",
    "error": "error",
    "accepted": "success",
    "rejected": "muted",
    1: "muted",
    2: "warning",
    3: "error",
}

# Other signs. VALIDATION is a point of a curve; the cursor is at the left of its line.
BEST, EARLY, MARKED, VALIDATION, CURSOR = "★", "☆", "»", "◆", "▸"
RECOMMENDED = "◉"
# A transcript that a recognizer wrote and nobody has read.
DRAFT = "≈"

# Replacements for signs, lines and bars on a terminal that can show only ASCII.
ASCII = str.maketrans(
    "◌●✓◐✗■·▲–▶…─│━┃═║→←↑↓▁▂▃▄▅▆▇█░▒▓▐▔▕◀▸▾○┌┐└┘├┤┬┴┼╭╮╰╯┏┓┗┛┣┫┳┻╋▏▎▍▌▋▊▉★◆⏎╸╺◑↻☆»◉≈",
    "o*+%x#.!->~-|-|=|><^v__.-==##.:%|^|<>v0++++++++++++++++++++++|||||||^$<--&@'=R~",
)


def clip_state(status: str, severity: int) -> str | int:
    """Return the state that the sign and tone of a clip show: the review decision, or else the worst severity."""
    return status if status in ("accepted", "rejected") else severity


def clip_signs(status: str, severity: int, is_draft: object) -> str:
    """Return the sign of a clip's state, and that of a draft or a blank."""
    return SIGN[clip_state(status, severity)] + draft_sign(status, is_draft)


def draft_sign(status: str, is_draft: object) -> str:
    """Return the sign of a draft, a blank for other transcripts and those that a person has accepted."""
    return DRAFT if is_draft and status != "accepted" else " "
