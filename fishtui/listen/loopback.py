"""An HTTP server on the loopback address of this host, at a secret address, which nothing else can use."""

from __future__ import annotations

import json
import os
import secrets
import select
import socket
import sys
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedReader, RawIOBase
from pathlib import Path
from time import monotonic
from typing import Any, BinaryIO, Self
from urllib.parse import urlsplit

from fishtui.errors import FishtuiError
from fishtui.files import regular
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
# Bytes of a request's body.
LONGEST_BODY = 4096


class Loopback:
    """Answers at a secret address until it is closed, in daemon threads; a context manager.

    A subclass answers requests for what follows the token in an address. `POLICY` is its content security policy.
    """

    POLICY = "default-src 'none'"
    # Paths that accept POST.
    RECEIVES: tuple[str, ...] = ()

    def __init__(self, port: int = 0) -> None:
        """Serve on `port`; 0 is any free port. Raises FishtuiError, code `cannot-serve`, if the port is in use."""
        self.token = secrets.token_urlsafe(16)
        self.closed = False
        try:
            self._http = _Http(self, port)
        except OSError as error:
            raise FishtuiError(
                f"{ADDRESS}:{port}: cannot serve: {reason_of(error)}",
                "Choose another port, or none to use any free port.",
                code="cannot-serve",
            ) from error
        self.port: int = self._http.server_address[1]

    def start(self) -> None:
        """Begin to answer; a subclass calls it once it is complete."""
        threading.Thread(
            target=self._http.serve_forever, name="listen", kwargs={"poll_interval": 0.1}, daemon=True
        ).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        """The address of the page."""
        return f"http://{ADDRESS}:{self.port}/{self.token}/"

    def answer(self, request: Request, name: str) -> None:
        """Answer GET or HEAD for `name`."""
        raise NotImplementedError

    def receive(self, request: Request, name: str, content: bytes) -> None:
        """Answer POST of a JSON document by the page itself, for a name in `RECEIVES`."""
        raise NotImplementedError

    def close(self) -> None:
        """Stop serving, and close open connections."""
        if self.closed:
            return
        self.closed = True
        self._http.shutdown()
        self._http.server_close()


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, owner: Loopback, port: int) -> None:
        self.owner = owner
        self._connections: set[Any] = set()
        super().__init__((ADDRESS, port), Request)

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


class Request(BaseHTTPRequestHandler):
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

    def is_closed(self) -> bool:
        """Return True if the other side has closed the connection."""
        poll = select.poll()
        poll.register(self.connection, select.POLLIN)
        try:
            return bool(poll.poll(0)) and not self.connection.recv(1, socket.MSG_PEEK)
        except OSError:
            return True

    def handle_one_request(self) -> None:
        self._deadline.begin()
        super().handle_one_request()

    def parse_request(self) -> bool:
        parsed = super().parse_request()
        self.connection.settimeout(PATIENCE)
        return parsed

    def do_GET(self) -> None:
        name = self._resource()
        if name is None:
            self.refuse(404)
        else:
            self.server.owner.answer(self, name)

    do_HEAD = do_GET

    def do_POST(self) -> None:
        owner = self.server.owner
        # A body that is not read would be taken for the next request.
        self.close_connection = True
        if not owner.RECEIVES:
            self._other()
            return
        name = self._resource()
        if name is None:
            self.refuse(404)
        elif name not in owner.RECEIVES:
            self._other()
        elif status := self._fault():
            self.refuse(status)
        else:
            owner.receive(self, name, self.rfile.read(int(self.headers["Content-Length"])))

    def _other(self) -> None:
        # The body of the request is not read.
        self.close_connection = True
        self.refuse(405, Allow="GET, HEAD")

    do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_CONNECT = do_TRACE = _other

    def _fault(self) -> int:
        """The status that refuses a POST: of another site's page, too long, or not JSON; 0 if it is fine."""
        # A page of another site can send requests here, but always under its own origin.
        if self.headers.get_all("Origin", []) != [f"http://{self.headers['Host'].lower()}"]:
            return 403
        if self.headers.get_content_type() != "application/json":
            return 415
        lengths = self.headers.get_all("Content-Length", [])
        if len(lengths) != 1 or "Transfer-Encoding" in self.headers:
            return 411
        if not (lengths[0].isascii() and lengths[0].isdigit()):
            return 400
        return 413 if len(lengths[0]) > 9 or int(lengths[0]) > LONGEST_BODY else 0

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

    def send_file(self, path: Path) -> None:
        """Answer with a recording, or the part of it that is requested."""
        try:
            regular(path)
            file = path.open("rb")
        except OSError:
            self.refuse(404)
            return
        with file:
            size = os.fstat(file.fileno()).st_size
            try:
                part = requested_range(self.headers.get("Range"), size)
            except Unsatisfiable:
                self.refuse(416, **{"Content-Range": f"bytes */{size}"})
                return
            kind = TYPES.get(path.suffix.lower(), "application/octet-stream")
            first, end = part or (0, size)
            headers = {"Accept-Ranges": "bytes"}
            if part:
                headers["Content-Range"] = f"bytes {first}-{end - 1}/{size}"
            self.head(206 if part else 200, kind, end - first, **headers)
            if self.command != "HEAD":
                self._copy(file, first, end)

    def _copy(self, file: BinaryIO, first: int, end: int) -> None:
        file.seek(first)
        while first < end:
            block = file.read(min(BLOCK, end - first))
            if not block:
                # The file became shorter; a broken connection is the only way to report that.
                self.close_connection = True
                return
            self.wfile.write(block)
            first += len(block)

    def send(self, status: int, kind: str, content: bytes) -> None:
        """Answer with this content."""
        self.head(status, kind, len(content))
        self._body(content)

    def send_json(self, status: int, value: Any) -> None:
        """Answer with a JSON document."""
        self.send(status, "application/json", json.dumps(value).encode())

    def refuse(self, status: int, **headers: str) -> None:
        """Answer with an error."""
        content = f"{self.responses[status][0]}\n".encode()
        self.head(status, "text/plain; charset=utf-8", len(content), **headers)
        self._body(content)

    def head(self, status: int, kind: str, length: int | None, **headers: str) -> None:
        """Send the head of an answer; a body of unknown length ends with the connection."""
        self.send_response(status)
        standard = {
            "Content-Type": kind,
            "Cache-Control": "no-store",
            "Content-Security-Policy": self.server.owner.POLICY,
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
        self.refuse(int(code))

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing, because the address is secret."""
