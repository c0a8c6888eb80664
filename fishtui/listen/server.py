"""Serve chosen recordings, and nothing else, to browsers on the loopback address of this host."""

from __future__ import annotations

import os
import secrets
import socket
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedReader, RawIOBase
from pathlib import Path
from time import monotonic
from typing import Any, BinaryIO, NamedTuple
from urllib.parse import urlsplit

from fishtui.errors import FishtuiError
from fishtui.files import regular
from fishtui.listen.page import POLICY, page
from fishtui.listen.ranges import Unsatisfiable, requested_range
from fishtui.wording import reason_of

ADDRESS = "127.0.0.1"
# Other host names are refused: a site whose name points to this address must read nothing (DNS rebinding).
HOSTS = (ADDRESS, "localhost")
TYPES = {
    ".wav": "audio/wav",
    ".mp3": "audio/mpeg",
    ".flac": "audio/flac",
    ".ogg": "audio/ogg",
    ".oga": "audio/ogg",
    ".spx": "audio/ogg",
    ".opus": "audio/ogg",
    ".wave": "audio/wav",
    ".bwf": "audio/wav",
    ".mp2": "audio/mpeg",
    ".mpga": "audio/mpeg",
    ".aiff": "audio/aiff",
    ".aif": "audio/aiff",
    ".aifc": "audio/aiff",
    ".au": "audio/basic",
    ".snd": "audio/basic",
    ".caf": "audio/x-caf",
    ".m4a": "audio/mp4",
    ".mp4": "audio/mp4",
    ".aac": "audio/aac",
    ".webm": "audio/webm",
}
BLOCK = 1 << 16
# Seconds that a connection may wait for the whole head of its next request, or for its reader to take a block.
PATIENCE = 60
# Connections at once: more are closed without an answer, so that no program can take all threads or memory.
MOST = 64
# Seconds between two signs of life to a waiting page.
HEARTBEAT = 15.0


class Offer(NamedTuple):
    """A recording to serve, and the name that the page shows."""

    name: str
    path: Path


class Server:
    """Serves recordings at a secret address until it is closed, in daemon threads.

    Each recording has its own number, so that its address never leads to another one.
    """

    def __init__(self, offers: Sequence[Offer] = (), port: int = 0) -> None:
        """Serve on `port`; 0 is any free port. Raises FishtuiError if the port is in use."""
        self.token = secrets.token_urlsafe(16)
        self.closed = False
        self._offers: dict[int, Offer] = {}
        self._next = 1
        self._pages = 0
        self._news = threading.Condition()
        try:
            self._http = _Http(self, port)
        except OSError as error:
            raise FishtuiError(
                f"{ADDRESS}:{port}: cannot serve: {reason_of(error)}",
                "Choose another port, or none to use any free port.",
                code="cannot-serve",
            ) from error
        self.port: int = self._http.server_address[1]
        self.offer(offers)
        threading.Thread(
            target=self._http.serve_forever, name="listen", kwargs={"poll_interval": 0.1}, daemon=True
        ).start()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        """The address of the page that lists and plays the recordings."""
        return f"http://{ADDRESS}:{self.port}/{self.token}/"

    def offer(self, offers: Sequence[Offer]) -> None:
        """Serve more recordings; open pages play the first of them."""
        with self._news:
            new = {self._next + index: offer for index, offer in enumerate(offers)}
            self._next += len(new)
            # The newest first. A new dictionary, because requests may still read the old one.
            self._offers = {**new, **{number: each for number, each in self._offers.items() if each not in offers}}
            self._news.notify_all()

    def offers(self) -> dict[int, Offer]:
        """Return the served recordings by number, the newest first."""
        return self._offers

    def news(self, known: int) -> int | None:
        """Return the number of a recording newer than `known`, 0 after HEARTBEAT seconds, None at the end."""
        with self._news:
            self._news.wait_for(lambda: self.closed or self._newest > known, HEARTBEAT)
            return None if self.closed else self._newest if self._newest > known else 0

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

    @property
    def _newest(self) -> int:
        return next(iter(self._offers), 0)

    def close(self) -> None:
        """Stop serving, and close open connections."""
        if self.closed:
            return
        with self._news:
            self.closed = True
            self._news.notify_all()
        self._http.shutdown()
        self._http.server_close()


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, owner: Server, port: int) -> None:
        self.owner = owner
        self._connections: set[Any] = set()
        super().__init__((ADDRESS, port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        if len(self._connections) >= MOST:
            self.shutdown_request(request)
            return
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        super().server_close()
        for connection in list(self._connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A browser may close the connection at any time.
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class _Deadline(RawIOBase):
    """Reads from a connection until a time that holds for all reads together, so that slow bytes do not extend it."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self.begin()

    def begin(self) -> None:
        """Set the time to PATIENCE seconds from now."""
        self._end = monotonic() + PATIENCE

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        left = self._end - monotonic()
        if left <= 0:
            raise TimeoutError
        self._connection.settimeout(left)
        return self._connection.recv_into(buffer)


class _Handler(BaseHTTPRequestHandler):
    """Answers one connection's requests."""

    protocol_version = "HTTP/1.1"
    server_version = "fishtui"
    sys_version = ""
    timeout = PATIENCE
    server: _Http

    def setup(self) -> None:
        super().setup()
        self._deadline = _Deadline(self.connection)
        self.rfile = BufferedReader(self._deadline)

    def handle_one_request(self) -> None:
        self._deadline.begin()
        super().handle_one_request()

    def parse_request(self) -> bool:
        parsed = super().parse_request()
        self.connection.settimeout(PATIENCE)
        return parsed

    def do_GET(self) -> None:
        rest = self._resource()
        numbers = self.server.owner.offers()
        if rest == "":
            content = page({number: each.name for number, each in numbers.items()})
            self._head(200, "text/html; charset=utf-8", len(content))
            self._body(content)
        elif rest == "news":
            self._stream_news()
        elif rest is not None and rest.isascii() and rest.isdigit() and len(rest) < 10 and int(rest) in numbers:
            self._recording(numbers[int(rest)].path)
        else:
            self._refuse(404)

    do_HEAD = do_GET

    def _other(self) -> None:
        # The body of the request is not read.
        self.close_connection = True
        self._refuse(405, Allow="GET, HEAD")

    do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_CONNECT = do_TRACE = _other

    def _resource(self) -> str | None:
        """The part of the path after the token; None without the right token and host."""
        hosts = self.headers.get_all("Host", [])
        if len(hosts) != 1 or self.server.owner.closed:
            return None
        try:
            host, path = urlsplit(f"//{hosts[0]}").hostname, urlsplit(self.path).path
        except ValueError:
            return None
        parts = path.split("/")
        # In constant time, so that the token cannot be guessed by its parts.
        is_known = len(parts) == 3 and secrets.compare_digest(parts[1].encode(), self.server.owner.token.encode())
        return parts[2] if is_known and not parts[0] and host in HOSTS else None

    def _recording(self, path: Path) -> None:
        try:
            regular(path)
            file = path.open("rb")
        except OSError:
            self._refuse(404)
            return
        with file:
            size = os.fstat(file.fileno()).st_size
            try:
                part = requested_range(self.headers.get("Range"), size)
            except Unsatisfiable:
                self._refuse(416, **{"Content-Range": f"bytes */{size}"})
                return
            kind = TYPES.get(path.suffix.lower(), "application/octet-stream")
            first, end = part or (0, size)
            headers = {"Accept-Ranges": "bytes"}
            if part:
                headers["Content-Range"] = f"bytes {first}-{end - 1}/{size}"
            self._head(206 if part else 200, kind, end - first, **headers)
            if self.command != "HEAD":
                self._send(file, first, end)

    def _send(self, file: BinaryIO, first: int, end: int) -> None:
        file.seek(first)
        while first < end:
            block = file.read(min(BLOCK, end - first))
            if not block:
                # The file became shorter; a broken connection is the only way to report that.
                self.close_connection = True
                return
            self.wfile.write(block)
            first += len(block)

    def _stream_news(self) -> None:
        """Send the number of each new recording to an open page, as server-sent events."""
        owner = self.server.owner
        self.close_connection = True
        known = next(iter(owner.offers()), 0)
        self._head(200, "text/event-stream", None)
        if self.command == "HEAD":
            return
        with owner.listening():
            while (number := owner.news(known)) is not None:
                known = number or known
                self.wfile.write(f"data: {number}\n\n".encode() if number else b":\n\n")

    def _refuse(self, status: int, **headers: str) -> None:
        content = f"{self.responses[status][0]}\n".encode()
        self._head(status, "text/plain; charset=utf-8", len(content), **headers)
        self._body(content)

    def _head(self, status: int, kind: str, length: int | None, **headers: str) -> None:
        self.send_response(status)
        standard = {
            "Content-Type": kind,
            "Cache-Control": "no-store",
            "Content-Security-Policy": POLICY,
            "Cross-Origin-Resource-Policy": "same-origin",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        }
        if length is not None:
            standard["Content-Length"] = str(length)
        if self.close_connection:
            standard["Connection"] = "close"
        for name, value in {**standard, **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def _body(self, content: bytes) -> None:
        if self.command != "HEAD":
            self.wfile.write(content)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        # For invalid requests, whose text is not repeated.
        self.close_connection = True
        # Without a valid version, the base class would omit the headers.
        self.request_version = self.protocol_version
        self._refuse(int(code))

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing, because the address is secret."""
