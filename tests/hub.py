"""A local hub, which implements the part of the protocol that the client uses."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.builders import command, project

COMMIT = "c" * 40
FILES = {
    "config.json": b'{"model_type": "dual_ar"}',
    "model.pth": bytes(range(256)) * 2000,
    "codec.pth": b"codec" * 1000,
    "tokenizer.tiktoken": b"IQ== 0\n",
    "special_tokens.json": b"{}",
    "README.md": b"not needed",
}
LARGE = {"model.pth", "codec.pth"}


class Hub:
    """A repository's files, how often each was downloaded, and an error status to answer with."""

    def __init__(self) -> None:
        self.files = dict(FILES)
        self.fetched: Counter[str] = Counter()
        self.status = 200
        # True: connections end in the middle of the largest file.
        self.breaks = False
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *arguments: object) -> None:
                pass

            def do_HEAD(self) -> None:
                self.answer(body=False)

            def do_GET(self) -> None:
                self.answer(body=True)

            def answer(self, body: bool) -> None:
                path = self.path.partition("?")[0]
                if hub.status != 200:
                    code = {401: "RepoNotFound", 403: "GatedRepo", 400: ""}[hub.status]
                    headers = {"X-Error-Code": code} if code else {}
                    message = "Invalid credentials in Authorization header"
                    self.reply(b"{}", hub.status if code else 401, headers | {"X-Error-Message": code or message})
                elif path.startswith("/api/models/"):
                    self.reply(json.dumps(hub.info()).encode(), 200, {"Content-Type": "application/json"})
                else:
                    name = path.rpartition("/")[2]
                    content = hub.files[name]
                    hub.fetched[name] += body
                    tag = hashlib.sha256(content).hexdigest() if name in LARGE else blob_id(content)
                    self.reply(
                        content if body else b"", 200, {"ETag": f'"{tag}"', "X-Repo-Commit": COMMIT}, len(content)
                    )

            def reply(self, content: bytes, status: int, headers: dict[str, str], length: int | None = None) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content) if length is None else length))
                self.end_headers()
                broken = hub.breaks and len(content) > 100_000
                self.wfile.write(content[:1000] if broken else content)
                self.close_connection = self.close_connection or broken

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def info(self) -> dict[str, object]:
        siblings = []
        for name, content in self.files.items():
            entry: dict[str, object] = {"rfilename": name, "size": len(content), "blobId": blob_id(content)}
            if name in LARGE:
                entry["lfs"] = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 130}
            siblings.append(entry)
        return {"id": "owner/tiny", "modelId": "owner/tiny", "sha": COMMIT, "siblings": siblings}


def blob_id(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\x00" % len(content) + content).hexdigest()


@contextmanager
def running_hub() -> Iterator[Hub]:
    """Run a hub until the body ends."""
    made = Hub()
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        made.server.shutdown()
        made.server.server_close()
        thread.join()


def download(
    root: Path, url: str, *more: str, settings: str = "", **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run `fishtui download` in a project at `root`."""
    hub = {"HF_ENDPOINT": url, "HF_HOME": str(root / "hf"), "HF_HUB_DISABLE_XET": "1"}
    without = {name: value for name, value in os.environ.items() if name != "HF_TOKEN"}
    return subprocess.run(
        command("download", *(more or ("owner/tiny",))),
        cwd=project(root, settings).root, env={**without, **hub, **environment},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
