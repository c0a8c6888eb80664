"""A server of transcriptions on 127.0.0.1 that gives the answers of a test, and words heard in a clip."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import soundfile

from fishtui.catalog.findings import mark_drafts
from fishtui.catalog.recognitions import Draft, Recognition, store_disagreement, store_drafts, store_recognition
from fishtui.catalog.store import Catalog
from fishtui.settings import Settings


def store_heard(catalog: Catalog, settings: Settings, name: str, words: str, disagreement: float) -> None:
    """Store that a recognizer heard these words in a clip, and the share of characters that differ."""
    row = catalog.query("SELECT id, audio_hash, text FROM clips WHERE name = ?", (name,))[0]
    store_recognition(catalog, Recognition(row["audio_hash"], "", "pocketsphinx", "", "en", words, 0.81))
    store_disagreement(catalog, settings, row["audio_hash"], row["text"], disagreement, [row["id"]])


def store_draft(catalog: Catalog, name: str) -> None:
    """Store that a recognizer wrote the transcript of a clip."""
    row = catalog.query("SELECT id, audio_hash, text FROM clips WHERE name = ?", (name,))[0]
    store_drafts(catalog, [Draft(row["audio_hash"], row["text"], "whisper")])
    with catalog.transaction() as connection:
        mark_drafts(connection, [row["id"]])


@dataclass
class Request:
    """A request: its path and headers, the fields of its form, and the seconds of its recording."""

    path: str
    headers: dict[str, str]
    fields: dict[str, str]
    seconds: float


@dataclass
class Transcriptions:
    """The server: `answers` returns status and content, and may wait; `requests` are those that came.

    `headers` are added to all answers.
    """

    answers: Callable[[Request], tuple[int, Any]]
    requests: list[Request] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    url: str = ""


def spoken_answer(text: str, *logarithms: float) -> tuple[int, Any]:
    """Return the answer with these words."""
    return 200, {"text": text, "segments": [{"avg_logprob": each, "start": 0.0, "end": 1.0} for each in logarithms]}


@contextmanager
def serving(answers: Callable[[Request], tuple[int, Any]]) -> Iterator[Transcriptions]:
    """Run a server until the body ends."""
    found = Transcriptions(answers)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = _read(self)
            found.requests.append(request)
            status, content = found.answers(request)
            body = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
            for name, value in found.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: Any) -> None:
            """Write nothing."""

    class Quiet(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            """Write nothing of clients that do not wait for their answer."""

    server = Quiet(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    # An answer that is still waiting does not keep the test from ending.
    server.block_on_close = False
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    found.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _read(handler: BaseHTTPRequestHandler) -> Request:
    """Return a request whose body is a form with parts."""
    body = handler.rfile.read(int(handler.headers["Content-Length"]))
    boundary = handler.headers["Content-Type"].partition("boundary=")[2].encode()
    fields: dict[str, str] = {}
    seconds = 0.0
    for part in body.split(b"--" + boundary)[1:-1]:
        head, _, content = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        content = content.removesuffix(b"\r\n")
        name = head.partition(b'name="')[2].partition(b'"')[0].decode()
        if b"filename=" in head:
            seconds = soundfile.info(io.BytesIO(content)).duration
        else:
            fields[name] = content.decode()
    return Request(handler.path, dict(handler.headers.items()), fields, seconds)
