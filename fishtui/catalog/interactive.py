"""Actions of an interactive front end: each returns a message, and renews the findings of other clips.

`actions` is imported inside the functions, because it loads numpy, which the first screen does not need.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fishtui import wording
from fishtui.catalog.filechanges import TOGETHER
from fishtui.catalog.store import Catalog
from fishtui.errors import FishtuiError
from fishtui.settings import Settings

# In a larger catalog the findings that compare clips (duplicates, outliers) are renewed only by the next scan.
MOST_JUDGED = 20_000
VERBS = {"accepted": "accepted", "rejected": "rejected", "open": "reopened"}


@dataclass(frozen=True)
class ActionResult:
    """A line about an action, and the ids of the clips that it was applied to.

    `is_reshaped` if it makes or removes clips, the others than the first; `gone` are those that it removed.
    """

    message: str
    clips: tuple[int, ...] = ()
    undone: bool = False
    is_reshaped: bool = False
    gone: tuple[int, ...] = ()


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
    from fishtui.catalog import actions, history

    entries = actions.undoable(catalog)
    if not entries:
        return ActionResult("nothing to undo")
    clips = tuple(dict.fromkeys(entry["clip"] for entry in entries))
    message = history.describe(catalog, entries[0])
    actions.undo(catalog, settings)
    _judge(catalog, settings)
    is_reshaped = any(entry["note"] in TOGETHER for entry in entries)
    if len(clips) > 1 and not is_reshaped:
        message = f"{wording.counted(len(clips), 'clip')}, the first: {message}"
    gone = _gone(catalog, clips) if is_reshaped else ()
    return ActionResult(f"undone: {message}", clips, undone=True, is_reshaped=is_reshaped, gone=gone)


def move(catalog: Catalog, settings: Settings, clip: int, start: float, end: float) -> ActionResult:
    """Move the ends of a clip in its recording, by seconds. Raises FishtuiError."""
    from fishtui.catalog import cutedits

    done = cutedits.move_ends(catalog, settings, clip, start, end)
    measure(catalog, settings, done.clips)
    (cut,) = done.cuts
    message = f"now {cut.end - cut.start:.2f} s"
    return ActionResult(f"{message}; has sound of {done.overlaps[0]} too" if done.overlaps else message, done.clips)


def split(catalog: Catalog, settings: Settings, clip: int, at: float) -> ActionResult:
    """Split a clip, at a time in seconds from its start. Raises FishtuiError."""
    from fishtui.catalog import cutedits

    done = cutedits.split(catalog, settings, clip, at)
    measure(catalog, settings, done.clips)
    first, second = (f"{cut.end - cut.start:.2f} s" for cut in done.cuts)
    has_text = catalog.value("SELECT 1 FROM clips WHERE id = ? AND text != ''", (clip,))
    message = f"split into {first} and {second}{': check both transcripts' * bool(has_text)}"
    return ActionResult(message, done.clips, is_reshaped=True)


def merge(catalog: Catalog, settings: Settings, clip: int) -> ActionResult:
    """Merge a clip with the next one of its recording. Raises FishtuiError."""
    from fishtui.catalog import cutedits

    done = cutedits.merge(catalog, settings, clip)
    measure(catalog, settings, done.clips)
    (cut,) = done.cuts
    message = f"merged with {done.others[0]}: {cut.end - cut.start:.2f} s"
    return ActionResult(message, done.clips, is_reshaped=True, gone=_gone(catalog, done.clips))


def measure(catalog: Catalog, settings: Settings, clips: Sequence[int]) -> None:
    """Measure a few clips, and renew the findings. Raises FishtuiError."""
    from fishtui.catalog.measurements import measure_few

    measure_few(catalog, settings, clips)
    _judge(catalog, settings)


def _gone(catalog: Catalog, clips: Sequence[int]) -> tuple[int, ...]:
    statement = "SELECT 1 FROM clips WHERE id = ? AND gone IS NULL"
    return tuple(clip for clip in clips if not catalog.value(statement, (clip,)))


def _judge(catalog: Catalog, settings: Settings) -> None:
    from fishtui.catalog.findings import judge_all

    if catalog.value("SELECT count(*) FROM (SELECT 1 FROM clips LIMIT ?)", (MOST_JUDGED + 1,)) <= MOST_JUDGED:
        judge_all(catalog, settings)
