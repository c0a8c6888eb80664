"""The blind test for browsers, over real sockets."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishtui.errors import MisuseError
from fishtui.evaluation import blind
from fishtui.evaluation.blind import ENOUGH, Tally, read_comparisons
from fishtui.evaluation.record import read_evaluation
from fishtui.listen.blindserver import BlindServer
from fishtui.listen.blindtest import BlindTest, describe_tally
from tests.evaluation.builders import LINES, evaluated
from tests.expecting import failing

STEPS: dict[Any, float] = {"base": 0.3, 100: 0.5, 200: 0.6}


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return evaluated(tmp_path / "results" / "voice", STEPS, sounds=True)


def begin(results: Path) -> BlindServer:
    return BlindServer(BlindTest(read_evaluation(results), "base", 100))


@pytest.fixture
def server(results: Path) -> Iterator[BlindServer]:
    with begin(results) as server:
        yield server


def ask(
    server: BlindServer, path: str, method: str = "GET", body: bytes | None = None, **headers: str
) -> tuple[HTTPResponse, bytes]:
    """Send one request and return the answer; `path` is relative to the token unless it begins with a slash."""
    connection = HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request(method, path if path.startswith("/") else f"/{server.token}/{path}", body=body, headers=headers)
    response = connection.getresponse()
    content = response.read()
    connection.close()
    return response, content


def state(server: BlindServer) -> dict[str, Any]:
    return json.loads(ask(server, "state")[1])


def page_headers(server: BlindServer) -> dict[str, str]:
    return {"Origin": f"http://127.0.0.1:{server.port}", "Content-Type": "application/json"}


def post(server: BlindServer, content: Any, path: str = "decision", **headers: str) -> tuple[int, Any]:
    """Send what the page sends, with other headers where given; return the status and the answer."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    response, answer = ask(server, path, "POST", body, **{**page_headers(server), **headers})
    return response.status, json.loads(answer) if answer.startswith(b"{") else answer


def decide(server: BlindServer, decision: int) -> dict[str, Any]:
    """Decide on the next trial and return the state after it."""
    status, after = post(server, {"trial": state(server)["trial"]["id"], "decision": decision})
    assert status == 200
    return after


def stored(results: Path) -> list[int]:
    return [each.decision for each in read_comparisons(results)]


def first_step(server: BlindServer, results: Path) -> Any:
    """Return the version that the next trial plays as A, by what only the server knows."""
    path = server.test.recording(state(server)["trial"]["sounds"][0])
    return next(each.step for each in read_evaluation(results).records.values() if results / each.wav == path)


def test_all_lines_are_played_and_decided_one_by_one(server: BlindServer, results: Path) -> None:
    seen = []
    for number in range(len(LINES)):
        now = state(server)
        assert (now["decided"], now["total"], now["has_tally"]) == (number, len(LINES), number >= ENOUGH)
        seen.append(now["trial"]["text"])
        for sound in now["trial"]["sounds"]:
            response, content = ask(server, sound)
            assert (response.status, response.headers["Content-Type"]) == (200, "audio/wav")
            path = server.test.recording(sound)
            assert path is not None
            assert content == path.read_bytes()
        # The checkpoint wins, except for one tie.
        better = 1 if first_step(server, results) == 100 else 2
        after = decide(server, 0 if number == 3 else better)
        assert len(stored(results)) == number + 1
    assert len(set(seen)) == len(LINES)
    assert (after["trial"], after["has_tally"]) == (None, True)
    tally = server.test.count()
    assert (tally.wins_of_one, tally.wins_of_other, tally.ties) == (0, len(LINES) - 1, 1)
    assert json.loads(ask(server, "tally")[1])["lines"] == describe_tally(tally)


def test_nothing_that_a_browser_receives_names_a_version(server: BlindServer) -> None:
    received = []
    for path in ("", "state", *state(server)["trial"]["sounds"]):
        response, content = ask(server, path)
        # It has the word `base-uri` in every answer.
        del response.headers["Content-Security-Policy"]
        received.append(str(response.headers).encode() + content)
        assert not {"Last-Modified", "ETag", "Content-Disposition"} & set(response.headers)
    received.append(json.dumps(decide(server, 1)).encode())
    assert not [each for each in received if re.search(rb"(?i)step_|\bbase\b|adapter|evaluation/", each)]


def test_the_names_are_random_in_each_test(results: Path) -> None:
    names = set()
    for _ in range(3):
        with begin(results) as server:
            trial = state(server)["trial"]
            names |= {trial["id"], *trial["sounds"]}
    assert len(names) == 9
    assert all(len(name) == 16 for name in names)


def test_the_tally_is_not_shown_before_enough_decisions(server: BlindServer) -> None:
    for _ in range(ENOUGH - 1):
        assert not decide(server, 1)["has_tally"]
        assert ask(server, "tally")[0].status == 404
    assert decide(server, 1)["has_tally"]
    assert ask(server, "tally")[0].status == 200


def test_a_new_start_continues(results: Path) -> None:
    texts = []
    for _ in range(3):
        with begin(results) as server:
            texts += [state(server)["trial"]["text"]]
            decide(server, 1)
            texts += [state(server)["trial"]["text"]]
            decide(server, 2)
    assert len(set(texts)) == 6
    assert stored(results) == [1, 2] * 3


def test_a_decision_that_is_sent_again_is_not_stored_again(server: BlindServer, results: Path) -> None:
    first = {"trial": state(server)["trial"]["id"], "decision": 1}
    assert post(server, first)[0] == 200
    for again in (first, {**first, "decision": 2}):
        status, after = post(server, again)
        assert (status, after["decided"]) == (409, 1)
    assert stored(results) == [1]


def test_decisions_at_the_same_time_are_stored_once(server: BlindServer, results: Path) -> None:
    content = {"trial": state(server)["trial"]["id"], "decision": 2}
    statuses: list[int] = []
    threads = [threading.Thread(target=lambda: statuses.append(post(server, content)[0])) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(statuses) == [200] + [409] * 7
    assert len((results / blind.FILE).read_bytes().splitlines()) == 1


def test_an_ended_test_stores_nothing(server: BlindServer, results: Path) -> None:
    content = {"trial": state(server)["trial"]["id"], "decision": 2}
    server.test.end()
    assert post(server, content)[0] == 409
    assert stored(results) == []


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 4000, b'{"trial": "\\ud800", "decision": 3}'),
        *({}, {"trial": "x"}, {"decision": 1}, {"trial": 7, "decision": 1}, {"trial": "x", "decision": 1, "more": 1}),
        *({"trial": "x", "decision": each} for each in (3, -1, "1", 1.5, True, None, [1])),
    ],
)
def test_invalid_decisions_are_refused(server: BlindServer, results: Path, content: Any) -> None:
    assert post(server, content)[0] == 400
    assert not (results / blind.FILE).exists()


@pytest.mark.parametrize("trial", ["", "x", "../../secret", "A" * 4000, "\ud800", "\0"])
def test_unknown_trials_are_not_stored(server: BlindServer, results: Path, trial: str) -> None:
    assert post(server, {"trial": trial, "decision": 1})[0] == 409
    assert not (results / blind.FILE).exists()


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({"Content-Length": "5000"}, 413),
        ({"Content-Length": "9" * 5000}, 413),
        ({"Content-Length": "-1"}, 400),
        ({"Content-Length": "²".encode().decode("latin-1")}, 400),
        ({"Transfer-Encoding": "chunked"}, 411),
        ({"Host": "evil.example"}, 404),
    ],
)
def test_requests_that_the_page_does_not_send_are_refused(
    server: BlindServer, results: Path, changed: dict[str, str], status: int
) -> None:
    content = {"trial": state(server)["trial"]["id"], "decision": 1}
    assert post(server, content, **changed)[0] == status
    assert not (results / blind.FILE).exists()


@pytest.mark.parametrize("missing", ["Origin", "Content-Type", "Content-Length"])
def test_requests_without_a_header_of_the_page_are_refused(server: BlindServer, results: Path, missing: str) -> None:
    body = json.dumps({"trial": state(server)["trial"]["id"], "decision": 1})
    headers = {"Host": f"127.0.0.1:{server.port}", **page_headers(server), "Content-Length": str(len(body))}
    del headers[missing]
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(f"POST /{server.token}/decision HTTP/1.1\r\n{head}\r\n{body}".encode())
        assert re.match(rb"HTTP/1.1 4\d\d ", connection.recv(1 << 16))
    assert not (results / blind.FILE).exists()


def test_a_huge_body_is_not_read(server: BlindServer, results: Path) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        head = (
            f"Host: localhost\r\nOrigin: http://localhost\r\nContent-Type: application/json\r\nContent-Length: {10**9}"
        )
        connection.sendall(f"POST /{server.token}/decision HTTP/1.1\r\n{head}\r\n\r\n".encode())
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 413 ")
    assert state(server)["decided"] == 0


def test_a_body_that_never_arrives_has_a_deadline(server: BlindServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fishtui.listen.loopback.PATIENCE", 0.3)
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        head = "Host: localhost\r\nOrigin: http://localhost\r\nContent-Type: application/json\r\nContent-Length: 40"
        connection.sendall(f"POST /{server.token}/decision HTTP/1.1\r\n{head}\r\n\r\n{{".encode())
        assert connection.recv(1) == b""


@pytest.mark.parametrize("path", ["/decision", "/wrong/decision", "//decision", "/", "/wrong/state"])
def test_a_wrong_token_stores_nothing(server: BlindServer, results: Path, path: str) -> None:
    content = {"trial": state(server)["trial"]["id"], "decision": 1}
    assert post(server, content, path)[0] == 404
    assert not (results / blind.FILE).exists()


@pytest.mark.parametrize(
    "path",
    [
        *("decision", "news", "1", "comparisons.jsonl", "../secret", "%2e%2e/x", "state/", "x", "²"),
        *("evaluation/base/x.wav", "/etc/passwd", "/state", "/wrong/state"),
    ],
)
def test_other_paths_are_not_found(server: BlindServer, path: str) -> None:
    assert ask(server, path.encode().decode("latin-1") if path.isascii() else "%C2%B2")[0].status == 404


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "PATCH"])
def test_other_methods_are_refused(server: BlindServer, method: str) -> None:
    assert ask(server, "decision", method)[0].status == 405


@pytest.mark.parametrize("path", ["", "state", "tally"])
def test_only_decisions_are_received(server: BlindServer, path: str) -> None:
    assert post(server, {"trial": "x", "decision": 1}, path)[0] == 405


def test_the_policy_permits_only_the_resources_of_the_page(server: BlindServer) -> None:
    response, content = ask(server, "")
    policy = response.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; media-src 'self'; connect-src 'self'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert not re.search(rb"http:|https:|//[a-z]|\son[a-z]+=|\sstyle=", content)
    assert response.headers["Referrer-Policy"] == "no-referrer"
    assert response.headers["Cache-Control"] == "no-store"


def test_a_line_whose_recording_changes_or_disappears_is_left_out(server: BlindServer, results: Path) -> None:
    for change in (Path.unlink, lambda path: path.write_bytes(b"RIFF")):
        trial = state(server)["trial"]
        path = server.test.recording(trial["sounds"][1])
        assert path is not None
        change(path)
        assert ask(server, trial["sounds"][1])[0].status == 404
        assert post(server, {"trial": trial["id"], "decision": 1})[0] == 409
        assert state(server)["trial"]["id"] != trial["id"]
    assert state(server)["total"] == len(LINES) - 2
    assert stored(results) == []


def test_a_decision_that_cannot_be_stored_is_an_error_on_the_page(server: BlindServer, results: Path) -> None:
    trial = state(server)["trial"]["id"]
    (results / blind.FILE).mkdir()
    status, answer = post(server, {"trial": trial, "decision": 1})
    assert (status, set(answer)) == (500, {"problem", "remedy"})
    (results / blind.FILE).rmdir()
    assert post(server, {"trial": trial, "decision": 1})[0] == 200


def test_lines_without_recordings_are_left_out_and_an_empty_test_is_refused(results: Path) -> None:
    recordings = sorted((results / "evaluation" / "base").iterdir())
    recordings[0].unlink()
    recordings[1].write_bytes(b"not audio")
    test = BlindTest(read_evaluation(results), "base", 100)
    assert (test.left_out, test.state()["total"]) == (2, len(LINES) - 2)
    for path in recordings[1:]:
        path.unlink()
    with failing("no-recordings", MisuseError):
        BlindTest(read_evaluation(results), 100, "base")
    assert BlindTest(read_evaluation(results), 100, 200).left_out == 0


def test_the_tally_follows_when_nothing_is_left_to_play(results: Path) -> None:
    for path in sorted((results / "evaluation" / "base").iterdir())[3:]:
        path.unlink()
    with begin(results) as server:
        assert [decide(server, 1)["has_tally"] for _ in range(3)] == [False, False, True]
        assert server.test.is_decided


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 30))
def test_a_tally_is_described_for_any_counts(one: int, other: int, ties: int) -> None:
    lines = describe_tally(Tally("base", 100, one, other, ties, one + other + ties))
    assert [int(line.rpartition(": ")[2]) for line in lines[1:4]] == [one, other, ties]
