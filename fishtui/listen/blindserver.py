"""Serve a blind test to a browser: its page, the recordings under random names, and the decisions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from fishtui.errors import FishtuiError
from fishtui.evaluation.blind import Decision
from fishtui.listen.blindpage import PAGE, POLICY
from fishtui.listen.blindtest import BlindTest, describe_tally
from fishtui.listen.loopback import Loopback, Request
from fishtui.reading import Damaged, parse_json
from fishtui.sanitize import harmless

DECISION = "decision"


class Posted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A decision as the page sends it: the id of its trial, and 1, 2 or 0."""

    trial: str
    decision: Decision


class BlindServer(Loopback):
    """Serves one blind test at a secret address until it is closed."""

    POLICY = POLICY
    RECEIVES = (DECISION,)

    def __init__(self, test: BlindTest, port: int = 0) -> None:
        """Serve on `port`; 0 is any free port. Raises FishtuiError, code `cannot-serve`."""
        super().__init__(port)
        self.test = test
        self.start()

    def answer(self, request: Request, name: str) -> None:
        """Answer with the page, the next trial, the tally, or a recording."""
        with _reported(request):
            if name == "":
                request.send(200, "text/html; charset=utf-8", PAGE)
            elif name == "state":
                request.send_json(200, self.test.state())
            elif name == "tally" and (tally := self.test.tally()) is not None:
                request.send_json(200, {"lines": describe_tally(tally)})
            elif (path := self.test.recording(name)) is not None:
                request.send_file(path)
            else:
                request.refuse(404)

    def receive(self, request: Request, name: str, content: bytes) -> None:
        """Store a decision and answer with the next trial; with status 409 if it was not stored: it is decided."""
        try:
            posted = parse_json(content, Posted)
        except Damaged:
            request.refuse(400)
            return
        with _reported(request):
            stored = self.test.decide(posted.trial, posted.decision)
            request.send_json(200 if stored else 409, self.test.state())


@contextmanager
def _reported(request: Request) -> Iterator[None]:
    """Send an error to the page."""
    try:
        yield
    except FishtuiError as error:
        request.send_json(500, {"problem": harmless(error.problem), "remedy": harmless(error.remedy)})
