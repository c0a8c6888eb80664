"""Clips: look through the dataset, and decide: accept, reject, edit, tag, undo, one by one or many at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import ClassVar

from textual import on, work
from textual.binding import Binding, BindingType
from textual.message import Message

from fishtui import glyphs, wording
from fishtui.catalog import interactive
from fishtui.catalog.filter import only_open
from fishtui.catalog.interactive import ActionResult
from fishtui.checks.registry import Severity
from fishtui.errors import FishtuiError
from fishtui.tui.catalogwriter import CatalogWriter, Change
from fishtui.tui.dialogs import Ask, Confirm
from fishtui.tui.screens.clipview import ClipView
from fishtui.tui.widgets.clipdetail import ClipDetail
from fishtui.tui.widgets.editline import EditLine
from fishtui.tui.widgets.reviewbar import Review, ReviewBar

# From so many clips on a decision about the marked ones is asked for once more.
MANY = 20
# Of the marked clips so many are heard, at most.
MOST_HEARD = 100
VERBS = {"accepted": "Accept", "rejected": "Reject", "open": "Reopen"}


class Clips(ClipView):
    """Look through the dataset, and review it."""

    NAME = "Clips"
    # What stands before a clip, for whoever asks for help.
    SIGNS = "  ".join(
        f"{sign} {word}"
        for sign, word in (
            (glyphs.SIGN["accepted"], "accepted"),
            (glyphs.SIGN["rejected"], "rejected"),
            (glyphs.SIGN[Severity.ERROR], "an error"),
            (glyphs.SIGN[Severity.WARNING], "a warning"),
            (glyphs.SIGN[Severity.INFO], "worth knowing"),
        )
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "review('accepted')", "accept", tooltip="accept the clip, or those marked, and go on"),
        Binding("r", "review('rejected')", "reject", tooltip="reject the clip, or those marked: stages leave it out"),
        Binding("R", "reject", "reject: why", show=False, tooltip="reject the clip, or those marked, and say why"),
        Binding("o", "review('open')", "reopen", show=False, tooltip="take back what was decided about it"),
        Binding("e", "edit", "edit", tooltip="edit the transcript in its place"),
        Binding("u", "undo", "undo", tooltip="undo the last action"),
        Binding("space", "hear", "hear", tooltip="hear the clip, or those marked; again: silence"),
        Binding("f", "flagged(1)", "flagged", tooltip="to the next clip with an error or a warning"),
        Binding("F", "flagged(-1)", "flagged before", show=False, tooltip="to the flagged clip before"),
        Binding("slash,ctrl+f", "filter", "filter", key_display="/", tooltip="filter the clips, and sort them"),
        Binding("v", "walk", "review", show=False, tooltip="review: walk through the open clips of the filter"),
        Binding("t", "tag", "tag", show=False, tooltip="change the tags of the clip, or of those marked"),
        Binding("x", "mark", "mark", show=False, tooltip="mark the clip, or take its mark away"),
        Binding("asterisk", "mark_all", "mark all", show=False, key_display="*", tooltip="mark all of the filter"),
        Binding("X", "mark_none", "no marks", show=False, tooltip="take all marks away"),
        Binding("L", "serve", "serve", show=False, tooltip="serve the clip, or those marked, to a browser"),
        Binding("escape", "back", "back", show=False, tooltip="leave: the large clip, the review, marks, filter"),
    ]

    class Changed(Message):
        """A change of the catalog has been made, or not; `about` is the transcript that was to be saved, if one was."""

        def __init__(self, done: ActionResult | None, fault: Exception | None, about: object) -> None:
            super().__init__()
            self.done = done
            self.fault = fault
            self.about = about

    def __init__(self) -> None:
        super().__init__()
        self.walk: Review | None = None
        self.writer = CatalogWriter(self.reader.opened, lambda *ended: self.post_message(self.Changed(*ended)))

    def on_mount(self) -> None:
        self.set_interval(1.0, self._tell_waiting)

    def _tell_waiting(self) -> None:
        if self.writer.is_slow:
            self.bar.say(f"◌ {wording.counted(self.writer.waiting, 'change')} not saved yet: the catalog is busy")

    # What is changed.

    def _chosen(self) -> tuple[int, Callable[[], list[int]]]:
        """How many clips an action is about, and a function that lists them: the marked ones, or that at the cursor."""
        if self.table.marks:
            return self.table.marks, self.table.marked()
        clip = self.table.clip
        return (0, list) if clip is None else (1, lambda: [clip])

    def _asked(self, question: str, change: Change) -> None:
        """Make a change of the marked clips, after a question if they are many."""

        def answered(yes: bool | None) -> None:
            if yes:
                self.writer.submit(change)
                self.action_mark_none()

        if self.table.marks < MANY:
            answered(True)
        else:
            which = f"all that {self.filter or 'the catalog'} selects" if self.table.everything else "the marked ones"
            self.app.push_screen(Confirm(question, f"{which}; u undoes it at once"), answered)

    def action_review(self, status: str) -> None:
        self._review(*self._chosen(), status)

    def action_reject(self) -> None:
        """Ask why, and reject."""
        count, chosen = self._chosen()
        marks, row = self.table.marks, self.table.row
        if not count or (row is None and not marks):
            return

        def answered(note: str | None) -> None:
            if note is not None:
                # Of several clips the notes that they have were not shown: no word leaves those of rejected ones.
                self._review(count, chosen, "rejected", note.strip() or (None if marks else ""))

        if marks or row is None:
            self.app.push_screen(Ask(f"Why reject {wording.counted(count, 'clip')}?"), answered)
        else:
            self.app.push_screen(Ask(f"Why reject {row['name']}?", row["note"]), answered)

    def _review(self, count: int, chosen: Callable[[], list[int]], status: str, note: str | None = None) -> None:
        if self.table.marks:
            question = f"{VERBS[status]} {wording.counted(count, 'clip')}?"
            self._asked(question, lambda catalog, _: interactive.review(catalog, chosen(), status, note))
        elif count:
            # Its sign says it.
            self.writer.submit(
                lambda catalog, _: replace(interactive.review(catalog, chosen(), status, note), message="")
            )
            self._count(chosen(), status != "open")
            self.table.action_by(1)

    def action_undo(self) -> None:
        self.writer.submit(interactive.undo)

    def action_tag(self) -> None:
        count, chosen = self._chosen()
        marks, row = self.table.marks, self.table.row
        if not count or (row is None and not marks):
            return

        def answered(words: str | None) -> None:
            if words is None:
                return
            if marks:
                clips = f"{wording.counted(count, 'clip')}"
                self._asked(f"Tag {clips}?", lambda catalog, _: interactive.tag(catalog, chosen(), words))
            else:
                self.writer.submit(lambda catalog, _: interactive.retag(catalog, chosen()[0], words))

        if marks or row is None:
            question = f"Tags for {wording.counted(count, 'clip')}, with blanks between; -tag takes one away"
            self.app.push_screen(Ask(question), answered)
        else:
            tags = row["tags"].strip("|").replace("|", " ")
            self.app.push_screen(Ask(f"Tags of {row['name']}, with blanks between", tags), answered)

    @on(Changed)
    def changed(self, message: Changed) -> None:
        if isinstance(message.fault, FishtuiError):
            self.fishtui.report_error(message.fault)
            line = self.query_one(EditLine)
            if isinstance(message.about, EditLine.Saved) and line.clip is None:
                # What was typed is not lost.
                line.begin(message.about.clip, message.about.text)
        elif message.fault is not None:
            raise message.fault
        elif message.done is not None:
            if message.done.undone:
                self._count(message.done.clips, False)
                if len(message.done.clips) == 1:
                    self.table.move_to(message.done.clips[0])
            if message.done.message:
                self.fishtui.report(message.done.message)
        self.table.reload()
        self.query_one(ClipDetail).reload()
        self.say()
        self.reload()

    # The transcript.

    def action_edit(self) -> None:
        if self.table.clip is not None:
            self.query_one(EditLine).wait(self.table.clip)
            self._edit(self.table.clip)

    @work(thread=True, exclusive=True, group="edit", exit_on_error=False)
    def _edit(self, clip: int) -> None:
        try:
            text: str | FishtuiError = self.reader.transcript(clip)
        except FishtuiError as error:
            text = error
        self.app.call_from_thread(self._read_for_edit, clip, text)

    def _read_for_edit(self, clip: int, text: str | FishtuiError) -> None:
        line = self.query_one(EditLine)
        if isinstance(text, FishtuiError):
            self.fishtui.report_error(text)
            line.end()
        elif line.clip == clip:
            line.begin(clip, text)

    @on(EditLine.Saved)
    def edited(self, message: EditLine.Saved) -> None:
        clip, text = message.clip, message.text
        self.writer.submit(lambda catalog, settings: interactive.edit(catalog, settings, clip, text), message)

    @on(EditLine.Closed)
    def edit_closed(self) -> None:
        self.set_focus(self.table)

    # Marks.

    def action_mark(self) -> None:
        self.table.toggle()
        self.say()

    def action_mark_all(self) -> None:
        self.table.mark_all(True)
        self.say()

    def action_mark_none(self) -> None:
        self.table.mark_all(False)
        self.say()

    # Playback.

    def action_hear(self) -> None:
        self._hear(self._chosen()[1], False)

    def action_serve(self) -> None:
        self._hear(self._chosen()[1], True)

    @work(thread=True, exclusive=True, group="hear", exit_on_error=False)
    def _hear(self, chosen: Callable[[], list[int]], serve: bool) -> None:
        try:
            found = self.reader.recordings(chosen()[:MOST_HEARD])
        except FishtuiError as error:
            self.app.call_from_thread(self.fishtui.report_error, error)
            return
        if not found:
            self.app.call_from_thread(self.fishtui.report, "there is no recording to hear")
        else:
            names = list(found)
            self.app.call_from_thread(self.fishtui.listen, list(found.values()), serve, names)

    # The review.

    def action_walk(self) -> None:
        if self.walk is None and not self.missing:
            before = self.filter
            self.action_mark_none()
            self.walk = Review(before, 0)
            self.bar.display = False
            self.apply(only_open(before))

    def _count(self, clips: Sequence[int], decided: bool) -> None:
        """Count clips as decided about, or not any more, in the review."""
        if self.walk is None:
            return
        self.walk.decide(clips) if decided else self.walk.take_back(clips)
        self.query_one(ReviewBar).show(self.walk)
        if decided and self.walk.done >= self.walk.count:
            self.fishtui.report(f"{wording.counted(self.walk.done, 'clip')} reviewed; esc leaves the review")

    def _leave_review(self) -> None:
        if self.walk is not None:
            before, self.walk, self.frozen = self.walk.before, None, False
            self.query_one(ReviewBar).show(None)
            self.bar.display = True
            self.apply(before)
            self.refresh_bindings()

    def listed(self, whole: bool) -> None:
        if self.walk is not None:
            self.walk.count = len(self.table.ids)
            # From now on the list stays as it is: what is decided about stays in sight.
            self.frozen = whole
            self.query_one(ReviewBar).show(self.walk)

    def told_empty(self) -> str:
        told = super().told_empty()
        if self.walk is not None and told and not self.missing:
            return "Every clip of this filter is decided about.\n\nesc  leaves the review"
        return told

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if self.walk is not None and action in ("filter", "sort", "turn", "walk", "mark", "mark_all"):
            return False
        return super().check_action(action, parameters)

    def go(self, target: str) -> None:
        self._leave_review()
        super().go(target)

    def action_back(self) -> None:
        if self.has_class("-large"):
            self.action_enlarge()
        elif self.query_one(ClipDetail).has_focus:
            self.set_focus(self.table)
        elif self.walk is not None:
            self._leave_review()
        elif self.table.marks:
            self.action_mark_none()
        elif self.filter:
            self.apply("")
