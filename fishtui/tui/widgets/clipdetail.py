"""All details of one clip: its picture, measurements, transcript, findings and history."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.timer import Timer
from textual.worker import get_current_worker

from fishtui.audio.picture import Picture
from fishtui.catalog.details import ClipDetails
from fishtui.errors import FishtuiError
from fishtui.files import state_of
from fishtui.tui.failures import FailureReporter
from fishtui.tui.widgets.clipfacts import facts_of, text_of
from fishtui.tui.widgets.line import Line
from fishtui.tui.widgets.scrollpane import ScrollPane

if TYPE_CHECKING:
    from fishtui.catalog.surroundings import Surroundings
    from fishtui.tui.cutting import Cutting
    from fishtui.tui.widgets.waveform import WaveView

# Returns the surroundings of a clip, given the hash of its audio; if `True`, only those that are quick to read.
ReadAround = Callable[[str | None, bool, Callable[[], bool]], "Surroundings | None"]

# Seconds that the cursor must rest on a clip before its details are read.
DELAY = 0.05
MOST_PICTURES = 32
# The measurements above the picture.
LEVELS = {"loudness": "{:.1f} LUFS", "peak": "peak {:.1f}", "snr": "SNR {:.0f}"}


class ClipDetail(FailureReporter, ScrollPane):
    """The pane below the table, or to its right on a wide terminal."""

    DEFAULT_CSS = """
    ClipDetail {
        height: 9;
        & #columns { height: auto; }
        & #recording { width: 1fr; height: auto; padding-left: 1; }
        & #facts { width: 1fr; height: auto; padding: 0 1 0 2; }
        & #text { height: auto; }
        & #measured { height: 1; color: $text-muted; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "screen.step(-1)", "cursor left", show=False, tooltip="move the cursor in the waveform"),
        Binding("right", "screen.step(1)", "cursor right", show=False, tooltip="move the cursor in the waveform"),
    ]

    @dataclass
    class DetailsRead(Message):
        """The details of a clip, or the reason why they cannot be read."""

        clip: int
        details: ClipDetails | None
        fault: FishtuiError | None

    @dataclass
    class PictureDrawn(Message):
        """The picture of a recording, or the problem that prevented it; `key` changes with the file."""

        path: Path
        key: tuple
        picture: Picture | None
        problem: str

    @dataclass
    class AroundRead(Message):
        """The surroundings of a clip in its recording, None if they are not shown."""

        clip: int
        around: Surroundings | None

    def __init__(self, read: Callable[[int], ClipDetails], read_around: ReadAround) -> None:
        """`read` and `read_around` are called in a thread, and may raise FishtuiError."""
        super().__init__()
        self.clip: int | None = None
        self.details: ClipDetails | None = None
        self._read_details = read
        self._read_around = read_around
        self._around: tuple[int, Surroundings] | None = None
        self._cutting: Cutting | None = None
        self._drawn: tuple[Picture | None, str] = (None, "")
        self._path: Path | None = None
        self._pictures: OrderedDict[tuple, tuple[Picture | None, str]] = OrderedDict()
        self._waiting: Timer | None = None

    def compose(self) -> ComposeResult:
        # Imported here, because nothing of it is needed before there is a clip.
        from fishtui.tui.widgets.waveform import Waveform

        with Horizontal(id="columns"):
            with Vertical(id="recording"):
                yield Line(id="measured")
                yield Waveform()
                yield Line(id="text")
            yield Line(id="facts")

    def show(self, clip: int | None) -> None:
        """Show another clip, once the cursor rests on it."""
        if clip != self.clip:
            self.clip = clip
            self.scroll_home(animate=False)
        self.reload()

    def reload(self) -> None:
        """Read the clip again."""
        if self._waiting is not None:
            self._waiting.stop()
        if self.clip is None:
            self._clear("")
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
        self.post_message(self.DetailsRead(clip, details, fault))

    def on_clip_detail_details_read(self, message: DetailsRead) -> None:
        if message.clip != self.clip:
            message.stop()
            return
        self.details = message.details
        if message.details is None:
            problem = message.fault.problem if message.fault else ""
            self._clear(f"Cannot show this clip: {problem}")
            return
        self._show_details(message.details)
        self._path = message.details.audio
        if self._path is None:
            self._show_picture(None, "no picture: the clip does not have exactly one recording")
        else:
            self._draw(self._path)
        if message.details.cut is not None:
            self._load_around(message.clip, message.details.row["audio_hash"], self._cutting is None)

    def _clear(self, reason: str) -> None:
        self.details, self._path = None, None
        self._around = None
        self._show_picture(None, "")
        self.query_one("#measured", Line).show("")
        self.query_one("#text", Line).show("")
        self.query_one("#facts", Line).show(reason)

    # The picture.

    def _show_picture(self, picture: Picture | None, problem: str) -> None:
        """Show the picture of the clip; that of its surroundings, if it is known."""
        from fishtui.tui.widgets.waveform import Waveform

        self._drawn = picture, problem
        view = self._view()
        if view is not None and self._around is not None:
            picture, problem = self._around[1].picture, ""
        self.query_one(Waveform).show(picture, problem, view)

    def _view(self) -> WaveView | None:
        """The place of the clip in the picture of its surroundings; None if that picture is of another part."""
        details, cut = self.details, self.details.cut if self.details is not None else None
        if details is None or cut is None or self._around is None or self._around[0] != details.row["id"]:
            return None
        from fishtui.tui.cutting import view_of

        around = self._around[1]
        if around.cut.source != cut.source or not around.start <= cut.start < cut.end <= around.end:
            return None
        cutting = self._cutting if self._cutting is not None and self._cutting.clip == self.clip else None
        return view_of(around, cut, cutting)

    def mark(self, cutting: Cutting | None) -> None:
        """Show the unsaved changes of the clip's cut, or none."""
        self._cutting = cutting
        self._show_picture(*self._drawn)

    def show_around(self, cutting: Cutting) -> None:
        """Read and show the surroundings of the clip, also if that takes long."""
        self._cutting = cutting
        if self._view() is None and self.details is not None and self.clip is not None:
            self._load_around(self.clip, self.details.row["audio_hash"], False)

    @work(thread=True, exclusive=True, group="around", exit_on_error=False)
    def _load_around(self, clip: int, audio_hash: str | None, only_quick: bool) -> None:
        worker = get_current_worker()
        try:
            around = self._read_around(audio_hash, only_quick, lambda: not worker.is_cancelled)
        except FishtuiError:
            # A change of the cut reports what is wrong with the recording.
            around = None
        if not worker.is_cancelled:
            self.post_message(self.AroundRead(clip, around))

    def on_clip_detail_around_read(self, message: AroundRead) -> None:
        message.stop()
        if message.clip == self.clip and message.around is not None:
            self._around = message.clip, message.around
            self._show_picture(*self._drawn)

    @work(thread=True, exclusive=True, group="picture", exit_on_error=False)
    def _draw(self, path: Path) -> None:
        """Draw a recording, unless its picture is in the cache; long mp3 files take seconds."""
        worker = get_current_worker()
        try:
            status = path.stat()
            key: tuple = (path, *state_of(status))
        except OSError:
            key = (path,)
        if key in self._pictures:
            self.post_message(self.PictureDrawn(path, key, *self._pictures[key]))
            return
        picture, problem = None, ""
        try:
            from fishtui.audio.draw import draw

            picture = draw(path, lambda: not worker.is_cancelled)
        except FishtuiError as error:
            problem = f"✗ {error.problem}  {error.remedy}"
        if not worker.is_cancelled:
            self.post_message(self.PictureDrawn(path, key, picture, problem))

    def on_clip_detail_picture_drawn(self, message: PictureDrawn) -> None:
        message.stop()
        if len(message.key) > 1:
            self._pictures[message.key] = (message.picture, message.problem)
            self._pictures.move_to_end(message.key)
            if len(self._pictures) > MOST_PICTURES:
                self._pictures.popitem(last=False)
        if message.path == self._path:
            self._show_picture(message.picture, message.problem)

    # The text.

    def _show_details(self, details: ClipDetails) -> None:
        levels = [
            form.format(details.measured[name])
            for name, form in LEVELS.items()
            if details.measured.get(name) is not None
        ]
        self.query_one("#measured", Line).show(Text("  ".join(levels), no_wrap=True, overflow="ellipsis"))
        self.query_one("#text", Line).show(text_of(details))
        self.query_one("#facts", Line).show(facts_of(details))
