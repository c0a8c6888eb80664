"""The recognizer that the settings of [transcribe] choose, and what it needs."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

import msgspec

from fishtui.errors import FishtuiError, MisuseError
from fishtui.judges import recognizers
from fishtui.judges.hearing import Recognizer
from fishtui.judges.needs import Needs, Setup
from fishtui.settings import Settings, TranscribeSettings

SERVER = "server"
WHISPER = "faster-whisper"
# The name of the recognizer of [transcribe] for `fishtui download --judge`.
DOWNLOAD = "transcribe"
# Changes when the same recognizer hears other words in the same recording.
VERSION = "1"


@dataclass(frozen=True)
class Choice:
    """The recognizer of the settings; relative paths of models start at `root`."""

    root: Path
    settings: TranscribeSettings

    @property
    def model(self) -> str:
        """The model as people know it, empty if the recognizer has only one."""
        if self.settings.recognizer == WHISPER:
            return self.settings.model or recognizers.WHISPER
        return self.settings.model if self.settings.recognizer == SERVER else ""

    def needs(self) -> Needs:
        """Return the packages and weights that the recognizer needs."""
        return Needs() if self.settings.recognizer == SERVER else recognizers.needs(self._setup("cpu"))

    def check(self) -> None:
        """Raise MisuseError for settings that do not fit together, FishtuiError if a package or weights are missing."""
        name, language = self.settings.recognizer, self.settings.language
        if name == SERVER and not self.settings.url:
            raise MisuseError(
                "no server to send recordings to",
                "Set transcribe.url, or choose another transcribe.recognizer.",
                code="no-server",
            )
        if name in recognizers.KINDS and (known := recognizers.KINDS[name].languages) and language not in ("", *known):
            raise self._unknown_language()
        if missing := self.needs().missing():
            problem, remedy = missing
            raise FishtuiError(f"recognizer {name}: {problem}", self._remedied(remedy), code="missing-recognizer")

    def identity(self) -> str:
        """Return a hash that changes with everything that decides the recognized words."""
        settings = self.settings
        parts = [VERSION, settings.recognizer, self.model, settings.language, self.needs().identity()]
        if settings.recognizer == SERVER:
            parts.append(settings.url)
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def load(self) -> Recognizer:
        """Return the recognizer, ready to work. Raises FishtuiError if it is missing or damaged."""
        self.check()
        settings = self.settings
        if settings.recognizer == SERVER:
            # Imported here, because only this recognizer needs the network.
            from fishtui.judges.server import Server

            return Server(settings.url, settings.model, settings.language, settings.timeout, os.environ)
        found = recognizers.load(self._setup(self._device()), settings.language)
        if found is None:
            raise self._unknown_language()
        return found

    def _device(self) -> str:
        if self.settings.recognizer != WHISPER:
            return "cpu"
        # Imported here, because it loads torch.
        from fishtui.devices import choose_device

        return str(choose_device(self.settings.device))

    def _setup(self, device: str) -> Setup:
        name = self.settings.recognizer
        wanted = f"{name}:{self.settings.model}" if name == WHISPER and self.settings.model else name
        return Setup(self.root, msgspec.structs.replace(Settings().evaluate, recognizer=wanted), device)

    def _unknown_language(self) -> MisuseError:
        return MisuseError(
            f"{self.settings.recognizer} does not know the language {self.settings.language}",
            f"Use --recognizer {WHISPER}.",
            code="unknown-language",
        )

    def _remedied(self, remedy: str) -> str:
        """Return the remedy for missing weights with the whole command that downloads them."""
        model = f" --set transcribe.model={self.settings.model}" if self.settings.model else ""
        return remedy.replace("--judge NAME", f"--judge {DOWNLOAD}{model}").replace("[evaluate]", "[transcribe]")
