"""All about one clip: how it looks and measures, what is said in it, what was found and done."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.timer import Timer
from textual.widgets import Static
from textual.worker import get_current_worker

from fishtui import glyphs, wording
from fishtui.audio.picture import Picture
from fishtui.catalog.details import ClipDetails
from fishtui.checks.registry import CHECKS
from fishtui.errors import FishtuiError
from fishtui.sanitize import harmless
from fishtui.tui.failures import FailureReporter

# Whoever runs through the table is not to wait for what he passes by, in seconds.
DELAY = 0.05
DRAWING_DELAY = 0.1
MOST_PICTURES = 32
# What is told of a recording above its picture, and of its silence among the rest.
LEVELS = {"loudness": "{:.1f} LUFS", "peak": "peak {:.1f}", "snr": "SNR {:.0f}"}
SILENCE = {"lead": "before", "trail": "after", "gap": "inside at most"}
MUTED = "dim"


class ClipDetail(FailureReporter, VerticalScroll, can_focus=True):
    """The pane below or beside the table."""

    DEFAULT_CSS = """
    ClipDetail {
        height: 9; scrollbar-size-vertical: 1;
        & #both { height: auto; }
        & #seen { width: 1fr; height: auto; padding-left: 1; }
        & #told { width: 1fr; height: auto; padding: 0 1 0 2; }
        & #text { height: auto; }
        & #measured { height: 1; color: $text-muted; }
        &:focus { scrollbar-color: $accent; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "scroll_down", "down", show=False, tooltip="scroll down"),
        Binding("up,k", "scroll_up", "up", show=False, tooltip="scroll up"),
        Binding("home,g", "scroll_home", "top", show=False, tooltip="to the top"),
        Binding("end,G", "scroll_end", "end", show=False, tooltip="to the end"),
    ]

    class Loaded(Message):
        """What was read of a clip, or why it could not be."""

        def __init__(self, clip: int, details: ClipDetails | None, fault: FishtuiError | None) -> None:
            super().__init__()
            self.clip = clip
            self.details = details
            self.fault = fault

    class Drawn(Message):
        """The picture of a recording, or why there is none."""

        def __init__(self, path: Path, key: tuple, picture: Picture | None, fault: str) -> None:
            super().__init__()
            self.path = path
            self.key = key
            self.picture = picture
            self.fault = fault

    def __init__(self, read: Callable[[int], ClipDetails]) -> None:
        """`read` is called in a thread, and may raise FishtuiError."""
        super().__init__()
        self.clip: int | None = None
        self.details: ClipDetails | None = None
        self._read_details = read
        self._path: Path | None = None
        self._pictures: OrderedDict[tuple, tuple[Picture | None, str]] = OrderedDict()
        self._waiting: Timer | None = None

    def compose(self) -> ComposeResult:
        # Imported here: nothing of it is needed before there is a clip.
        from fishtui.tui.widgets.waveform import Waveform

        with Horizontal(id="both"):
            with Vertical(id="seen"):
                yield Static("", id="measured", markup=False)
                yield Waveform()
                yield Static("", id="text", markup=False)
            yield Static("", id="told", markup=False)

    def look_at(self, clip: int | None) -> None:
        """Show another clip, once the cursor has come to rest."""
        if clip != self.clip:
            self.clip = clip
            self.scroll_home(animate=False)
        self.reload()

    def reload(self) -> None:
        """Read the clip again."""
        if self._waiting is not None:
            self._waiting.stop()
        if self.clip is None:
            self._empty("")
        else:
            self._waiting = self.set_timer(DELAY, self._load_now)

    def _load_now(self) -> None:
        if self.clip is not None:
            self._load(self.clip)

    @work(thread=True, exclusive=True, group="details", exit_on_error=False)
    def _load(self, clip: int) -> None:
        details, fault = None, None
        try:
            details = self._read_details(clip)
        except FishtuiError as error:
            fault = error
        self.post_message(self.Loaded(clip, details, fault))

    def on_clip_detail_loaded(self, message: Loaded) -> None:
        if message.clip != self.clip:
            message.stop()
            return
        self.details = message.details
        if message.details is None:
            problem = message.fault.problem if message.fault else ""
            self._empty(f"This clip can't be shown any more: {problem}.")
            return
        self._show(message.details)
        self._path = message.details.audio
        if self._path is None:
            self._draw_told("no single recording to draw")
        else:
            self._draw(self._path)

    def _empty(self, told: str) -> None:
        self.details, self._path = None, None
        self._draw_told("")
        self.query_one("#measured", Static).update("")
        self.query_one("#text", Static).update("")
        self.query_one("#told", Static).update(Text(harmless(told)))

    # The picture.

    def _draw_told(self, told: str, picture: Picture | None = None) -> None:
        from fishtui.tui.widgets.waveform import Waveform

        self.query_one(Waveform).show(picture, told)

    @work(thread=True, exclusive=True, group="picture", exit_on_error=False)
    def _draw(self, path: Path) -> None:
        """Draw a recording, unless it is drawn already; several seconds of mp3 take a while."""
        worker = get_current_worker()
        try:
            status = path.stat()
            key: tuple = (path, status.st_mtime_ns, status.st_size)
        except OSError:
            key = (path,)
        if key in self._pictures:
            self.post_message(self.Drawn(path, key, *self._pictures[key]))
            return
        picture, fault = None, ""
        try:
            from fishtui.audio.draw import draw

            picture = draw(path, lambda: not worker.is_cancelled)
        except FishtuiError as error:
            fault = f"✗ {error.problem}  {error.remedy}"
        if not worker.is_cancelled:
            self.post_message(self.Drawn(path, key, picture, fault))

    def on_clip_detail_drawn(self, message: Drawn) -> None:
        message.stop()
        if len(message.key) > 1:
            self._pictures[message.key] = (message.picture, message.fault)
            self._pictures.move_to_end(message.key)
            if len(self._pictures) > MOST_PICTURES:
                self._pictures.popitem(last=False)
        if message.path == self._path:
            self._draw_told(message.fault, message.picture)

    # The words.

    def _show(self, details: ClipDetails) -> None:
        row = details.row
        measures = [
            words.format(details.measured[name])
            for name, words in LEVELS.items()
            if details.measured.get(name) is not None
        ]
        self.query_one("#measured", Static).update(Text("  ".join(measures), no_wrap=True, overflow="ellipsis"))
        text = (row["text"] or "").strip()
        missing = Text("no transcript: e writes one", style="italic")
        self.query_one("#text", Static).update(Text(harmless(text), overflow="fold") if text else missing)
        self.query_one("#told", Static).update(self._told(details))

    def _told(self, details: ClipDetails) -> Content:
        row = details.row
        parts: list[tuple[str, str]] = []
        for each in sorted(details.findings, key=lambda found: -found.severity):
            # Another release may know other checks.
            check = CHECKS.get(each.code)
            parts.append((f"{glyphs.SIGN[each.severity]} {harmless(each.code)}", f"$text-{glyphs.TONE[each.severity]}"))
            of = "" if each.id is not None else "the speaker: "
            parts.append((f"  {of}{harmless(each.detail)}\n", ""))
            if check is not None:
                repair = f" `:clips fix {each.code} {each.id}`" if check.fix and each.id is not None else ""
                parts.append((f"{check.remedy}{repair}\n", MUTED))
        if not details.findings:
            parts.append(("nothing was found\n" if details.measured else "not measured yet: ctrl+r does\n", MUTED))
        if row["status"] != "open":
            parts.append((f"{glyphs.SIGN[row['status']]} {row['status']}", "bold"))
            parts.append((f" by {harmless(row['reviewer'])}, {row['reviewed'][:16].replace('T', ' ')}\n", ""))
        if row["note"]:
            parts.append((f"  {harmless(row['note'])}\n", ""))
        if row["tags"]:
            parts.append((f"tags  {harmless(row['tags'].strip('|').replace('|', ' '))}\n", ""))
        if row["frames"]:
            parts.append((f"codes {row['codes']}, {row['frames']:,} frames\n", MUTED))
        if "lead" in details.measured:
            silence = ", ".join(f"{details.measured[name]:.2f} s {where}" for name, where in SILENCE.items())
            parts.append((f"silence {silence}\n", MUTED))
        parts += [(f"{harmless(line)}\n", MUTED) for line in reversed(details.history)]
        return Content.assemble(*parts).rstrip()


def title_of(details: ClipDetails) -> tuple[str, str]:
    """What stands above the pane: the clip's name, and what its recording is."""
    row = details.row
    name = row["name"] if "/" not in row["files"] else f"{row['name']}  ({row['files']})"
    if not row["format"]:
        return name, row["files"] or "no recording"
    channels = {1: "mono", 2: "stereo"}.get(row["channels"], f"{row['channels']} channels")
    subtype = row["subtype"].lower().replace("_", " ")
    told = f"{row['format'].lower()} {subtype} · {row['sample_rate'] / 1000:g} kHz {channels}"
    return name, f"{told} · {wording.seconds(row['duration'])}"
