"""Play recordings on this host, in the background, with whatever player is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from fishtui.errors import FishtuiError
from fishtui.wording import reason_of

# In the order of preference. aplay takes nothing but wav.
PLAYERS = {
    "pw-play": (),
    "paplay": (),
    "ffplay": ("-nodisp", "-autoexit", "-loglevel", "error"),
    "play": ("-q",),
    "aplay": ("-q",),
}
WAV_ONLY = ("aplay",)
SERVED = "L serves it to a browser on your own computer."
DEVICES = Path("/dev/snd")


def has_sound(environment: Mapping[str, str] = os.environ, devices: Path = DEVICES) -> bool:
    """Whether there is anything to hear with: a device that plays, or a sound server that is there or forwarded."""
    if environment.get("PULSE_SERVER") or environment.get("PIPEWIRE_REMOTE"):
        return True
    session = environment.get("XDG_RUNTIME_DIR")
    if session and any((Path(session) / name).exists() for name in ("pulse/native", "pipewire-0")):
        return True
    # A device whose name begins with pcm and ends in p plays; c is for capture.
    return any(path.name.endswith("p") for path in devices.glob("pcm*"))


def player_of(path: Path, environment: Mapping[str, str] = os.environ, devices: Path = DEVICES) -> list[str] | None:
    """The command that plays `path` on this host; None if it can't."""
    if not has_sound(environment, devices):
        return None
    for name, options in PLAYERS.items():
        if (name not in WAV_ONLY or path.suffix.lower() == ".wav") and (
            found := shutil.which(name, path=environment.get("PATH"))
        ):
            # Absolute: no name of a file is taken for an option or an address.
            return [found, *options, str(path.absolute())]
    return None


class Player:
    """Plays one list of recordings at a time; what fails is handed to `complain`, from a thread."""

    def __init__(self, complain: Callable[[FishtuiError], None]) -> None:
        self._complain = complain
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        # Counts what was asked for: a thread whose number is past plays nothing more.
        self._turn = 0

    @property
    def is_playing(self) -> bool:
        """Whether something can be heard."""
        return self._process is not None and self._process.poll() is None

    def play(self, paths: Sequence[Path]) -> None:
        """Play `paths` one after the other, instead of what plays now."""
        turn = self.stop()
        threading.Thread(target=self._play, args=(turn, list(paths)), name="player", daemon=True).start()

    def stop(self) -> int:
        """Be silent; the number of what may be played next."""
        with self._lock:
            self._turn += 1
            if self._process is not None and self._process.poll() is None:
                self._process.terminate()
            return self._turn

    def _play(self, turn: int, paths: list[Path]) -> None:
        for path in paths:
            command = player_of(path)
            if command is None:
                self._complain(FishtuiError(f"nothing on this host plays {path.name}", SERVED))
                return
            with self._lock:
                if turn != self._turn:
                    return
                try:
                    process = self._process = subprocess.Popen(
                        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
                    )
                except OSError as error:
                    self._complain(FishtuiError(f"{command[0]}: cannot start: {reason_of(error)}", SERVED))
                    return
            _, said = process.communicate()
            if process.returncode and turn == self._turn:
                reason = said.decode(errors="replace").strip().splitlines()
                told = f": {reason[-1]}" if reason else ""
                self._complain(FishtuiError(f"{Path(command[0]).name} could not play {path.name}{told}", SERVED))
                return
