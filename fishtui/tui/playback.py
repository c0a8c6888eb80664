"""Playback from the interface: on this host, or in a browser on the user's own computer."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen

from fishtui import wording
from fishtui.errors import FishtuiError
from fishtui.listen.links import is_remote, ssh_line
from fishtui.listen.player import Player, player_of
from fishtui.listen.server import Offer, Server
from fishtui.tui.host import Host
from fishtui.tui.widgets.line import Line


class Playback:
    """Plays and serves recordings for as long as the app runs."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.player = Player(self._report_error)
        self.server: Server | None = None
        self._playing: Sequence[Offer] = ()
        # True if the latest recordings were served, False if they were played on this host.
        self._is_served = False
        self._lock = threading.Lock()
        self._turn = 0
        self._closed = False

    def play(self, offers: Sequence[Offer], serve: bool = False) -> None:
        """Play recordings, or stop if they play now; serve them with `serve`, or if this host has no sound."""
        self._turn += 1
        turn = self._turn
        self.host.run_worker(lambda: self._play(turn, offers, serve), thread=True, group="play", exit_on_error=False)

    def _play(self, turn: int, offers: Sequence[Offer], serve: bool) -> None:
        with self._lock:
            # Only the last key of a quick sequence counts.
            if turn != self._turn or self._closed:
                return
            missing = next((each for each in offers if not each.path.is_file()), None)
            if missing is not None:
                remedy = "Check its folder, then scan the dataset."
                error = FishtuiError(f"{missing.name}: the recording no longer exists", remedy, code="not-found")
                self._later(self.host.report_error, error)
            elif serve or any(player_of(each.path) is None for each in offers):
                self._serve(offers, serve)
            elif self.player.is_playing and offers == self._playing:
                self.player.stop()
            else:
                self._playing, self._is_served = offers, False
                self.player.play([each.path for each in offers])
                if self._closed:
                    self.player.stop()
                if is_remote():
                    self._later(self.host.report, "plays on this host; press L to listen on your own computer")

    def _serve(self, offers: Sequence[Offer], asked: bool) -> None:
        self.player.stop()
        first = self.server is None
        try:
            self.server = self.server or Server(port=self.host.loaded.values.listen.port)
        except FishtuiError as error:
            self._later(self.host.report_error, error)
            return
        self._is_served = True
        self.server.offer(offers)
        if asked or (first and not self.server.has_listeners):
            self._later(self._show_address)
        elif not self.server.has_listeners:
            self._later(self.host.report, "served, but no page is open; press L for its address")

    @property
    def is_unheard(self) -> bool:
        """True if the latest recordings were served, but no page is open that plays them."""
        return self._is_served and (self.server is None or not self.server.has_listeners)

    def has_begun(self, paths: Sequence[Path]) -> bool:
        """Return False if recordings are played on this host, and not all of `paths` have begun to play."""
        return self._is_served or self.player.begun.issuperset(paths)

    def _report_error(self, error: FishtuiError) -> None:
        shown = FishtuiError(error.problem, "Press L to listen in a browser.", code=error.code)
        self._later(self.host.report_error, shown)

    def _show_address(self) -> None:
        if self.server is not None and not isinstance(self.host.screen, ServerDialog):
            self.host.push_screen(ServerDialog(self, self.server))

    def silence(self) -> None:
        """Stop playing and serving until the next recording."""
        self.player.stop()
        server, self.server = self.server, None
        if server is not None:
            threading.Thread(target=server.close, name="listen", daemon=True).start()

    def close(self) -> None:
        """Stop playing and serving for good."""
        self._closed = True
        self.silence()

    def _later(self, do: Callable[..., object], *arguments: object) -> None:
        """Call a function in the app's own thread, unless the app has ended."""
        if not self._closed:
            self.host.call_later(do, *arguments)


class ServerDialog(ModalScreen[None]):
    """The address of the served recordings, and the command that connects another computer to it."""

    DEFAULT_CSS = """
    ServerDialog .line { margin: 0 0 0 2; color: $text-accent; }
    ServerDialog .gap { margin-top: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("c", "copy('line')", "copy", tooltip="copy the ssh command"),
        Binding("a", "copy('address')", "copy the address", tooltip="copy the address for the browser"),
        Binding("s", "stop", "stop serving", tooltip="stop serving"),
        Binding("escape,enter,space,q", "close", "back", tooltip="back; serving continues until you leave fishtui"),
    ]

    def __init__(self, playback: Playback, server: Server) -> None:
        super().__init__()
        self.playback = playback
        self.address = server.url
        self.line = ssh_line(server.port)
        self.count = len(server.offers())

    def compose(self) -> ComposeResult:
        link = Text(self.address, style=Style(link=self.address, underline=True))
        with Vertical(classes="dialog"):
            yield Line(f"{wording.counted(self.count, 'recording')} served to a browser, and nothing else.")
            yield Line("On your own computer, run in another terminal:", classes="gap")
            yield Line(self.line, classes="line")
            yield Line("Then open in a browser there:", classes="gap")
            yield Line(link, classes="line")
            yield Line(
                "Press the button on the page once and leave it open: from then on it plays what you choose here.",
                classes="gap muted",
            )
            yield Line("c copy the command   a copy the address   s stop serving   esc back", classes="keys")

    def action_copy(self, text: str) -> None:
        self.playback.host.copy(self.line if text == "line" else self.address)

    def action_stop(self) -> None:
        self.playback.silence()
        self.dismiss()

    def action_close(self) -> None:
        self.dismiss()
