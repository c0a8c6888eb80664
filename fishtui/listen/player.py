"""Play recordings on this host, in the background, with a player that is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from fishtui.errors import FishtuiError
from fishtui.wording import reason_of

# Players with their options, in order of preference. aplay plays only wav.
PLAYERS = {
    "pw-play": (),
    "paplay": (),
    "ffplay": ("-nodisp", "-autoexit", "-loglevel", "error"),
    "play": ("-q",),
    "aplay": ("-q",),
}
WAV_ONLY = ("aplay",)
REMEDY = "Listen in a browser instead, also on your own computer."
DEVICES = Path("/dev/snd")


def has_sound(environment: Mapping[str, str] = os.environ, devices: Path = DEVICES) -> bool:
    """Return True if there is a playback device, or a sound server on this host or forwarded to it."""
    if environment.get("PULSE_SERVER") or environment.get("PIPEWIRE_REMOTE"):
        return True
    session = environment.get("XDG_RUNTIME_DIR")
    if session and any((Path(session) / name).exists() for name in ("pulse/native", "pipewire-0")):
        return True
    # Names of playback devices begin with pcm and end with p; those of capture devices end with c.
    return any(path.name.endswith("p") for path in devices.glob("pcm*"))


def player_of(path: Path, environment: Mapping[str, str] = os.environ, devices: Path = DEVICES) -> list[str] | None:
    """Return the command that plays `path` on this host; None if no player can."""
    if not has_sound(environment, devices):
        return None
    for name, options in PLAYERS.items():
        if (name not in WAV_ONLY or path.suffix.lower() == ".wav") and (
            found := shutil.which(name, path=environment.get("PATH"))
        ):
            # An absolute path cannot be mistaken for an option or an address.
            return [found, *options, str(path.absolute())]
    return None


class Player:
    """Plays one list of recordings at a time; calls `report_error` in a thread if that fails."""

    def __init__(self, report_error: Callable[[FishtuiError], None]) -> None:
        self._report_error = report_error
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        # The number of the newest request: a thread with an older number plays no more.
        self._turn = 0
        self.begun: set[Path] = set()
        """The recordings that have begun to play."""

    @property
    def is_playing(self) -> bool:
        """True while a recording is played."""
        return self._process is not None and self._process.poll() is None

    def play(self, paths: Sequence[Path]) -> None:
        """Stop the recording that is played, and play `paths` one after the other."""
        turn = self.stop()
        threading.Thread(target=self._play, args=(turn, list(paths)), name="player", daemon=True).start()

    def stop(self) -> int:
        """Stop, and return the number of the next request."""
        with self._lock:
            self._turn += 1
            if self._process is not None and self._process.poll() is None:
                self._process.terminate()
            return self._turn

    def _play(self, turn: int, paths: list[Path]) -> None:
        for path in paths:
            command = player_of(path)
            if command is None:
                self._report_error(
                    FishtuiError(f"{path.name}: no player for it on this host", REMEDY, code="no-player")
                )
                return
            with self._lock:
                if turn != self._turn:
                    return
                try:
                    process = self._process = subprocess.Popen(
                        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
                    )
                except OSError as error:
                    self._report_error(
                        FishtuiError(f"{command[0]}: cannot start: {reason_of(error)}", REMEDY, code="cannot-start")
                    )
                    return
                self.begun.add(path)
            _, output = process.communicate()
            if process.returncode and turn == self._turn:
                reason = output.decode(errors="replace").strip().splitlines()
                problem = f"{path.name}: {Path(command[0]).name} failed" + (f": {reason[-1]}" if reason else "")
                self._report_error(FishtuiError(problem, REMEDY, code="player-failed"))
                return
