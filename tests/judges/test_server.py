from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from fishtui.errors import DataError, FishtuiError, MisuseError
from fishtui.judges import server
from fishtui.judges.server import KEY, LONGEST_WAIT_S, MOST_FAILURES, Server, address_of, wait_of
from tests.expecting import failing
from tests.transcriptions import Request, Transcriptions, serving, spoken_answer

SECRET = "sk-very-secret-7"
SOUND = np.sin(np.arange(22_050) / 9).astype(np.float32)


@pytest.fixture
def served() -> Iterator[Transcriptions]:
    with serving(lambda request: spoken_answer("Hello there.", -0.1)) as found:
        yield found


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "DELAYS_S", (0.0, 0.0))


def connected(served: Transcriptions, timeout: float = 10.0, language: str = "", key: str = "") -> Server:
    return Server(served.url, "", language, timeout, {KEY: key} if key else {})


def test_a_recording_is_sent_and_its_words_come_back(served: Transcriptions) -> None:
    heard = connected(served, language="de", key=f" {SECRET}\n").hear(SOUND, 22_050)
    assert heard.text == "Hello there."
    assert heard.confidence == pytest.approx(np.exp(-0.1))
    (request,) = served.requests
    assert request.path == "/v1/audio/transcriptions"
    assert request.headers["Authorization"] == f"Bearer {SECRET}"
    assert request.fields["language"] == "de"
    assert request.fields["model"] == "whisper-1"
    assert request.seconds == pytest.approx(1.0, abs=0.01)


def test_without_a_key_none_is_sent(served: Transcriptions) -> None:
    connected(served).hear(SOUND, 22_050)
    assert "Authorization" not in served.requests[0].headers


def test_a_server_without_the_long_form_is_asked_for_the_short_one(served: Transcriptions) -> None:
    def answer(request: Request) -> tuple[int, Any]:
        return (
            (400, {"error": {"message": "no"}})
            if request.fields["response_format"] != "json"
            else spoken_answer("Hello.")
        )

    served.answers = answer
    asked = connected(served)
    assert asked.hear(SOUND, 22_050) == ("Hello.", None, "")
    asked.hear(SOUND, 22_050)
    assert [each.fields["response_format"] for each in served.requests] == ["verbose_json", "json", "json"]


def test_a_passing_failure_is_tried_again(served: Transcriptions) -> None:
    statuses = iter([503, 429, 200])
    served.answers = lambda request: (next(statuses), spoken_answer("Hello.")[1])
    assert connected(served).hear(SOUND, 22_050).text == "Hello."


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7.0), ("0.5", 0.5), ("", 0.0), ("soon", 0.0), ("nan", 0.0), ("-3", 0.0), ("inf", LONGEST_WAIT_S),
     ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0), ("Wed, 21 Oct 2065 07:28:00 GMT", LONGEST_WAIT_S)],
)  # fmt: skip
def test_the_wait_that_a_server_asks_for_is_read(header: str, seconds: float) -> None:
    assert wait_of(header) == seconds


def test_a_server_is_asked_again_after_the_wait_that_it_names(
    served: Transcriptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    monkeypatch.setattr(server.time, "sleep", waited.append)
    served.headers = {"Retry-After": "11"}
    statuses = iter([429, 200])
    served.answers = lambda request: (next(statuses), spoken_answer("Hello.")[1])
    assert connected(served).hear(SOUND, 22_050).text == "Hello."
    assert waited == [11.0]


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "server-refused", DataError),
        (413, "server-refused", DataError),
        (500, "server-failed", DataError),
        (401, "server-key", FishtuiError),
        (404, "server-address", FishtuiError),
        (302, "server-address", FishtuiError),
    ],
)
def test_errors_of_a_clip_and_of_the_server_differ(
    served: Transcriptions, status: int, code: str, kind: type[FishtuiError]
) -> None:
    served.answers = lambda request: (status, {"error": {"message": f"wrong {SECRET}"}})
    with pytest.raises(FishtuiError) as raised:
        connected(served, key=SECRET).hear(SOUND, 22_050)
    assert (raised.value.code, type(raised.value)) == (code, kind)
    assert SECRET not in str(raised.value)
    assert "wrong ***" in str(raised.value)


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"<html>", b'{"text": 7}', b'{"text": "\\ud800"}', b'{"text": "' + b"a" * (2 << 20)]
)
def test_an_answer_of_another_kind_fails_one_clip(served: Transcriptions, content: bytes) -> None:
    served.answers = lambda request: (200, content)
    with failing("server-refused", DataError):
        connected(served).hear(SOUND, 22_050)


def test_a_server_that_does_not_answer_in_time_fails_clips_and_then_counts_as_gone(served: Transcriptions) -> None:
    held = threading.Event()

    def answer(request: Request) -> tuple[int, Any]:
        held.wait()
        return spoken_answer("Too late.")

    served.answers = answer
    asked = connected(served, timeout=0.05)
    for _ in range(MOST_FAILURES - 1):
        with failing("server-failed", DataError):
            asked.hear(SOUND, 22_050)
    with failing("server-gone"):
        asked.hear(SOUND, 22_050)
    held.set()


def test_a_server_that_is_not_there_is_gone_at_once(served: Transcriptions) -> None:
    gone = connected(served)
    gone.address = "http://127.0.0.1:1/v1/audio/transcriptions"
    with failing("server-gone"):
        gone.hear(SOUND, 22_050)


@pytest.mark.parametrize("url", ["http://x/v1", "http://x/v1/", "http://x/v1/audio/transcriptions"])
def test_the_address_may_be_short_or_whole(url: str) -> None:
    assert address_of(url) == "http://x/v1/audio/transcriptions"


def test_an_impossible_address_is_named() -> None:
    with failing("bad-url", MisuseError):
        Server("http://x:port/v1", "", "", 1.0, {})
