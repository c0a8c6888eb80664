"""Looking through clips: a filter, the table of what it selects, one clip in full; decisions are made elsewhere."""

from __future__ import annotations

from array import array
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical
from textual.message import Message
from textual.widgets import Static

from fishtui import wording
from fishtui.catalog.filter import order_of, sorted_by
from fishtui.catalog.lookup import Ids
from fishtui.catalog.summary import Totals
from fishtui.errors import FishtuiError, MisuseError
from fishtui.tui.clipreader import ClipReader, Snapshot
from fishtui.tui.screen import MainScreen
from fishtui.tui.widgets.clipcolumns import ORDERS
from fishtui.tui.widgets.clipdetail import ClipDetail, title_of
from fishtui.tui.widgets.cliptable import ClipHeader, ClipTable
from fishtui.tui.widgets.editline import EditLine
from fishtui.tui.widgets.filterbar import FilterBar, FilterInput
from fishtui.tui.widgets.panetitle import PaneTitle
from fishtui.tui.widgets.reviewbar import ReviewBar

FLAGGED = "finding:any"


class ClipView(MainScreen[Snapshot | None]):
    """The dataset as a table, and one clip in full below it."""

    AUTO_FOCUS = "ClipTable"
    HORIZONTAL_BREAKPOINTS = [(0, "-below"), (160, "-beside")]  # noqa: RUF012
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
        &.-beside #panes { layout: horizontal; }
        &.-beside #list { width: 1fr; height: 1fr; }
        &.-beside #detail { width: 64; height: 1fr; padding-left: 1; }
        &.-beside.-large #detail { width: 50%; }
        &.-beside ClipDetail #both { layout: vertical; }
        &.-beside ClipDetail #told { padding: 1 1 0 1; }
        &.-empty #panes { display: none; }
        &.-empty #empty { display: block; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "scan", "scan", tooltip="look for clips on disk"),
        Binding("s", "sort", "sort", show=False, tooltip="sort by the next field"),
        Binding("S", "turn", "turn round", show=False, tooltip="turn the order round"),
        Binding("enter", "enlarge", "detail", show=False, tooltip="give the clip more room, or less"),
        Binding("tab,shift+tab", "other_pane", "other pane", show=False, tooltip="between the table and the clip"),
        Binding("ctrl+r", "measure", "measure", show=False, tooltip="scan the disk, and measure what is new"),
    ]

    class Found(Message):
        """Where a search has ended; None for nowhere."""

        def __init__(self, clip: int | None, position: int) -> None:
            super().__init__()
            self.clip = clip
            self.position = position

    def __init__(self) -> None:
        super().__init__()
        self.filter = ""
        # A list that stays as it is, whatever changes: that of a review.
        self.frozen = False
        self.totals: Totals | None = None
        self.whole = True
        self.missing = False
        self._shown: tuple[object, ...] = ()
        self._told = ""
        self.reader = ClipReader(self)

    def compose_body(self) -> ComposeResult:
        yield FilterBar()
        yield ReviewBar()
        yield Static("", id="empty", markup=False)
        with Container(id="panes"):
            with Vertical(id="list"):
                table = ClipTable(self.reader.rows)
                yield ClipHeader(table)
                yield table
            with Vertical(id="detail"):
                yield PaneTitle("", id="clip")
                yield EditLine()
                yield ClipDetail(self.reader.details)

    @property
    def table(self) -> ClipTable:
        """The table of clips."""
        return self.query_one(ClipTable)

    @property
    def bar(self) -> FilterBar:
        """The filter bar."""
        return self.query_one(FilterBar)

    # What is read.

    def read(self) -> Snapshot | None:
        wanted = self.filter
        return self.reader.snapshot(
            wanted,
            lambda: wanted == self.filter,
            lambda first: self.post_message(self.SnapshotRead(first, None)),
        )

    def show(self, snapshot: Snapshot | None) -> None:
        if snapshot is None or snapshot.filter != self.filter:
            return
        self.table.ready.set()
        shown = (self.filter, self.fishtui.project)
        # Of the same filter's clips the cursor stays on its own, for which all of them have to be known.
        keep = self._shown == shown
        if keep and not snapshot.whole:
            return
        self._shown = shown
        self.totals, self.missing, self.whole = snapshot.totals, snapshot.ids is None, snapshot.whole
        if self.frozen and keep:
            self.table.reload()
        else:
            self.table.show(snapshot.ids if snapshot.ids is not None else array("q"), keep)
            self.listed(snapshot.whole)
        self.query_one(ClipDetail).reload()
        self.say()

    def show_fault(self, error: FishtuiError | None) -> None:
        super().show_fault(error)
        # Not if that was an earlier reading, which the one that goes on has broken off.
        if error is not None and not self.is_busy("read"):
            self.table.ready.set()

    def listed(self, whole: bool) -> None:
        """The table shows another list."""

    def say(self) -> None:
        """Renew the figures above the table, and what stands in its place if it is empty."""
        totals, found = self.totals, len(self.table.ids)
        summary = f"{wording.counted(totals.clips, 'clip')} · {wording.seconds(totals.seconds)}" if totals else ""
        flagged = f" · {totals.flagged:,} flagged" if totals else ""
        self.query_one("#title", PaneTitle).show(summary + flagged)
        marks = f"{self.table.marks:,} marked of " if self.table.marks else ""
        self.bar.say(f"{marks}{found:,}{'' if self.whole else '…'} found" if totals or found else "")
        self.query_one(ClipHeader).show(order_of(self.filter))
        told = self.told_empty()
        if told != self._told:
            self._told = told
            self.set_class(bool(told), "-empty")
            self.query_one("#empty", Static).update(told)
            # There is another key then: that which scans.
            self.refresh_bindings()

    def told_empty(self) -> str:
        """What stands in place of an empty table, and says what to do; "" if it is not empty."""
        if self.missing or (self.totals is not None and not self.totals.clips and self.whole):
            try:
                data = self.fishtui.project.shown(self.fishtui.project.path(self.fishtui.loaded.values.paths.data))
            except MisuseError:
                # What is wrong with the settings, whatever needs them says.
                data = "paths.data"
            state = "The dataset has not been scanned yet." if self.missing else f"There are no clips in {data}."
            return (
                f"{state}\n\nPut recordings into {data} as SPEAKER/clip.wav, with what is said in clip.lab beside it,\n"
                "or take over another layout:  :import\n\ns  scans the dataset"
            )
        if self.totals is not None and self.whole and not len(self.table.ids):
            return "No clip is such.\n\n/  changes the filter\nesc  shows all clips"
        return ""

    def on_clip_table_moved(self, message: ClipTable.Moved) -> None:
        self.query_one(ClipDetail).look_at(message.clip)

    def on_clip_table_widened(self) -> None:
        self.query_one(ClipHeader).refresh()

    def on_clip_table_fetched(self, message: ClipTable.Fetched) -> None:
        self.show_fault(message.fault)

    def on_clip_detail_loaded(self, message: ClipDetail.Loaded) -> None:
        name, told = title_of(message.details) if message.details is not None else ("gone", "")
        self.query_one("#clip", PaneTitle).show(told, name)

    # Filter and order.

    def go(self, target: str) -> None:
        try:
            self.apply(target)
        except MisuseError as error:
            self.fishtui.report_error(error)

    def apply(self, text: str) -> None:
        """Show the clips of a filter. Raises MisuseError if it can't be read."""
        order_of(text)
        if self.table.everything:
            self.table.mark_all(False)
        self.filter = text
        self.bar.put(text)
        self.reader.forget()
        self.table.ready.clear()
        self._read()

    def action_filter(self) -> None:
        self.set_focus(self.bar.input)
        self._learn_words()

    @work(thread=True, exclusive=True, group="words", exit_on_error=False)
    def _learn_words(self) -> None:
        try:
            self.bar.suggester.words = self.reader.words()
        except FishtuiError:
            # Then there is nothing to complete with; the table says what is wrong.
            return

    @on(FilterBar.Applied)
    def filter_applied(self, message: FilterBar.Applied) -> None:
        self.set_focus(self.table)
        self.apply(message.text)

    @on(FilterBar.Checked)
    def filter_checked(self, message: FilterBar.Checked) -> None:
        self.query_one(ClipHeader).show(problem=message.problem)

    @on(FilterInput.Left)
    def filter_left(self) -> None:
        self.set_focus(self.table)

    @on(ClipHeader.Clicked)
    def heading_clicked(self, message: ClipHeader.Clicked) -> None:
        sort = order_of(self.filter)
        self.apply(sorted_by(self.filter, message.field, sort.field == message.field and not sort.descending))

    def action_sort(self) -> None:
        field = order_of(self.filter).field
        after = ORDERS[(ORDERS.index(field) + 1) % len(ORDERS)] if field in ORDERS else ORDERS[0]
        self.apply(sorted_by(self.filter, after, False))

    def action_turn(self) -> None:
        sort = order_of(self.filter)
        self.apply(sorted_by(self.filter, sort.field, not sort.descending))

    # Going about.

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "scan":
            return self.missing or (self.totals is not None and not self.totals.clips)
        return True

    def action_scan(self) -> None:
        self.fishtui.run_command("scan")

    def action_measure(self) -> None:
        self.fishtui.run_command("validate")

    def action_flagged(self, step: int) -> None:
        if len(self.table.ids):
            self._find(self.table.ids, self.table.position, step)

    # Described, or else Textual would describe it by all of the numbers.
    @work(thread=True, exclusive=True, group="find", exit_on_error=False, description="find")
    def _find(self, ids: Ids, position: int, step: int) -> None:
        try:
            place = self.reader.next_with(ids, position, step, FLAGGED)
        except FishtuiError as error:
            self.app.call_from_thread(self.fishtui.report_error, error)
            return
        self.post_message(self.Found(None if place is None else ids[place], place or 0))

    @on(Found)
    def found(self, message: Found) -> None:
        if message.clip is None:
            self.fishtui.report("no clip here has an error or a warning")
        elif self.table.ids[message.position : message.position + 1].count(message.clip):
            self.table.move(message.position)

    def action_enlarge(self) -> None:
        self.toggle_class("-large")
        self.set_focus(self.query_one(ClipDetail) if self.has_class("-large") else self.table)

    def action_other_pane(self) -> None:
        self.set_focus(self.query_one(ClipDetail) if self.table.has_focus else self.table)
