"""`fishtui listen`."""

from __future__ import annotations

import json
import signal
import urllib.request
from pathlib import Path

import pytest

from fishtui.catalog.store import Catalog
from fishtui.errors import MisuseError
from fishtui.listen.recordings import recordings
from fishtui.project import Project
from tests import builders, forking


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = builders.project(tmp_path_factory.mktemp("listen"))
    for name in ("anna/a", "anna/b", "bert/c"):
        builders.write_clip(project.root / "data" / f"{name}.wav", samples=builders.tone(0.6))
    (project.root / "data" / "bert" / "silent.lab").write_text("There is no recording of this.")
    assert forking.fishtui("scan", cwd=project.root).returncode == 0
    return project


def test_a_filter_selects_the_recordings_of_its_clips(project: Project) -> None:
    with Catalog(project, project.root / "data") as catalog:
        found = recordings(catalog, "speaker:anna sort:-name")
        assert [(each.name, each.path.name) for each in found] == [("anna/b", "b.wav"), ("anna/a", "a.wav")]
        assert [each.name for each in recordings(catalog, "", 1)] == ["anna/a"]
        assert [each.name for each in recordings(catalog, "speaker:bert")] == ["bert/c"]
        with pytest.raises(MisuseError):
            recordings(catalog, "nonsense:1")


def test_listen_serves_until_it_is_interrupted(project: Project) -> None:
    with builders.serving(project.root, "listen", "speaker:anna", "--json") as process:
        assert process.stdout is not None
        served = json.loads(process.stdout.readline())
        assert [each["name"] for each in served["files"]] == ["anna/a", "anna/b"]
        assert served["url"] == f"http://127.0.0.1:{served['port']}/{served['token']}/"
        assert served["ssh"].startswith(f"ssh -L {served['port']}:127.0.0.1:{served['port']} ")
        with urllib.request.urlopen(served["files"][0]["url"], timeout=10) as response:
            assert response.read() == (project.root / "data" / "anna" / "a.wav").read_bytes()
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=60)
    assert (process.returncode, rest, errors) == (0, "", "")


def test_a_filter_without_recordings_is_reported(project: Project) -> None:
    done = forking.fishtui("listen", "speaker:nobody", cwd=project.root)
    assert (done.returncode, done.stdout) == (2, "")
    assert "no matching clip has a recording" in done.stderr


def test_without_a_catalog_the_error_names_scan(tmp_path: Path) -> None:
    builders.project(tmp_path)
    (tmp_path / "data").mkdir()
    assert "fishtui scan" in forking.fishtui("listen", cwd=tmp_path).stderr
