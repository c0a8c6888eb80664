"""Actions of an interactive front end: each returns a message, and renews the findings of other clips.

`actions` is imported inside the functions, because it loads numpy, which the first screen does not need.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fishtui import wording
from fishtui.catalog.store import Catalog
from fishtui.errors import FishtuiError
from fishtui.settings import Settings

# In a larger catalog the findings that compare clips (duplicates, outliers) are renewed only by the next scan.
MOST_JUDGED = 20_000
VERBS = {"accepted": "accepted", "rejected": "rejected", "open": "reopened"}


@dataclass(frozen=True)
class ActionResult:
    """A line about an action, and the ids of the clips that it was applied to."""

    message: str
    clips: tuple[int, ...] = ()
    undone: bool = False


def review(catalog: Catalog, clips: Sequence[int], status: str, note: str | None = None) -> ActionResult:
    """Accept, reject or reopen clips; `note` gives the reason. Raises FishtuiError."""
    from fishtui.catalog import actions

    changed = actions.review(catalog, clips, status, note)
    return ActionResult(f"{wording.counted(changed, 'clip')} {VERBS[status]}", tuple(clips))


def tag(catalog: Catalog, clips: Sequence[int], words: str) -> ActionResult:
    """Add the tags in `words` to clips; those that start with a minus are removed. Raises FishtuiError."""
    from fishtui.catalog import actions

    names = _tags(words)
    add = {name for name in names if not name.startswith("-")}
    remove = {name[1:] for name in names if name.startswith("-") and name != "-"}
    changed = actions.tag(catalog, clips, add, remove)
    return ActionResult(f"{wording.counted(changed, 'clip')} tagged", tuple(clips))


def retag(catalog: Catalog, clip: int, words: str) -> ActionResult:
    """Replace all tags of one clip by those in `words`. Raises FishtuiError."""
    from fishtui.catalog import actions

    names, before = set(_tags(words)), actions.tags_of(actions.clip_row(catalog, clip))
    changed = actions.tag(catalog, [clip], names - before, before - names)
    return ActionResult("tags saved" if changed else "", (clip,))


def _tags(words: str) -> list[str]:
    return words.replace(",", " ").split()


def edit(catalog: Catalog, settings: Settings, clip: int, text: str, before: str | None = None) -> ActionResult:
    """Write a clip's transcript. Raises FishtuiError, code `changed-meanwhile` if it is no longer `before`."""
    from fishtui.catalog import actions

    if before is not None and (now := actions.current_transcript(catalog, settings, clip)) not in (before, text):
        raise FishtuiError(
            f"the transcript was changed meanwhile: {wording.shortened(now)}",
            "Save again to replace it, or cancel to keep it.",
            code="changed-meanwhile",
        )
    changed = actions.edit(catalog, settings, clip, text)
    _judge(catalog, settings)
    return ActionResult("transcript saved" if changed else "transcript unchanged", (clip,))


def undo(catalog: Catalog, settings: Settings) -> ActionResult:
    """Undo the last action of any user. Raises FishtuiError."""
    from fishtui.catalog import actions

    entries = actions.undoable(catalog)
    if not entries:
        return ActionResult("nothing to undo")
    clips = tuple(dict.fromkeys(entry["clip"] for entry in entries))
    message = actions.describe(catalog, entries[0])
    actions.undo(catalog, settings)
    _judge(catalog, settings)
    if len(clips) > 1:
        message = f"{wording.counted(len(clips), 'clip')}, the first: {message}"
    return ActionResult(f"undone: {message}", clips, undone=True)


def _judge(catalog: Catalog, settings: Settings) -> None:
    from fishtui.catalog.findings import judge_all

    if catalog.value("SELECT count(*) FROM (SELECT 1 FROM clips LIMIT ?)", (MOST_JUDGED + 1,)) <= MOST_JUDGED:
        judge_all(catalog, settings)
