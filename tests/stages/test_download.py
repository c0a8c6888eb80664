"""Downloads from a local hub, which implements the part of the protocol that the client uses."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.builders import command, project
from tests.expecting import error_in

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
                    error = {401: "RepoNotFound", 403: "GatedRepo"}[hub.status]
                    self.reply(b"{}", hub.status, {"X-Error-Code": error, "X-Error-Message": error})
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
                self.wfile.write(content)

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


@pytest.fixture
def hub() -> Iterator[Hub]:
    made = Hub()
    thread = threading.Thread(target=made.server.serve_forever, daemon=True)
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()


def download(root: Path, url: str, *more: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "HF_ENDPOINT": url, "HF_HOME": str(root / "hf"), "HF_HUB_DISABLE_XET": "1"}
    environment.pop("HF_TOKEN", None)
    return subprocess.run(
        command("download", *(more or ("owner/tiny",))),
        cwd=project(root).root, env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def test_files_are_downloaded_once_and_damaged_ones_again(tmp_path: Path, hub: Hub) -> None:
    result = download(tmp_path, hub.url)
    assert result.returncode == 0, result.stderr
    target = tmp_path / "checkpoints" / "tiny"
    needed = {name: content for name, content in FILES.items() if name != "README.md"}
    assert {path.name: path.read_bytes() for path in target.iterdir() if path.is_file()} == needed
    again = download(tmp_path, hub.url)
    assert "5 skipped: already complete" in again.stdout
    assert hub.fetched == Counter(needed.keys())
    (target / "model.pth").write_bytes(b"x" + FILES["model.pth"][1:])
    (target / "config.json").unlink()
    assert download(tmp_path, hub.url, "owner/tiny", "--dry-run").stdout.startswith("5 files: 2 would be done")
    assert download(tmp_path, hub.url).returncode == 0
    assert {path.name: path.read_bytes() for path in target.iterdir() if path.is_file()} == needed
    assert hub.fetched["codec.pth"] == 1


def test_content_that_differs_from_the_hub_fails(tmp_path: Path, hub: Hub) -> None:
    honest = hub.info()
    hub.info = lambda: honest  # type: ignore[method-assign]
    hub.files["config.json"] = FILES["config.json"].replace(b"dual", b"evil")
    result = download(tmp_path, hub.url)
    assert result.returncode == 3
    assert "config.json: the content differs" in result.stdout


@pytest.mark.parametrize(("status", "code"), [(401, "no-such-repository"), (403, "terms-not-accepted")])
def test_a_refusal_is_a_clear_error(tmp_path: Path, hub: Hub, status: int, code: str) -> None:
    hub.status = status
    result = download(tmp_path, hub.url, "owner/tiny", "--json")
    assert result.returncode == 1
    error = error_in(result.stdout)
    assert error["code"] == code
    assert "HF_TOKEN" in error["remedy"]
    assert "Traceback" not in result.stderr


def test_another_model_no_network_and_a_wrong_name_are_errors(tmp_path: Path, hub: Hub) -> None:
    del hub.files["codec.pth"]
    result = download(tmp_path, hub.url, "owner/tiny", "--json")
    assert (result.returncode, error_in(result.stdout)["code"]) == (1, "no-checkpoint-in-repository")
    assert "codec.pth" in error_in(result.stdout)["problem"]
    result = download(tmp_path, "http://127.0.0.1:9", "owner/tiny", "--json")
    assert (result.returncode, error_in(result.stdout)["code"]) == (1, "hub-unreachable")
    assert "Traceback" not in result.stderr
    result = download(tmp_path, hub.url, "no/such/name", "--json")
    assert (result.returncode, error_in(result.stdout)["code"]) == (2, "not-a-repository")
