"""Tests of playback: on this host, or in a browser on another."""

from __future__ import annotations

import asyncio
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from textual.pilot import Pilot

from fishtui.listen.player import Player
from fishtui.tui import playback
from fishtui.tui.app import Fishtui
from fishtui.tui.playback import ServerDialog
from tests import builders
from tests.tui.driving import until


def drive(folder: Path, do: Callable[[Fishtui, Pilot[None]], Awaitable[None]]) -> None:
    """Run the interface on an empty project and `do` something with it."""

    async def run() -> None:
        app = Fishtui(builders.project(folder))
        async with app.run_test(size=(80, 24)) as pilot:
            await do(app, pilot)

    asyncio.run(run())


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return builders.write_clip(tmp_path / "data" / "anna" / "[b]a.wav")


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host without sound."""
    monkeypatch.setattr(playback, "player_of", lambda path: None)


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> list[list[Path] | str]:
    """The recordings that a host with sound plays."""
    calls: list[list[Path] | str] = []
    monkeypatch.setattr(playback, "player_of", lambda path: ["player"])
    monkeypatch.setattr(Player, "play", lambda self, paths: calls.append(list(paths)))
    monkeypatch.setattr(Player, "is_playing", property(lambda self: bool(calls) and calls[-1] != "stop"))
    monkeypatch.setattr(Player, "stop", lambda self: calls.append("stop"))
    return calls


def fetch(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=10) as response:
        return response.read()


@pytest.mark.usefixtures("silent")
def test_a_host_without_sound_serves_and_shows_the_address(tmp_path: Path, clip: Path) -> None:
    async def do(app: Fishtui, pilot: Pilot[None]) -> None:
        app.listen([clip])
        await until(pilot, lambda: isinstance(app.screen, ServerDialog))
        served = app.screen
        assert isinstance(served, ServerDialog)
        assert served.line.startswith("ssh -L ")
        page = await asyncio.to_thread(fetch, served.address)
        assert b"data/anna/[b]a.wav" in page
        assert await asyncio.to_thread(fetch, served.address + "1") == clip.read_bytes()
        await pilot.press("c")
        assert app.clipboard == served.line
        await pilot.press("a")
        assert app.clipboard == served.address

    drive(tmp_path, do)


@pytest.mark.usefixtures("silent")
def test_the_address_is_shown_once_and_on_request(tmp_path: Path, clip: Path) -> None:
    async def do(app: Fishtui, pilot: Pilot[None]) -> None:
        app.listen([clip])
        await until(pilot, lambda: isinstance(app.screen, ServerDialog))
        address = app.screen.address  # type: ignore[attr-defined]
        await pilot.press("escape")
        assert app.is_unheard
        app.listen([clip], names=["another"])
        app.listen([clip], names=["again"])
        await until(pilot, lambda: any("no page is open" in each.message for each in app._notifications))
        app.listen([clip], names=["again"])
        await until(pilot, lambda: all(worker.is_finished for worker in app.workers))
        await pilot.pause()
        # Repeated keys do not cover the screen with messages.
        assert len(app._notifications) == 1
        assert not isinstance(app.screen, ServerDialog)
        assert b"again" in await asyncio.to_thread(fetch, address)
        app.listen([clip], serve=True)
        await until(pilot, lambda: isinstance(app.screen, ServerDialog))
        assert app.screen.address == address  # type: ignore[attr-defined]

    drive(tmp_path, do)


@pytest.mark.usefixtures("silent")
def test_serving_stops_on_request_and_with_the_app(tmp_path: Path, clip: Path) -> None:
    addresses = []

    async def do(app: Fishtui, pilot: Pilot[None]) -> None:
        for stop in (True, False):
            app.listen([clip], serve=True)
            await until(pilot, lambda: isinstance(app.screen, ServerDialog))
            addresses.append(app.screen.address)  # type: ignore[attr-defined]
            if stop:
                await pilot.press("s")
                await until(pilot, lambda: _is_silent(addresses[0]))

    drive(tmp_path, do)
    assert len(set(addresses)) == 2
    asyncio.run(_until_silent(addresses[1]))


def _is_silent(url: str) -> bool:
    try:
        fetch(url)
    except (urllib.error.URLError, OSError):
        return True
    return False


async def _until_silent(url: str) -> None:
    async with asyncio.timeout(20):
        while not _is_silent(url):
            await asyncio.sleep(0)


def test_a_host_with_sound_plays_and_the_same_key_stops(
    tmp_path: Path, clip: Path, played: list[list[Path] | str]
) -> None:
    async def do(app: Fishtui, pilot: Pilot[None]) -> None:
        app.listen([clip])
        await until(pilot, lambda: played == [[clip]])
        app.listen([clip])
        await until(pilot, lambda: played == [[clip], "stop"])
        assert not isinstance(app.screen, ServerDialog)

    drive(tmp_path, do)


def test_a_deleted_recording_is_reported(tmp_path: Path, played: list[list[Path] | str]) -> None:
    async def do(app: Fishtui, pilot: Pilot[None]) -> None:
        app.listen([tmp_path / "data" / "gone.wav"])
        await until(
            pilot,
            lambda: any("data/gone.wav: the recording no longer exists" in each.message for each in app._notifications),
        )

    drive(tmp_path, do)
    assert [each for each in played if each != "stop"] == []
