"""Downloads from a local hub."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from fishtui.judges.needs import Setup
from fishtui.judges.registry import find_judge
from fishtui.project import Project
from fishtui.runs.state import find_run
from tests.expecting import error_in
from tests.hub import FILES, Hub, download, running_hub


@pytest.fixture
def hub() -> Iterator[Hub]:
    with running_hub() as made:
        yield made


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


@pytest.mark.parametrize("token", ["", "hf_x"])
@pytest.mark.parametrize(
    ("status", "code"), [(401, "no-such-repository"), (403, "terms-not-accepted"), (400, "bad-token")]
)
def test_a_refusal_is_a_clear_error(tmp_path: Path, hub: Hub, status: int, code: str, token: str) -> None:
    hub.status = status
    result = download(tmp_path, hub.url, "owner/tiny", "--json", HF_TOKEN=token)
    assert result.returncode == 1
    error = error_in(result.stdout)
    assert error["code"] == code
    assert "HF_TOKEN" in error["remedy"]
    assert "Traceback" not in result.stderr


def test_another_model_and_a_wrong_name_are_errors(tmp_path: Path, hub: Hub) -> None:
    del hub.files["codec.pth"]
    result = download(tmp_path, hub.url, "owner/tiny", "--json")
    assert (result.returncode, error_in(result.stdout)["code"]) == (1, "no-checkpoint-in-repository")
    assert "codec.pth" in error_in(result.stdout)["problem"]
    result = download(tmp_path, hub.url, "no/such/name", "--json")
    assert (result.returncode, error_in(result.stdout)["code"]) == (2, "not-a-repository")


@pytest.mark.parametrize(
    ("url", "environment", "code"),
    [
        ("http://127.0.0.1:9", {}, "hub-unreachable"),
        ("http://hub.invalid", {}, "hub-unreachable"),
        ("nonsense", {}, "hub-unreachable"),
        ("http://a:b", {}, "hub-unreachable"),
        ("http://127.0.0.1:9", {"HF_HUB_OFFLINE": "1"}, "hub-offline"),
        ("http://127.0.0.1:9", {"HTTP_PROXY": "http://127.0.0.1:9"}, "hub-unreachable"),
    ],
)
def test_a_missing_network_is_an_error_of_two_lines_without_a_traceback_anywhere(
    tmp_path: Path, url: str, environment: dict[str, str], code: str
) -> None:
    result = download(tmp_path, url, **environment)
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 2
    assert "Traceback" not in result.stdout + result.stderr
    files = [path for path in (tmp_path / ".fishtui").rglob("*") if path.is_file()]
    assert [path for path in files if b"Traceback" in path.read_bytes()] == []
    assert find_run(Project(tmp_path), "last").record.error_code == code


def test_a_network_that_is_lost_during_a_file_is_the_same_error(tmp_path: Path, hub: Hub) -> None:
    hub.breaks = True
    result = download(tmp_path, hub.url)
    assert (result.returncode, len(result.stderr.splitlines())) == (1, 2)
    assert find_run(Project(tmp_path), "last").record.error_code == "hub-unreachable"


def test_the_model_of_the_project_goes_where_its_settings_name_it(tmp_path: Path, hub: Hub) -> None:
    settings = '[paths]\ncheckpoint = "models/base"\n'
    assert download(tmp_path, hub.url, "--revision", "main", settings=settings).returncode == 0
    assert (tmp_path / "models" / "base" / "model.pth").is_file()
    assert download(tmp_path, hub.url, "owner/tiny", settings=settings).returncode == 0
    assert (tmp_path / "checkpoints" / "tiny" / "model.pth").is_file()
    assert (
        download(tmp_path, hub.url, "owner/small", settings='[paths]\ncheckpoint = "../here/small"\n').returncode == 0
    )
    assert (tmp_path.parent / "here" / "small" / "model.pth").is_file()


def test_files_that_no_download_wrote_are_replaced_only_with_force(tmp_path: Path, hub: Hub) -> None:
    own = tmp_path / "checkpoints" / "tiny" / "model.pth"
    own.parent.mkdir(parents=True)
    own.write_bytes(b"my own model")
    for more in ([], ["--dry-run"]):
        refused = download(tmp_path, hub.url, "owner/tiny", "--json", *more)
        assert error_in(refused.stdout)["code"] == "other-model"
    assert own.read_bytes() == b"my own model"
    assert download(tmp_path, hub.url, "owner/tiny", "--force").returncode == 0
    assert own.read_bytes() == FILES["model.pth"]


WHISPER = {
    "config.json": b"{}",
    "model.bin": bytes(range(256)) * 2000,
    "tokenizer.json": b"{}",
    "vocabulary.txt": b"a",
    "README.md": b"not needed",
}


def test_the_weights_of_a_judge_go_where_it_finds_them(tmp_path: Path, hub: Hub) -> None:
    hub.files = dict(WHISPER)
    assert download(tmp_path, hub.url, "--judge", "intelligibility").returncode == 0
    target = tmp_path / "checkpoints" / "judges" / "Systran--faster-whisper-small"
    assert {path.name for path in target.iterdir() if path.is_file()} == WHISPER.keys() - {"README.md"}
    needs = find_judge("intelligibility").needs(Setup(tmp_path))
    assert needs.weights is not None
    assert needs.weights.missing() == []
    (target / "model.bin").write_bytes(b"damaged")
    assert "3 skipped" in download(tmp_path, hub.url, "--judge", "intelligibility").stdout
    assert (target / "model.bin").read_bytes() == WHISPER["model.bin"]


def test_a_judge_of_the_settings_is_downloaded_if_the_repository_has_it(tmp_path: Path, hub: Hub) -> None:
    settings = '[evaluate]\nsimilarity = "wavlm:owner/tiny"\n'
    refused = download(tmp_path, hub.url, "--judge", "similarity", "--json", settings=settings)
    assert error_in(refused.stdout)["code"] == "no-judge-in-repository"
    hub.files = {"config.json": b"{}", "preprocessor_config.json": b"{}", "pytorch_model.bin": b"weights"}
    assert download(tmp_path, hub.url, "--judge", "similarity", settings=settings).returncode == 0
    assert (tmp_path / "checkpoints" / "judges" / "owner--tiny" / "pytorch_model.bin").read_bytes() == b"weights"


S2 = {
    "config.json": b'{"model_type": "fish_qwen3_omni"}',
    "model.safetensors.index.json": b"{}",
    "model-00001-of-00002.safetensors": b"1",
    "model-00002-of-00002.safetensors": b"2",
    "codec.pth": b"codec",
    "tokenizer.json": b"{}",
    "LICENSE.md": b"Agreement.",
    "README.md": b"not needed",
}


def test_a_licence_is_shown_and_accepted_once(tmp_path: Path, hub: Hub) -> None:
    hub.files = dict(S2)
    config = {"XDG_CONFIG_HOME": str(tmp_path / "config")}
    # The published model by its name before anything is asked of the hub, and copies of it once their files are known.
    for repository in ("fishaudio/s2-pro", "owner/copy"):
        refused = download(tmp_path, hub.url, repository, "--json", **config)
        assert refused.returncode == 2
        error = error_in(refused.stdout)
        assert error["code"] == "licence-not-accepted"
        assert "commercial" in error["problem"]
        assert "--accept-licence" in error["remedy"]
    assert not hub.fetched
    accepted = download(tmp_path, hub.url, "owner/copy", "--accept-licence", **config)
    assert accepted.returncode == 0, accepted.stderr
    assert "business@fish.audio" in accepted.stderr
    target = tmp_path / "checkpoints" / "copy"
    assert {path.name for path in target.iterdir() if path.is_file()} == S2.keys() - {"README.md"}
    again = download(tmp_path, hub.url, "owner/copy", **config)
    assert (again.returncode, "business@fish.audio" in again.stderr) == (0, False)


def test_the_published_model_must_have_its_published_hashes(tmp_path: Path, hub: Hub) -> None:
    hub.files = dict(S2)
    config = {"XDG_CONFIG_HOME": str(tmp_path / "config")}
    result = download(tmp_path, hub.url, "fishaudio/s2-pro", "--accept-licence", **config)
    assert result.returncode == 3
    assert "config.json: the content differs from the published one" in result.stdout
    other = download(tmp_path, hub.url, "fishaudio/s2-pro", "--revision", "main", **config)
    assert other.returncode == 0, other.stderr


def test_the_name_of_the_project_s_checkpoint_chooses_the_model(tmp_path: Path, hub: Hub) -> None:
    settings = '[paths]\ncheckpoint = "models/s2-pro"\n'
    config = {"XDG_CONFIG_HOME": str(tmp_path / "config")}
    refused = download(tmp_path, hub.url, "--json", settings=settings, **config)
    assert error_in(refused.stdout)["code"] == "licence-not-accepted"
