"""Players on this host."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from fishtui.errors import FishtuiError
from fishtui.listen import player
from fishtui.listen.player import Player, has_sound, player_of


def install(folder: Path, name: str, script: str = "") -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def devices(tmp_path: Path) -> Path:
    (tmp_path / "snd").mkdir()
    (tmp_path / "snd" / "pcmC0D0p").touch()
    return tmp_path / "snd"


def test_a_host_with_a_device_or_a_sound_server_has_sound(tmp_path: Path, devices: Path) -> None:
    assert has_sound({}, devices)
    assert has_sound({"PULSE_SERVER": "tcp:localhost:4713"}, tmp_path / "none")
    (tmp_path / "pipewire-0").touch()
    assert has_sound({"XDG_RUNTIME_DIR": str(tmp_path)}, tmp_path / "none")


def test_a_host_that_can_only_record_has_no_sound(tmp_path: Path) -> None:
    (tmp_path / "pcmC0D0c").touch()
    assert not has_sound({}, tmp_path)


def test_the_player_supports_the_format(tmp_path: Path, devices: Path) -> None:
    search = {"PATH": str(tmp_path)}
    assert player_of(Path("a.wav"), search, devices) is None
    install(tmp_path, "aplay")
    assert player_of(Path("/x/a.wav"), search, devices) == [str(tmp_path / "aplay"), "-q", "/x/a.wav"]
    assert player_of(Path("a.mp3"), search, devices) is None
    install(tmp_path, "ffplay")
    assert (player_of(Path("a.mp3"), search, devices) or [""])[0] == str(tmp_path / "ffplay")


def test_without_sound_no_player_is_used(tmp_path: Path) -> None:
    install(tmp_path, "aplay")
    assert player_of(Path("a.wav"), {"PATH": str(tmp_path)}, tmp_path / "none") is None


@pytest.fixture
def playing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A player that writes the names of its recordings to a file; `bad` fails, `long` plays for a minute."""
    log = tmp_path / "log"
    script = f'echo "$1" >> {log}; case "$1" in *bad*) echo "no such codec" >&2; exit 1;; *long*) exec sleep 60;; esac'
    install(tmp_path, "player_process", script)
    monkeypatch.setattr(player, "player_of", lambda path: [str(tmp_path / "player_process"), str(path)])
    return log


def finished() -> None:
    for thread in threading.enumerate():
        if thread.name == "player":
            thread.join(20)
            assert not thread.is_alive()


def test_recordings_are_played_in_order(playing: Path) -> None:
    faults: list[FishtuiError] = []
    player = Player(faults.append)
    player.play([Path("a"), Path("b")])
    finished()
    assert (playing.read_text().split(), faults) == (["a", "b"], [])
    assert player.begun == {Path("a"), Path("b")}


def test_the_next_request_stops_the_current_one(playing: Path) -> None:
    faults: list[FishtuiError] = []
    player_process = Player(faults.append)
    player_process.play([Path("long"), Path("never")])
    player_process.play([Path("b")])
    finished()
    assert playing.read_text().split()[-1] == "b"
    assert "never" not in playing.read_text()
    assert faults == []


def test_a_stop_is_not_an_error(playing: Path) -> None:
    faults: list[FishtuiError] = []
    player_process = Player(faults.append)
    player_process.play([Path("long")])
    player_process.stop()
    finished()
    assert faults == []


def test_an_error_shows_the_message_of_the_player(playing: Path) -> None:
    faults: list[FishtuiError] = []
    Player(faults.append).play([Path("bad"), Path("b")])
    finished()
    assert [each.code for each in faults] == ["player-failed"]
    assert faults[0].problem.endswith("player_process failed: no such codec")
