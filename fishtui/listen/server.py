"""Serve chosen recordings, and nothing else, to browsers on the loopback address of this host."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import NamedTuple

from fishtui.listen.loopback import Loopback, Request
from fishtui.listen.page import POLICY, page

# Seconds between two signs of life to a waiting page.
HEARTBEAT = 15.0
# Seconds until a waiting page that was closed is noticed.
RECHECK = 0.5


class Offer(NamedTuple):
    """A recording to serve, and the name that the page shows."""

    name: str
    path: Path


class Server(Loopback):
    """Serves recordings at a secret address until it is closed, in daemon threads.

    Each recording has its own number, so that its address never leads to another one.
    """

    POLICY = POLICY

    def __init__(self, offers: Sequence[Offer] = (), port: int = 0) -> None:
        """Serve on `port`; 0 is any free port. Raises FishtuiError if the port is in use."""
        super().__init__(port)
        self._offers: dict[int, Offer] = {}
        self._next = 1
        # The numbers of the recordings that were offered last, and how often recordings were offered.
        self._latest: tuple[int, ...] = ()
        self._turn = 0
        self._pages = 0
        self._news = threading.Condition()
        self.offer(offers)
        self.start()

    def offer(self, offers: Sequence[Offer]) -> None:
        """Serve more recordings; open pages play them one after the other, or stop if these are playing."""
        with self._news:
            if not offers or [self._offers[number] for number in self._latest] != list(offers):
                self._latest = tuple(range(self._next, self._next + len(offers)))
                self._next += len(offers)
                new = dict(zip(self._latest, offers, strict=True))
                # The newest first. A new dictionary, because requests may still read the old one.
                self._offers = {**new, **{number: each for number, each in self._offers.items() if each not in offers}}
            self._turn += 1
            self._news.notify_all()

    def offers(self) -> dict[int, Offer]:
        """Return the served recordings by number, the newest first."""
        return self._offers

    def news(self, known: int, is_over: Callable[[], bool] = lambda: False) -> tuple[int, tuple[int, ...]] | None:
        """Return the turn of the latest offer and its numbers, if it is later than `known`.

        Without one, the numbers are empty after HEARTBEAT seconds. None at the end, and soon after `is_over` is true.
        """
        end = monotonic() + HEARTBEAT
        with self._news:
            while not (self.closed or self._turn > known) and (left := end - monotonic()) > 0:
                self._news.wait(min(left, RECHECK))
                if is_over():
                    return None
            return None if self.closed else (self._turn, self._latest if self._turn > known else ())

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Count an open page while the body runs."""
        with self._news:
            self._pages += 1
        try:
            yield
        finally:
            with self._news:
                self._pages -= 1

    @property
    def has_listeners(self) -> bool:
        """True if a page is open in a browser, or was a moment ago."""
        return self._pages > 0

    def close(self) -> None:
        """Stop serving, and close open connections."""
        super().close()
        with self._news:
            self._news.notify_all()

    def answer(self, request: Request, name: str) -> None:
        """Answer with the page, its news, or a recording."""
        numbers = self.offers()
        if name == "":
            content = page({number: each.name for number, each in numbers.items()}, self._latest)
            request.send(200, "text/html; charset=utf-8", content)
        elif name == "news":
            self._stream_news(request)
        elif name.isascii() and name.isdigit() and len(name) < 10 and int(name) in numbers:
            request.send_file(numbers[int(name)].path)
        else:
            request.refuse(404)

    def _stream_news(self, request: Request) -> None:
        """Send the numbers of each new offer to an open page, as server-sent events."""
        request.close_connection = True
        known = self._turn
        request.head(200, "text/event-stream", None)
        if request.command == "HEAD":
            return
        with self.listening():
            while (news := self.news(known, request.is_closed)) is not None:
                known, numbers = news
                request.wfile.write(f"data: {' '.join(map(str, numbers))}\n\n".encode() if numbers else b":\n\n")
