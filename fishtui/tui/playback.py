"""Playback from the interface: played on this host, or offered to a browser on the computer that one sits at."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import ClassVar

from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static

from fishtui import wording
from fishtui.errors import FishtuiError
from fishtui.listen.links import is_remote, ssh_line
from fishtui.listen.player import Player, player_of
from fishtui.listen.server import Offer, Server
from fishtui.tui.host import Host


class Playback:
    """Plays, and serves, for as long as the app is there."""

    def __init__(self, app: Host) -> None:
        self.app = app
        self.player = Player(lambda error: self._later(app.report_error, error))
        self.server: Server | None = None
        self._playing: Sequence[Offer] = ()
        self._lock = threading.Lock()
        self._turn = 0
        self._closed = False

    def play(self, offers: Sequence[Offer], serve: bool = False) -> None:
        """Play recordings, or stop if it is these that play; serve them if asked to, or if this host has no sound."""
        self._turn += 1
        turn = self._turn
        self.app.run_worker(lambda: self._play(turn, offers, serve), thread=True, group="hear", exit_on_error=False)

    def _play(self, turn: int, offers: Sequence[Offer], serve: bool) -> None:
        with self._lock:
            # Of keys in quick succession the last one counts.
            if turn != self._turn or self._closed:
                return
            gone = next((each for each in offers if not each.path.is_file()), None)
            if gone is not None:
                self._later(
                    self.app.report_error, FishtuiError(f"{gone.name} has gone", "Look at its folder; scan again.")
                )
            elif serve or any(player_of(each.path) is None for each in offers):
                self._serve(offers, serve)
            elif self.player.is_playing and offers == self._playing:
                self.player.stop()
            else:
                self._playing = offers
                self.player.play([each.path for each in offers])
                if self._closed:
                    self.player.stop()
                if is_remote():
                    self._later(self.app.report, "plays on this host; L serves it to your own computer instead")

    def _serve(self, offers: Sequence[Offer], asked: bool) -> None:
        self.player.stop()
        first = self.server is None
        try:
            self.server = self.server or Server()
        except FishtuiError as error:
            self._later(self.app.report_error, error)
            return
        self.server.offer(offers)
        if asked or (first and not self.server.has_listeners):
            self._later(self._explain)
        elif self.server.has_listeners:
            self._later(self.app.report, f"in the browser: {', '.join(each.name for each in offers)}")
        else:
            self._later(self.app.report, "served; no page is open: L tells how to open it")

    def _explain(self) -> None:
        if self.server is not None and not isinstance(self.app.screen, ServerDialog):
            self.app.push_screen(ServerDialog(self, self.server))

    def silence(self) -> None:
        """Play and serve no more, until something is to be heard again."""
        self.player.stop()
        server, self.server = self.server, None
        if server is not None:
            threading.Thread(target=server.close, name="listen", daemon=True).start()

    def close(self) -> None:
        """Play and serve no more."""
        self._closed = True
        self.silence()

    def _later(self, do: Callable[..., object], *arguments: object) -> None:
        """Have the app's own thread do it, unless it has gone."""
        if not self._closed:
            self.app.call_later(do, *arguments)


class ServerDialog(ModalScreen[None]):
    """Where what is served can be heard, and how to get there from another computer."""

    DEFAULT_CSS = """
    ServerDialog .line { margin: 0 0 0 2; color: $text-accent; }
    ServerDialog .gap { margin-top: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("c", "copy('line')", "copy", tooltip="copy the line with ssh"),
        Binding("a", "copy('address')", "copy the address", tooltip="copy the address for the browser"),
        Binding("s", "stop", "stop serving", tooltip="serve no more"),
        Binding("escape,enter,space,q", "leave", "back", tooltip="back; it is served until you leave fishtui"),
    ]

    def __init__(self, hearing: Playback, server: Server) -> None:
        super().__init__()
        self.hearing = hearing
        self.address = server.url
        self.line = ssh_line(server.port)
        self.count = len(server.offers())

    def compose(self) -> ComposeResult:
        link = Text(self.address, style=Style(link=self.address, underline=True))
        with Vertical(classes="dialog"):
            yield Static(
                f"{wording.counted(self.count, 'recording')} to hear in a browser, and nothing else.", markup=False
            )
            yield Static("On the computer that you sit at, in another terminal:", markup=False, classes="gap")
            yield Static(self.line, markup=False, classes="line")
            yield Static("Then open, there:", markup=False, classes="gap")
            yield Static(link, classes="line")
            yield Static(
                "Leave the page open: what you choose to hear from now on plays there.",
                markup=False,
                classes="gap muted",
            )
            yield Static("c copy the line   a copy the address   s stop serving   esc back", classes="keys")

    def action_copy(self, what: str) -> None:
        self.app.copy_to_clipboard(self.line if what == "line" else self.address)
        self.app.notify("copied, if your terminal takes it", timeout=3)

    def action_stop(self) -> None:
        self.hearing.silence()
        self.dismiss()

    def action_leave(self) -> None:
        self.dismiss()
