"""Clips: browse and review the dataset: accept, reject, edit, tag and undo, for one clip or many."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from textual import on, work
from textual.binding import Binding, BindingType
from textual.message import Message

from fishtui import glyphs, wording
from fishtui.catalog import interactive
from fishtui.catalog.fields import split_tags
from fishtui.catalog.filter import only_open
from fishtui.catalog.interactive import ActionResult
from fishtui.checks.registry import Severity
from fishtui.errors import FishtuiError
from fishtui.styletags import FILE, find_style_tags
from fishtui.tui.catalogwriter import CatalogWriter, Change
from fishtui.tui.cutting import Cutting
from fishtui.tui.dialogs import Ask, Confirm
from fishtui.tui.screens.playview import PlayView
from fishtui.tui.widgets.clipdetail import ClipDetail
from fishtui.tui.widgets.editline import EditInput, EditLine
from fishtui.tui.widgets.reviewbar import Review, ReviewBar

# From this number of marked clips on, an action needs a confirmation.
MANY = 20
VERBS = {"accepted": "Accept", "rejected": "Reject", "open": "Reopen"}


class Clips(PlayView):
    """Browse and review the dataset."""

    NAME = "Clips"
    # The signs before a clip, for the list of keys.
    SIGNS = "  ".join(
        f"{sign} {word}"
        for sign, word in (
            (glyphs.SIGN["accepted"], "accepted"),
            (glyphs.SIGN["rejected"], "rejected"),
            (glyphs.SIGN[Severity.ERROR], "an error"),
            (glyphs.SIGN[Severity.WARNING], "a warning"),
            (glyphs.SIGN[Severity.INFO], "a note"),
            (glyphs.DRAFT, "a draft"),
        )
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "a", "review('accepted')", "accept", tooltip="accept the clip, or the marked ones, and move to the next"
        ),
        Binding("r", "review('rejected')", "reject", tooltip="reject the clip, or the marked ones: stages skip them"),
        Binding(
            "R", "reject", "reject with a note", show=False, tooltip="reject the clip, or the marked ones, with a note"
        ),
        Binding("o", "review('open')", "reopen", show=False, tooltip="open the review again"),
        Binding("e", "edit", "edit", tooltip="edit the transcript in place"),
        Binding("u", "undo", "undo", tooltip="undo the last action"),
        Binding("space", "listen", "listen", tooltip="play the clip, or the marked ones; again: stop"),
        Binding("f", "flagged(1)", "flagged", tooltip="move to the next clip with an error or a warning"),
        Binding("F", "flagged(-1)", "previous flagged", show=False, tooltip="move to the previous flagged clip"),
        Binding("slash,ctrl+f", "filter", "filter", key_display="/", tooltip="filter and sort the clips"),
        Binding("v", "start_review", "review", show=False, tooltip="review the open clips of the filter one by one"),
        Binding("t", "tag", "tag", show=False, tooltip="change the tags of the clip, or of the marked ones"),
        Binding("x", "mark", "mark", show=False, tooltip="mark or unmark the clip"),
        Binding(
            "asterisk", "mark_all", "mark all", show=False, key_display="*", tooltip="mark all clips of the filter"
        ),
        Binding("c", "copy('name')", "copy the name", show=False, tooltip="copy the clip's name"),
        Binding("C", "copy('text')", "copy the transcript", show=False, tooltip="copy the clip's transcript"),
        Binding("X", "mark_none", "unmark all", show=False, tooltip="unmark all clips"),
        Binding(
            "escape", "back", "back", show=False, tooltip="leave the enlarged clip, the review, the marks or the filter"
        ),
    ]

    @dataclass
    class CatalogChanged(Message):
        """The result of a change of the catalog, or its error; `context` is the transcript to save, if it was one."""

        done: ActionResult | None
        fault: Exception | None
        context: object

    def __init__(self) -> None:
        super().__init__()
        self.review: Review | None = None
        self.writer = CatalogWriter(self.reader.open, lambda *result: self.post_message(self.CatalogChanged(*result)))

    def on_mount(self) -> None:
        self.set_interval(1.0, self._show_waiting)

    def _show_waiting(self) -> None:
        if self.writer.is_slow:
            changes = wording.counted(self.writer.waiting, "change")
            self.bar.show_found(f"◌ {changes} not saved yet: the catalog is busy")

    # Changes.

    def _change_marked(self, question: str, change: Change) -> None:
        """Change the marked clips, after a confirmation if they are many."""

        def answered(yes: bool | None) -> None:
            if yes:
                self.writer.submit(change)
                self.action_mark_none()

        if self.table.marks < MANY:
            answered(True)
        else:
            every = f"every clip of {self.filter or 'the catalog'}"
            extent = every if self.table.all_marked else "the marked clips"
            self.app.push_screen(Confirm(question, f"{extent}; u undoes all of it"), answered)

    def action_review(self, status: str) -> None:
        self._review(*self._chosen(), status)

    def action_reject(self) -> None:
        """Ask for a note, and reject."""
        count, chosen = self._chosen()
        marks, row = self.table.marks, self.table.row
        if not count or (row is None and not marks):
            return

        def answered(note: str | None) -> None:
            if note is not None:
                # The dialog does not show the notes of marked clips, so an empty answer keeps them.
                self._review(count, chosen, "rejected", note.strip() or (None if marks else ""))

        if marks or row is None:
            self.app.push_screen(Ask(f"Reject {wording.counted(count, 'clip')}. Note (optional):"), answered)
        else:
            self.app.push_screen(Ask(f"Reject {row['name']}. Note (optional):", row["note"]), answered)

    def _review(self, count: int, chosen: Callable[[], list[int]], status: str, note: str | None = None) -> None:
        if self.table.marks:
            question = f"{VERBS[status]} {wording.counted(count, 'clip')}?"
            self._change_marked(question, lambda catalog, _: interactive.review(catalog, chosen(), status, note))
        elif count:
            # The sign before the clip shows it; no message is needed.
            self.writer.submit(
                lambda catalog, _: replace(interactive.review(catalog, chosen(), status, note), message="")
            )
            self._count(chosen(), status != "open")
            self.table.action_by(1)

    def action_undo(self) -> None:
        self._save()
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
                self._change_marked(f"Tag {clips}?", lambda catalog, _: interactive.tag(catalog, chosen(), words))
            else:
                self.writer.submit(lambda catalog, _: interactive.retag(catalog, chosen()[0], words))

        if marks or row is None:
            question = f"Tags for {wording.counted(count, 'clip')}, separated by spaces; -tag removes one"
            self.app.push_screen(Ask(question), answered)
        else:
            tags = " ".join(split_tags(row["tags"]))
            self.app.push_screen(Ask(f"Tags of {row['name']}, separated by spaces", tags), answered)

    @on(CatalogChanged)
    def catalog_changed(self, message: CatalogChanged) -> None:
        if isinstance(message.fault, FishtuiError):
            self.fishtui.report_error(message.fault)
            line = self.query_one(EditLine)
            if isinstance(message.context, EditLine.Saved) and line.clip is None:
                # Put the typed text back, so that it is not lost.
                before = None if message.fault.code == "changed-meanwhile" else message.context.before
                line.begin(message.context.clip, message.context.text, before)
            if isinstance(message.context, Cutting):
                message.context.forget()
        elif message.fault is not None:
            raise message.fault
        elif message.done is not None:
            if message.done.is_reshaped:
                self._reshape(message.done)
            if message.done.undone:
                self._count(message.done.clips, False)
                if len(message.done.clips) == 1:
                    self.table.move_to(message.done.clips[0])
            if message.done.message:
                self.fishtui.report(message.done.message)
        self.table.reload()
        self.query_one(ClipDetail).reload()
        self.show_totals()
        self.reload()

    def _reshape(self, done: ActionResult) -> None:
        """Show the clips that a split or merge makes, also in a list that a review keeps."""
        if self.is_frozen:
            self.table.replace(done.clips, done.gone)
            if self.review is not None:
                self.review.count = len(self.table.ids)
                self.query_one(ReviewBar).show(self.review)

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
        self.app.call_from_thread(self._start_edit, clip, text)

    def _start_edit(self, clip: int, text: str | FishtuiError) -> None:
        line = self.query_one(EditLine)
        if isinstance(text, FishtuiError):
            self.fishtui.report_error(text)
            line.end()
        elif line.clip == clip:
            line.begin(clip, text, text)

    @on(EditLine.Saved)
    def edited(self, message: EditLine.Saved) -> None:
        clip, text, before = message.clip, message.text, message.before
        self.writer.submit(lambda catalog, settings: interactive.edit(catalog, settings, clip, text, before), message)

    @on(EditInput.TagWanted)
    def tag_wanted(self) -> None:
        """Choose a tag of the style, and insert it where the cursor is."""
        from fishtui.tui.candidates import Candidate
        from fishtui.tui.widgets.chooser import Chooser

        project = self.fishtui.project

        def find(words: str) -> list[Candidate]:
            return [Candidate(tag) for tag in find_style_tags(project, words)]

        def chosen(tag: str | None) -> None:
            if tag is not None and self.query_one(EditLine).clip is not None:
                self.query_one(EditInput).insert_tag(tag)

        self.app.push_screen(Chooser(f"Style tags; {FILE} in the project has its own, one a line", find), chosen)

    @on(EditLine.Closed)
    def edit_closed(self) -> None:
        self.set_focus(self.table)

    # Marks.

    def action_mark(self) -> None:
        self.table.toggle()
        self.show_totals()

    def action_mark_all(self) -> None:
        self.table.mark_all(True)
        self.show_totals()

    def action_mark_none(self) -> None:
        self.table.mark_all(False)
        self.show_totals()

    def action_copy(self, field: str) -> None:
        """Copy the name or the transcript of the clip under the cursor."""
        row = self.table.row
        if row is not None and row[field]:
            self.fishtui.copy(row[field])

    # The review.

    def action_start_review(self) -> None:
        if self.review is None and self.has_catalog:
            before = self.filter
            self.action_mark_none()
            self.review = Review(before, 0)
            self.bar.display = False
            self.apply(only_open(before))

    def _count(self, clips: Sequence[int], decided: bool) -> None:
        """Count clips of the review as decided, or as open again."""
        if self.review is None:
            return
        self.review.decide(clips) if decided else self.review.take_back(clips)
        self.query_one(ReviewBar).show(self.review)
        if decided and self.review.done >= self.review.count:
            self.fishtui.report(f"{wording.counted(self.review.done, 'clip')} reviewed; esc leaves the review")

    def _leave_review(self) -> None:
        if self.review is not None:
            before, self.review, self.is_frozen = self.review.before, None, False
            self.query_one(ReviewBar).show(None)
            self.bar.display = True
            self.apply(before)
            self.refresh_bindings()

    def list_changed(self, whole: bool) -> None:
        if self.review is not None:
            self.review.count = len(self.table.ids)
            # The list is kept from now on, so that decided clips stay in it.
            self.is_frozen = whole
            self.query_one(ReviewBar).show(self.review)

    def empty_text(self) -> str:
        text = super().empty_text()
        if self.review is not None and text and self.has_catalog:
            return "Every clip of this filter is reviewed.\n\nesc  leave the review"
        return text

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "split" and self.review is not None:
            return self.has_catalog
        if self.review is not None and action in ("sort", "reverse", "start_review", "mark", "mark_all"):
            return False
        return super().check_action(action, parameters)

    def go(self, target: str) -> None:
        self._leave_review()
        super().go(target)

    def action_filter(self) -> None:
        # The letters of a filter would accept, reject and edit clips if the key did nothing in a review.
        self._leave_review()
        super().action_filter()

    def action_back(self) -> None:
        if self.has_class("-large"):
            self.action_enlarge()
        elif self.query_one(ClipDetail).has_focus:
            self.set_focus(self.table)
        elif self.review is not None:
            self._leave_review()
        elif self.table.marks:
            self.action_mark_none()
        elif self.filter:
            self.apply("")
