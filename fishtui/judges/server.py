"""Recognition by a server with OpenAI's `/v1/audio/transcriptions`, which the user configures."""

from __future__ import annotations

import io
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import NamedTuple
from urllib.parse import urlsplit

import httpx
import msgspec
import numpy as np
import soundfile

from fishtui.audio.resample import resample
from fishtui.errors import DataError, FishtuiError, MisuseError
from fishtui.judges.hearing import Heard
from fishtui.judges.recognizers import RATE, mean_probability
from fishtui.reading import Damaged, parse_json
from fishtui.settings.masking import HIDDEN
from fishtui.wording import reason_of, shortened

# Not a setting, and without the prefix of settings: it is in no file and in no record of a run.
KEY = "TRANSCRIBE_API_KEY"
ENDPOINT = "/audio/transcriptions"
USUAL_MODEL = "whisper-1"
# Seconds before each further attempt at a request that failed for a passing reason.
DELAYS_S = (1.0, 4.0, 16.0)
# The longest wait that a server may ask for, in seconds.
LONGEST_WAIT_S = 60.0
# Clips in a row that a server may fail at before it counts as gone.
MOST_FAILURES = 3
# Bytes of an answer, which is a few sentences.
LONGEST = 1 << 20
# Answers about this one clip, such as one that is too long; all others are about the server.
REFUSALS = (400, 413, 415, 422)


class Segment(msgspec.Struct):
    """A part of an answer; `avg_logprob` is the mean logarithm of the probability of a token."""

    avg_logprob: float | None = None
    start: float | None = None
    end: float | None = None


class Answer(msgspec.Struct):
    """An answer in one of the forms `json` and `verbose_json`."""

    text: str
    language: str | None = None
    segments: list[Segment] | None = None


class Problem(msgspec.Struct):
    """An answer about an error, as most servers write it."""

    error: dict[str, object] | str | None = None
    detail: object = None
    message: str | None = None


class Reply(NamedTuple):
    """The answer to a request: status, the server's word for it, and at most `LONGEST` bytes of content.

    `wait` is the time in seconds that the server asks to wait before the next attempt.
    """

    status: int
    phrase: str
    content: bytes
    wait: float = 0.0

    @property
    def is_passing(self) -> bool:
        """True for a failure that may not happen again."""
        return self.status == 429 or self.status >= 500


class Server:
    """A recognizer on a server; several threads may use it at once.

    The key is sent only to the address of the settings; redirects are not followed.
    """

    name = "server"
    version = ""

    def __init__(self, url: str, model: str, language: str, timeout: float, environment: Mapping[str, str]) -> None:
        """`timeout` is the longest wait for an answer in seconds; a key is taken from the environment, if it has one.

        Raises MisuseError, code `bad-url`.
        """
        self.address = address_of(url)
        try:
            httpx.URL(self.address)
        except httpx.InvalidURL as error:
            raise MisuseError(
                f"{url}: not an address: {reason_of(error)}", "Set transcribe.url.", code="bad-url"
            ) from error
        self._language = language
        self._fields = {"model": model or USUAL_MODEL, "temperature": "0"}
        if language:
            self._fields["language"] = language
        # Some models refuse it; then without confidence.
        self._form = "verbose_json"
        self._key = environment.get(KEY, "").strip()
        self._timeout = timeout
        self._client = httpx.Client(timeout=httpx.Timeout(timeout, connect=min(timeout, 10.0)))
        self._failures = 0

    def hear(self, samples: np.ndarray, rate: int) -> Heard:
        """Return the words.

        Raises DataError, code `server-refused` or `server-failed`, if only this clip fails; FishtuiError if the server
        cannot be reached, does not accept the key or the model, or fails at several clips in a row.
        """
        sound = _encode(resample(samples, rate, RATE))
        form = self._form
        reply = self._ask(sound, form)
        if reply.status in (400, 422) and form != "json":
            self._form = "json"
            reply = self._ask(sound, "json")
        self._check(reply)
        self._failures = 0
        try:
            answer = parse_json(reply.content, Answer)
            answer.text.encode()
        except (Damaged, UnicodeEncodeError) as error:
            raise DataError(
                f"not an answer with a transcription: {self._harmless(reason_of(error))}",
                "Check transcribe.url.",
                code="server-refused",
            ) from error
        parts = [
            (each.avg_logprob, max((each.end or 0.0) - (each.start or 0.0), 0.01))
            for each in answer.segments or ()
            if each.avg_logprob is not None
        ]
        return Heard(" ".join(answer.text.split()), mean_probability(parts), self._language)

    def _ask(self, sound: bytes, form: str) -> Reply:
        """Send a request, again if it fails for a passing reason. Raises FishtuiError if no attempt has an answer."""
        for delay in DELAYS_S:
            wait = delay
            with suppress(httpx.TransportError):
                reply = self._send(sound, form)
                if not reply.is_passing:
                    return reply
                wait = max(delay, reply.wait)
            time.sleep(wait)
        try:
            return self._send(sound, form)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol, httpx.ProxyError) as error:
            raise self._gone(self._harmless(reason_of(error))) from error
        except httpx.TimeoutException as error:
            raise self._failed(f"no answer in {self._timeout:g} s") from error
        except httpx.TransportError as error:
            raise self._failed(self._harmless(reason_of(error))) from error

    def _send(self, sound: bytes, form: str) -> Reply:
        """Raises httpx.TransportError, also if the answer as a whole takes too long."""
        end = time.monotonic() + self._timeout
        with self._client.stream(
            "POST",
            self.address,
            headers={"Authorization": f"Bearer {self._key}"} if self._key else {},
            data=self._fields | {"response_format": form},
            files={"file": ("clip.wav", sound, "audio/wav")},
        ) as response:
            content = bytearray()
            for part in response.iter_bytes():
                content += part
                if time.monotonic() > end:
                    raise httpx.ReadTimeout("the answer does not end")
                if len(content) > LONGEST:
                    break
            wait = wait_of(response.headers.get("Retry-After", ""))
            return Reply(response.status_code, response.reason_phrase, bytes(content[:LONGEST]), wait)

    def _check(self, reply: Reply) -> None:
        """Raise the error that an answer reports."""
        status = reply.status
        if status == 200:
            return
        reason = f"{status} {self._harmless(_reason(reply))}".strip()
        if status in (401, 403):
            remedy = f"Set the environment variable {KEY} to a valid key."
            raise FishtuiError(f"{self.address}: the key is not accepted: {reason}", remedy, code="server-key")
        if status in REFUSALS:
            raise DataError(f"the server refused it: {reason}", "", code="server-refused")
        if reply.is_passing:
            raise self._failed(reason)
        raise FishtuiError(
            f"{self.address}: not an address of transcriptions: {reason}",
            "Check transcribe.url and transcribe.model.",
            code="server-address",
        )

    def _failed(self, reason: str) -> FishtuiError:
        """Return the error for one clip, or after several in a row for the server."""
        self._failures += 1
        if self._failures >= MOST_FAILURES:
            return self._gone(f"{MOST_FAILURES} clips in a row failed: {reason}")
        return DataError(f"the server failed: {reason}", "Run `fishtui transcribe` again.", code="server-failed")

    def _gone(self, reason: str) -> FishtuiError:
        return FishtuiError(
            f"{self.address}: no answers: {reason}",
            "Start the server or check transcribe.url, and run `fishtui transcribe` again: finished clips are kept.",
            code="server-gone",
        )

    def _harmless(self, reason: str) -> str:
        """Return a short text of the server without the key, which some servers repeat."""
        return shortened(reason.replace(self._key, HIDDEN) if self._key else reason, 200)


def address_of(url: str) -> str:
    """Return the address to send recordings to, from that of a server's interface."""
    url = url.rstrip("/")
    return url if urlsplit(url).path.endswith(ENDPOINT) else url + ENDPOINT


def wait_of(header: str) -> float:
    """Return the seconds that a header `Retry-After` asks to wait, as a number or a date; 0 if it is neither."""
    try:
        seconds = float(header)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(header) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError):
            return 0.0
    return min(max(0.0, seconds), LONGEST_WAIT_S)


def _encode(samples: np.ndarray) -> bytes:
    """Return mono samples as a WAV file of 16 bits, which every server reads."""
    file = io.BytesIO()
    soundfile.write(file, np.clip(samples, -1.0, 1.0), RATE, format="WAV", subtype="PCM_16")
    return file.getvalue()


def _reason(reply: Reply) -> str:
    """Return the message in an answer about an error."""
    try:
        found = parse_json(reply.content, Problem)
    except Damaged:
        return reply.phrase
    error = found.error.get("message") if isinstance(found.error, dict) else found.error
    return str(error or found.message or found.detail or reply.phrase)
