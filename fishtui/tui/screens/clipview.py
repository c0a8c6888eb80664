"""Browsing clips: a filter, the table of its clips, and one clip in full; `clips.py` adds the decisions."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical
from textual.content import Content
from textual.message import Message

from fishtui.catalog.filter import order_of, sorted_by
from fishtui.catalog.lookup import Ids
from fishtui.catalog.summary import Totals
from fishtui.errors import FishtuiError, MisuseError
from fishtui.sanitize import harmless
from fishtui.tui.clipreader import ClipList, ClipReader
from fishtui.tui.screen import MainScreen
from fishtui.tui.widgets.clipcolumns import ORDERS
from fishtui.tui.widgets.clipdetail import ClipDetail
from fishtui.tui.widgets.clipfacts import title_of
from fishtui.tui.widgets.clipheader import ClipHeader
from fishtui.tui.widgets.cliptable import ClipTable
from fishtui.tui.widgets.editline import EditLine
from fishtui.tui.widgets.filterbar import FilterBar, FilterInput
from fishtui.tui.widgets.line import Line
from fishtui.tui.widgets.panetitle import PaneTitle
from fishtui.tui.widgets.reviewbar import ReviewBar
from fishtui.tui.widgets.totals import describe_totals

FLAGGED = "finding:any"

# Actions that need a clip.
OF_CLIPS = {"review", "edit", "undo", "listen", "flagged", "filter", "move_edge", "split", "merge"}


class ClipView(MainScreen[ClipList | None]):
    """The dataset as a table, and one clip in full below it."""

    AUTO_FOCUS = "ClipTable"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (160, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-tiny"), (18, "-low"), (34, "-high")]  # noqa: RUF012
    DEFAULT_CSS = """
    ClipView {
        & #panes { height: 1fr; layout: vertical; }
        & #list { height: 1fr; }
        & #detail { height: 10; }
        & ClipDetail { height: 1fr; }
        & #empty { display: none; height: 1fr; padding: 1 2; color: $text-muted; }
        &.-tiny #detail { height: 2; }
        &.-high #detail { height: 17; }
        &.-high Waveform { height: 9; }
        &.-large #detail { height: 1fr; }
        &.-large #list { height: 6; }
        &.-large Waveform { height: 9; }
        &.-large.-high Waveform { height: 15; }
        &.-wide #panes { layout: horizontal; }
        &.-wide #list { width: 1fr; height: 1fr; }
        &.-wide #detail { width: 64; height: 1fr; padding-left: 1; }
        &.-wide.-large #detail { width: 50%; }
        &.-wide ClipDetail #columns { layout: vertical; }
        &.-wide ClipDetail #facts { padding: 1 1 0 1; }
        &.-empty #panes { display: none; }
        &.-empty #empty { display: block; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "scan", "scan", tooltip="find the clips on disk"),
        Binding("s", "sort", "sort", show=False, tooltip="sort by the next field"),
        Binding("enter", "enlarge", "enlarge", show=False, tooltip="enlarge the clip, or shrink it again"),
        Binding(
            "tab,shift+tab", "other_pane", "other pane", show=False, tooltip="switch between the table and the clip"
        ),
        Binding("ctrl+r", "measure", "measure", show=False, tooltip="scan the disk, and measure new clips"),
    ]

    @dataclass
    class ClipFound(Message):
        """The result of a search: a clip and its position in the list; None if no clip was found."""

        clip: int | None
        position: int

    def __init__(self) -> None:
        super().__init__()
        self.filter = ""
        # A review keeps its list while clips change.
        self.is_frozen = False
        self.totals: Totals | None = None
        self.is_whole = True
        self.has_catalog = True
        self._shown: tuple[object, ...] = ()
        self._empty_text = ""
        # The filter whose clips could not be read last.
        self._failed: str | None = None
        self.reader = ClipReader(lambda: self.fishtui.project)

    def compose_body(self) -> ComposeResult:
        yield FilterBar()
        yield ReviewBar()
        yield Line(id="empty")
        with Container(id="panes"):
            with Vertical(id="list"):
                table = ClipTable(self.reader.rows)
                yield ClipHeader(table)
                yield table
            with Vertical(id="detail"):
                yield PaneTitle("", id="clip")
                yield EditLine()
                yield ClipDetail(self.reader.details, self.reader.surroundings)

    @property
    def table(self) -> ClipTable:
        """The table of clips."""
        return self.query_one(ClipTable)

    @property
    def bar(self) -> FilterBar:
        """The filter bar."""
        return self.query_one(FilterBar)

    # Reading.

    def read(self) -> ClipList | None:
        wanted = self.filter
        try:
            return self.reader.read_list(
                wanted,
                lambda: wanted == self.filter,
                lambda first: self.post_message(self.SnapshotRead(first, None)),
            )
        except Exception:
            self._failed = wanted
            raise

    def show(self, snapshot: ClipList | None) -> None:
        if snapshot is None or snapshot.filter != self.filter:
            return
        self.table.ready.set()
        shown = (self.filter, self.fishtui.project)
        # Within one filter the cursor stays on its clip, which may be beyond the first clips.
        keep = self._shown == shown
        if keep and not snapshot.whole:
            return
        self._shown = shown
        self.totals, self.is_whole = snapshot.totals, snapshot.whole
        self.has_catalog = snapshot.ids is not None
        if self.is_frozen and keep:
            self.table.reload()
        else:
            self.table.show(snapshot.ids if snapshot.ids is not None else array("q"), keep)
            self.list_changed(snapshot.whole)
        self.query_one(ClipDetail).reload()
        self.show_totals()

    def show_fault(self, error: FishtuiError | None) -> None:
        super().show_fault(error)
        # Keys wait on if the error is that of a reading which that of another filter interrupted.
        if error is not None and self._failed == self.filter:
            self.table.ready.set()

    def list_changed(self, whole: bool) -> None:
        """Called after the table shows another list; `whole` is False for the first clips of one."""

    def show_totals(self) -> None:
        """Show the totals above the table, and a text in place of an empty table."""
        totals, found = self.totals, len(self.table.ids)
        self.query_one("#title", PaneTitle).show(describe_totals(totals) if totals else "")
        marks = f"{self.table.marks:,} marked of " if self.table.marks else ""
        self.bar.show_found(f"{marks}{found:,}{'' if self.is_whole else '…'} found" if totals or found else "")
        self.query_one(ClipHeader).show(order_of(self.filter))
        text = self.empty_text()
        if text != self._empty_text:
            self._empty_text = text
            self.set_class(bool(text), "-empty")
            self.query_one("#empty", Line).show(Content(text))
            # Only an empty dataset has the key that scans.
            self.refresh_bindings()

    def empty_text(self) -> str:
        """Return the text in place of an empty table, with the next step; "" if the table has clips."""
        if not self.has_catalog or (self.totals is not None and not self.totals.clips and self.is_whole):
            try:
                project = self.fishtui.project
                data = harmless(project.shown(project.path(self.fishtui.loaded.values.paths.data)))
            except MisuseError:
                # The command that needs the settings reports what is wrong with them.
                data = "paths.data"
            state = f"No clips in {data} yet." if self.has_catalog else "The dataset has not been scanned yet."
            return (
                f"{state}\n\nPut recordings into {data} as SPEAKER/clip.wav, with the spoken words in\n"
                "SPEAKER/clip.lab; or import another layout with  :import\n\ns  scan the dataset"
            )
        if self.totals is not None and self.is_whole and not len(self.table.ids):
            return "No clips match.\n\n/  change the filter\nesc  show all clips"
        return ""

    def on_clip_table_moved(self, message: ClipTable.Moved) -> None:
        self.query_one(ClipDetail).show(message.clip)

    def on_clip_table_widths_changed(self) -> None:
        self.query_one(ClipHeader).refresh()

    def on_clip_table_rows_read(self, message: ClipTable.RowsRead) -> None:
        self.show_fault(message.fault)

    def on_clip_detail_details_read(self, message: ClipDetail.DetailsRead) -> None:
        name, summary = title_of(message.details) if message.details is not None else ("deleted", "")
        self.query_one("#clip", PaneTitle).show(summary, name)

    # Filter and order.

    def go(self, target: str) -> None:
        try:
            self.apply(target)
        except MisuseError as error:
            self.fishtui.report_error(error)

    def apply(self, text: str) -> None:
        """Show the clips of a filter. Raises MisuseError if its syntax is wrong."""
        order_of(text)
        if self.table.all_marked:
            self.table.mark_all(False)
        self.filter = text
        self.bar.show(text)
        self.reader.forget()
        self.table.ready.clear()
        self._read()

    def action_filter(self) -> None:
        self.bar.begin()
        self._load_words()

    @work(thread=True, exclusive=True, group="words", exit_on_error=False)
    def _load_words(self) -> None:
        try:
            self.bar.suggester.words = self.reader.words()
        except FishtuiError:
            # Without words nothing is completed; the table shows the error.
            return

    @on(FilterBar.Applied)
    def filter_applied(self, message: FilterBar.Applied) -> None:
        self.set_focus(self.table)
        self.apply(message.text)

    @on(FilterBar.Checked)
    def filter_checked(self, message: FilterBar.Checked) -> None:
        self.query_one(ClipHeader).show(problem=message.problem)

    @on(FilterInput.Cancelled)
    def filter_cancelled(self) -> None:
        self.set_focus(self.table)

    @on(ClipHeader.Clicked)
    def heading_clicked(self, message: ClipHeader.Clicked) -> None:
        sort = order_of(self.filter)
        self.apply(sorted_by(self.filter, message.field, sort.field == message.field and not sort.descending))

    def action_sort(self) -> None:
        field = order_of(self.filter).field
        after = ORDERS[(ORDERS.index(field) + 1) % len(ORDERS)] if field in ORDERS else ORDERS[0]
        self.apply(sorted_by(self.filter, after, False))

    def action_reverse(self) -> None:
        sort = order_of(self.filter)
        self.apply(sorted_by(self.filter, sort.field, not sort.descending))

    # Other actions.

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "scan":
            return not self.has_catalog or (self.totals is not None and not self.totals.clips)
        # Without clips, the last line names only the keys that lead to some.
        return self.has_catalog or action not in OF_CLIPS

    def action_scan(self) -> None:
        self.fishtui.run_in_background("scan")

    def action_measure(self) -> None:
        self.fishtui.run_in_background("validate")

    def action_flagged(self, step: int) -> None:
        if len(self.table.ids):
            self._find(self.table.ids, self.table.position, step)

    # Textual's own description of a worker would format all the numbers.
    @work(thread=True, exclusive=True, group="find", exit_on_error=False, description="find")
    def _find(self, ids: Ids, position: int, step: int) -> None:
        try:
            place = self.reader.find_next(ids, position, step, FLAGGED)
        except FishtuiError as error:
            self.app.call_from_thread(self.fishtui.report_error, error)
            return
        self.post_message(self.ClipFound(None if place is None else ids[place], place or 0))

    @on(ClipFound)
    def clip_found(self, message: ClipFound) -> None:
        if message.clip is None:
            self.fishtui.report("no other clip of the list has an error or a warning")
        elif self.table.ids[message.position : message.position + 1].count(message.clip):
            self.table.move(message.position)

    def action_enlarge(self) -> None:
        self.toggle_class("-large")
        self.set_focus(self.query_one(ClipDetail) if self.has_class("-large") else self.table)

    def action_other_pane(self) -> None:
        self.set_focus(self.query_one(ClipDetail) if self.table.has_focus else self.table)
