"""The server for browsers, over real sockets."""

from __future__ import annotations

import os
import re
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse
from itertools import count
from pathlib import Path

import pytest

from fishtui.listen import server as module
from fishtui.listen.loopback import MOST
from fishtui.listen.server import Offer, Server
from tests import builders
from tests.builders import PAUSE
from tests.expecting import failing

CONTENT = bytes(range(256)) * 1000


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    (tmp_path / "a.wav").write_bytes(CONTENT)
    (tmp_path / "secret.txt").write_text("nobody's business")
    with Server([Offer("anna/a", tmp_path / "a.wav"), Offer("<b>&", tmp_path / "b.mp3")]) as server:
        yield server


def ask(server: Server, path: str, method: str = "GET", **headers: str) -> tuple[HTTPResponse, bytes]:
    """Send one request and return the answer; `path` is relative to the token unless it begins with a slash."""
    connection = HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request(method, path if path.startswith("/") else f"/{server.token}/{path}", headers=headers)
    response = connection.getresponse()
    content = response.read()
    connection.close()
    return response, content


def test_a_recording_is_served_by_its_number(server: Server) -> None:
    response, content = ask(server, "1")
    assert (response.status, response.headers["Content-Type"], content) == (200, "audio/wav", CONTENT)
    assert response.headers["Accept-Ranges"] == "bytes"


def test_a_range_is_partial_content(server: Server) -> None:
    response, content = ask(server, "1", Range="bytes=100-199")
    assert (response.status, content) == (206, CONTENT[100:200])
    assert response.headers["Content-Range"] == f"bytes 100-199/{len(CONTENT)}"
    assert ask(server, "1", Range="bytes=-5")[1] == CONTENT[-5:]


def test_a_range_beyond_the_end_reports_the_length(server: Server) -> None:
    response, _ = ask(server, "1", Range=f"bytes={len(CONTENT)}-")
    assert (response.status, response.headers["Content-Range"]) == (416, f"bytes */{len(CONTENT)}")


def test_head_reports_the_length_without_content(server: Server) -> None:
    response, content = ask(server, "1", "HEAD", Range="bytes=0-9")
    assert (response.status, response.headers["Content-Length"], content) == (206, "10", b"")
    assert ask(server, "", "HEAD")[0].status == 200


def test_a_deleted_recording_is_not_found(server: Server) -> None:
    assert ask(server, "2")[0].status == 404


def test_a_pipe_is_refused(server: Server, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "b.mp3")
    assert ask(server, "2")[0].status == 404


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/1", "/wrong/", "/wrong/1", "/wrong/news", "/favicon.ico", "//", "0", "3", "-1", "1/", "01x", "²"),
        *("../secret.txt", "secret.txt", "a.wav", "%2e%2e/secret.txt", "/etc/passwd", "1/../1"),
    ],
)
def test_other_paths_are_not_found(server: Server, path: str) -> None:
    path = path.encode().decode("latin-1")
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        asked = path if path.startswith("/") else f"/{server.token}/{path}"
        connection.sendall(f"GET {asked} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode("latin-1"))
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 404 ")


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "127.0.0.1@evil.example", "[", "", "0.0.0.0"]
)
def test_other_host_names_are_refused(server: Server, host: str) -> None:
    assert ask(server, "1", Host=host)[0].status == 404


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8000", "LOCALHOST:1"])
def test_a_forwarded_port_may_have_another_number(server: Server, host: str) -> None:
    assert ask(server, "1", Host=host)[0].status == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_other_methods_are_refused(server: Server, method: str) -> None:
    assert ask(server, "1", method)[0].status == 405


def test_the_page_lists_every_recording_without_markup_in_names(server: Server) -> None:
    response, content = ask(server, "")
    assert (response.status, response.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert re.findall(r"href=\"(\d+)\"><bdi>(.*?)</bdi>", content.decode()) == [
        ("1", "anna/a"),
        ("2", "&lt;b&gt;&amp;"),
    ]


def test_the_policy_permits_only_the_resources_of_the_page(server: Server) -> None:
    response, content = ask(server, "")
    policy = response.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; media-src 'self'; connect-src 'self'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert b"http" not in content
    assert response.headers["Referrer-Policy"] == "no-referrer"


def test_new_recordings_come_first_with_new_numbers(server: Server, tmp_path: Path) -> None:
    server.offer([Offer("<b>&", tmp_path / "b.mp3"), Offer("late", tmp_path / "a.wav")])
    assert [(number, each.name) for number, each in server.offers().items()] == [
        (3, "<b>&"),
        (4, "late"),
        (1, "anna/a"),
    ]
    assert ask(server, "2")[0].status == 404


def test_an_open_page_receives_the_numbers_of_new_recordings(server: Server, tmp_path: Path) -> None:
    connection = HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request("GET", f"/{server.token}/news")
    response = connection.getresponse()
    assert response.headers["Content-Type"] == "text/event-stream"
    new = [Offer("new", tmp_path / "a.wav"), Offer("newer", tmp_path / "b.mp3")]
    server.offer(new)
    assert [response.readline(), response.readline()] == [b"data: 3 4\n", b"\n"]
    # The same again, which the page stops.
    server.offer(new)
    assert response.readline() == b"data: 3 4\n"
    assert len(server.offers()) == 4
    server.close()
    assert response.read() == b"\n"
    connection.close()


def test_a_closed_page_is_noticed_before_the_next_sign_of_life(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HEARTBEAT", 1e6)
    connection = HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request("GET", f"/{server.token}/news")
    response = connection.getresponse()
    end = time.monotonic() + 60
    while not server.has_listeners and time.monotonic() < end:
        time.sleep(0.01)
    assert server.has_listeners
    response.close()
    connection.close()
    while server.has_listeners and time.monotonic() < end:
        time.sleep(PAUSE)
    assert not server.has_listeners


def test_a_closed_server_closes_open_connections(server: Server) -> None:
    connection = HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request("GET", f"/{server.token}/1")
    connection.getresponse().read()
    opened = connection.sock
    assert opened is not None
    server.close()
    assert opened.recv(1) == b""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port), timeout=10)


def test_a_port_in_use_is_reported(server: Server) -> None:
    with failing("cannot-serve"):
        Server([], server.port)


def test_invalid_requests_are_refused_without_their_text(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(b"GET /<script> HTTP/9 nonsense\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(1 << 16), b""))
    assert b"script>" not in answer
    assert b" 400 " in answer


def test_each_server_has_its_own_token(server: Server) -> None:
    with Server() as other:
        assert len({server.token, other.token}) == 2
        assert len(other.token) >= 20


FORGETFUL = """
from fishtui.listen.server import Server
import urllib.request
print(urllib.request.urlopen(Server().url).status)
"""


def test_the_server_keeps_no_process_alive_and_prints_nothing() -> None:
    ended = subprocess.run([sys.executable, "-c", FORGETFUL], capture_output=True, text=True, timeout=60, check=True)
    assert (ended.stdout, ended.stderr) == ("200\n", "")


def test_more_connections_than_the_most_are_closed_and_later_ones_served(server: Server) -> None:
    with ExitStack() as stack:
        for _ in range(MOST):
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=10))
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as further:
            further.sendall(b"GET / HTTP/1.1\r\n\r\n")
            with suppress(ConnectionResetError):
                assert further.recv(1) == b""
    with builders.time_limit(30):
        while ask_or_none(server) != 200:
            pass


def ask_or_none(server: Server) -> int | None:
    """Return the status of the page; None if the connection is closed without an answer."""
    with suppress(OSError, HTTPException):
        return ask(server, "")[0].status
    return None


def test_the_head_of_a_request_has_one_deadline(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that sends a byte now and then keeps no connection open."""
    monkeypatch.setattr("fishtui.listen.loopback.PATIENCE", 0.3)
    slow = socket.create_connection(("127.0.0.1", server.port), timeout=10)
    with slow, builders.time_limit(30), pytest.raises(OSError, match=r"Broken pipe|reset"):
        for _ in count():
            slow.sendall(b"G")
            select.select([slow], [], [], 0.1)
