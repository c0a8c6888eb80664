"""The message at the end of a run: one per run or pipeline, by a real server; addresses are secrets."""

from __future__ import annotations

import http.server
import json
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fishtui import extras, settings
from fishtui.project import Project
from fishtui.runs import notify
from fishtui.runs import record as records
from fishtui.runs.events import read_events
from fishtui.runs.execute import run_work
from fishtui.runs.ledger import Ledger
from fishtui.runs.record import SUCCEEDED
from fishtui.runs.rerun import rerun
from fishtui.runs.state import Run, read_runs
from fishtui.settings.masking import masked
from tests.builders import packable, snapshot
from tests.builders import project as make_project
from tests.expecting import error_in, failing
from tests.forking import fishtui
from tests.runs.test_launch import ended

TOKEN = "verysecrettoken"


class Server:
    """A server that keeps the messages that it receives."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                outer.messages.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *args: Any) -> None:
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        return f"json://user:{TOKEN}@127.0.0.1:{self.http.server_port}"

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture
def project(tmp_path: Path) -> Project:
    packable(tmp_path / "voice" / "data", clips=2)
    return make_project(tmp_path / "voice", "[pack]\nworkers = 1\n")


def configured(project: Project, *addresses: str) -> None:
    content = project.settings_file.read_text(encoding="utf-8")
    project.settings_file.write_text(f"{content}[run]\nnotify = {json.dumps(addresses)}\n", encoding="utf-8")


def warnings(run: Run) -> list[dict[str, Any]]:
    return [event for event in read_events(run.folder / "events.jsonl") if event["kind"] == "warning"]


def assert_secret(project: Project, *shown: str) -> None:
    assert [name for name, content in snapshot(project.state).items() if TOKEN.encode() in content] == []
    assert not any(TOKEN in text for text in shown)


def test_an_ended_run_sends_one_message(project: Project, server: Server) -> None:
    configured(project, server.address)
    result = fishtui("pack", cwd=project.root)
    assert result.returncode == 0, result.stderr
    (message,) = server.messages
    (run,) = read_runs(project)
    assert message["title"] == "fishtui: pack succeeded"
    assert message["type"] == "success"
    assert run.id in message["message"]
    assert "project voice" in message["message"]
    assert "4 done" in message["message"]
    assert warnings(run) == []
    assert_secret(project, result.stdout, result.stderr)


@pytest.mark.parametrize("way", ["--set", "environment"])
def test_an_address_of_the_command_is_not_recorded(
    project: Project, server: Server, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["--set", f"run.notify={server.address}"] if way == "--set" else []
    if way == "environment":
        monkeypatch.setenv("FISHTUI_RUN_NOTIFY", server.address)
    result = fishtui("pack", *words, cwd=project.root)
    assert result.returncode == 0, result.stderr
    assert len(server.messages) == 1
    assert_secret(project, result.stdout, result.stderr)


def test_a_failed_run_names_its_error(project: Project, server: Server) -> None:
    for text in project.root.rglob("*.lab"):
        text.write_text("\n", encoding="utf-8")
    configured(project, server.address)
    assert fishtui("pack", cwd=project.root).returncode != 0
    (run,) = read_runs(project)
    (message,) = server.messages
    assert run.state in message["title"]
    assert run.state != SUCCEEDED


def test_only_a_pipeline_sends_not_its_steps(project: Project, server: Server) -> None:
    configured(project, server.address)
    loaded = settings.load(project.settings_file, {})
    pipeline, folder = records.create(project, "run", ["run"], loaded, {})
    assert stat.S_IMODE((folder / records.ADDRESSES).stat().st_mode) == 0o600
    step, its_folder = records.create(project, "pack", ["pack"], loaded, {}, parent=pipeline.id)
    for record, each in ((step, its_folder), (pipeline, folder)):
        run_work(record, each, lambda reporter: Ledger(done=1, unit="stages"))
    assert [message["title"] for message in server.messages] == ["fishtui: run succeeded"]
    assert_secret(project)


def test_a_run_that_cannot_send_succeeds_with_a_warning(project: Project, server: Server) -> None:
    server.close()
    configured(project, server.address)
    result = fishtui("pack", cwd=project.root)
    assert result.returncode == 0, result.stderr
    (run,) = read_runs(project)
    assert run.state == SUCCEEDED
    (warning,) = warnings(run)
    assert warning["item"] == notify.SETTING
    assert "json://***" in warning["message"]
    assert_secret(project, result.stdout, result.stderr)


def test_a_defect_of_a_service_shows_no_address(
    project: Project, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail(address: str) -> Any:
        raise RuntimeError(f"cannot use {address}")

    loaded = settings.load(None, {}, [f"run.notify=json://user:{TOKEN}@localhost"])
    record, folder = records.create(project, "pack", ["pack"], loaded, {})
    monkeypatch.setattr(notify, "_service", fail)
    (problem,) = notify.send_end(record, folder)
    assert TOKEN not in problem
    assert TOKEN not in "".join(capfd.readouterr())


def test_a_run_again_sends_to_the_addresses_of_now(project: Project, server: Server) -> None:
    assert fishtui("pack", "--set", f"run.notify={server.address}", cwd=project.root).returncode == 0
    (first,) = read_runs(project)
    configured(project, server.address)
    ended(project, rerun(project, first))
    assert len(server.messages) == 2
    assert_secret(project)


def test_a_missing_package_is_named_before_a_run_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    notify.check_addresses([])
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    notify.check_addresses([])
    with failing("missing-package"):
        notify.check_addresses(["json://localhost"])


def test_a_wrong_address_is_refused_before_a_run_starts(project: Project) -> None:
    configured(project, "json://localhost", f"nosuchservice://{TOKEN}")
    result = fishtui("pack", "--json", cwd=project.root)
    assert error_in(result.stdout)["code"] == "bad-address"
    assert read_runs(project) == []
    assert_secret(project, result.stdout, result.stderr)


def test_settings_show_no_address(project: Project) -> None:
    configured(project, f"tgram://{TOKEN}/123")
    results = [
        fishtui("settings", *words, cwd=project.root)
        for words in ([], ["run.notify"], ["run.notify", "--json"], ["run.notify", f"json://{TOKEN}"], ["--changed"])
    ]
    assert all(result.returncode == 0 for result in results)
    assert_secret(project, *(result.stdout + result.stderr for result in results))
    assert TOKEN in project.settings_file.read_text(encoding="utf-8")
    (row,) = [row for row in settings.rows(settings.load(project.settings_file)) if row.name == notify.SETTING]
    assert row.value == "json://***"


def test_a_mask_keeps_the_service_only() -> None:
    assert masked(["tgram://token/chat", "token", ""]) == ["tgram://***", "***", ""]
