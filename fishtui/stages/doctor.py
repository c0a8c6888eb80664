"""doctor: what of this machine and project would get in the way, and what to do about it."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from fishtui.checkpoint import CheckpointFolder
from fishtui.errors import CheckpointError, FishtuiError, loading
from fishtui.glyphs import SIGN
from fishtui.project import Project
from fishtui.settings import Settings
from fishtui.wording import size

State = Literal["ok", "warning", "error"]
GIGABYTE = 1e9
# A merged checkpoint is about 4 GB, and a training keeps six adapters beside it.
DISK_WANTED = 10 * GIGABYTE
GPU_WANTED = 8 * GIGABYTE
# The last two that were made for each other.
PAIR = "pip install torch==2.11.0 torchaudio==2.11.0"


@dataclass(frozen=True)
class Finding:
    """What was looked at, how it stands, what was found, and what to do about it."""

    name: str
    state: State
    found: str
    remedy: str = ""

    @property
    def glyph(self) -> str:
        return SIGN[self.state]

    def as_dict(self) -> dict[str, Any]:
        """The finding as JSON-ready data."""
        return asdict(self)


def examine(project: Project, settings: Settings) -> list[Finding]:
    """All findings, also those that are well. Nothing is written."""
    checkpoint = project.path(settings.paths.checkpoint)
    looks: list[Callable[[], Iterator[Finding]]] = [
        _python,
        _torch,
        _gpu,
        lambda: _disk(project),
        _logout,
        lambda: _checkpoint(checkpoint),
        _terminal,
    ]
    return [finding for look in looks for finding in look()]


def _python() -> Iterator[Finding]:
    yield Finding("python", "ok", f"{platform.python_version()} at {sys.executable}")


def _torch() -> Iterator[Finding]:
    versions = {name: metadata.version(name) for name in ("torch", "torchaudio")}
    shown = ", ".join(f"{name} {version}" for name, version in versions.items())
    try:
        with loading(shown):
            import torch
            import torchaudio
    except FishtuiError as error:
        yield Finding(
            "torch", "error", error.problem, f"torchaudio needs the torch of its own release and CUDA: {PAIR}"
        )
        return
    if torch.__version__.split(".")[:2] != torchaudio.__version__.split(".")[:2]:
        yield Finding("torch", "warning", shown, f"Take one release of both: {PAIR}")
    else:
        yield Finding("torch", "ok", shown)


def _gpu() -> Iterator[Finding]:
    try:
        import torch
    except (ImportError, OSError):
        return
    if not torch.cuda.is_available():
        driver = _driver()
        if driver:
            yield Finding(
                "GPU",
                "error",
                f"driver {driver} is there, but torch {torch.__version__} can't use it",
                "Update the driver, or install a torch built for its CUDA; torch.cuda.init() tells the reason.",
            )
        else:
            yield Finding("GPU", "warning", "none: everything runs on the CPU", "Training the real model wants a GPU.")
        return
    for index in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(index)
        name = torch.cuda.get_device_name(index)
        found = f"{index}: {name}, {size(free)} of {size(total)} free"
        if free < GPU_WANTED:
            yield Finding("GPU", "warning", found, "Another process may hold its memory: see nvidia-smi.")
        else:
            yield Finding("GPU", "ok", found)


def _driver() -> str:
    """The version of the NVIDIA driver, empty without one."""
    said = _told("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader").splitlines()
    return said[0] if said else ""


def _told(*command: str) -> str:
    """What a program prints; empty if it isn't here, fails, or gives no answer."""
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout.strip() if answer.returncode == 0 else ""


def _disk(project: Project) -> Iterator[Finding]:
    folder = next(folder for folder in (project.root, *project.root.parents) if folder.is_dir())
    free = shutil.disk_usage(folder).free
    found = f"{size(free)} free in {project.root}"
    if free < DISK_WANTED:
        yield Finding(
            "disk", "warning", found, "A merged checkpoint takes 4 GB, a training's checkpoints 1 GB: make room."
        )
    else:
        yield Finding("disk", "ok", found)
    if not os.access(folder, os.W_OK):
        yield Finding("disk", "error", f"{folder} can't be written", "Check who owns it, or take another folder.")


def _logout() -> Iterator[Finding]:
    """Whether systemd, where that keeps the users' sessions, ends what they have running when they log out."""
    manager = ("org.freedesktop.login1", "/org/freedesktop/login1", "org.freedesktop.login1.Manager")
    match _told("busctl", "get-property", *manager, "KillUserProcesses"):
        case "b true":
            yield Finding(
                "logout",
                "warning",
                "systemd ends your runs when you log out (KillUserProcesses)",
                "Run `loginctl enable-linger` once, and begin with `systemd-run --user --scope bash` after each login.",
            )
        case "b false":
            yield Finding("logout", "ok", "runs go on when you log out")


def _checkpoint(folder: Path) -> Iterator[Finding]:
    if not folder.is_dir():
        yield Finding("checkpoint", "error", f"{folder} is not there", "Fetch it with `fishtui download`.")
        return
    for name, load in (("model", _load_model), ("codec", _load_codec)):
        try:
            found = load(folder)
        except CheckpointError as error:
            yield Finding(name, "error", error.problem, error.remedy)
        except (ImportError, OSError) as error:
            yield Finding(name, "error", f"can't be examined: {error}", "Mend torch first.")
        else:
            yield Finding(name, "ok", found)


def _load_model(folder: Path) -> str:
    from fishtui.load import load_model

    model = load_model(folder, dtype=None)
    return f"{sum(parameter.numel() for parameter in model.parameters()) / 1e6:,.0f} million parameters in {folder}"


def _load_codec(folder: Path) -> str:
    from fishtui.codec.load import load_codec

    codec = load_codec(CheckpointFolder(folder).codec_file)
    return f"{sum(parameter.numel() for parameter in codec.parameters()) / 1e6:,.0f} million parameters"


def _terminal() -> Iterator[Finding]:
    term = os.environ.get("TERM", "")
    size = shutil.get_terminal_size()
    encoding = (sys.stdout.encoding or "").lower()
    found = f"{term or 'no TERM'}, {size.columns}x{size.lines}, {encoding or 'no encoding'}"
    if encoding not in ("utf-8", "utf8"):
        yield Finding("terminal", "warning", found, "Set a UTF-8 locale: export LANG=C.UTF-8.")
    elif term in ("", "dumb"):
        yield Finding("terminal", "warning", found, "Without a terminal use the headless commands.")
    else:
        yield Finding("terminal", "ok", found)
