"""doctor: check this machine and project for problems, and how to fix each."""

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
from fishtui.dataset import EXTENSIONS, has_files
from fishtui.errors import CheckpointError, FishtuiError, loading
from fishtui.families.registry import family_named
from fishtui.glyphs import SIGN
from fishtui.judges.needs import Setup
from fishtui.judges.registry import available
from fishtui.project import Project
from fishtui.settings import Settings
from fishtui.wording import NEW_TOKEN, NO_RECORDINGS, size

State = Literal["ok", "warning", "error"]
GIGABYTE = 1e9
# A merged checkpoint takes as much as its base, about 4 GB for the smallest model, and a training keeps six adapters.
DISK_WANTED = 10 * GIGABYTE
GPU_WANTED = 8 * GIGABYTE
# Memory of a training with LoRA and gradient checkpointing, as a multiple of the weights.
GPU_SHARE = 1.7
# The last releases that fit each other.
PAIR = "pip install torch==2.11.0 torchaudio==2.11.0"


@dataclass(frozen=True)
class Diagnosis:
    """The result of one check: its name and state, the facts found, and the remedy for a problem."""

    name: str
    state: State
    found: str
    remedy: str = ""

    @property
    def glyph(self) -> str:
        return SIGN[self.state]

    def as_dict(self) -> dict[str, Any]:
        """Return the diagnosis as JSON-ready data."""
        return asdict(self)


def examine(project: Project, settings: Settings) -> list[Diagnosis]:
    """Return the results of all checks, the good ones too. Nothing is written."""
    checkpoint = project.path(settings.paths.checkpoint)
    checks: list[Callable[[], Iterator[Diagnosis]]] = [
        _python,
        _torch,
        lambda: _gpu(checkpoint),
        lambda: _disk(project, checkpoint),
        _logout,
        lambda: _data(project, settings),
        lambda: _checkpoint(checkpoint),
        lambda: _hub(checkpoint),
        lambda: _judges(Setup(project.root, settings.evaluate)),
        _terminal,
    ]
    return [diagnosis for check in checks for diagnosis in check()]


def _python() -> Iterator[Diagnosis]:
    yield Diagnosis("python", "ok", f"{platform.python_version()} at {sys.executable}")


def _torch() -> Iterator[Diagnosis]:
    versions = {name: metadata.version(name) for name in ("torch", "torchaudio")}
    shown = ", ".join(f"{name} {version}" for name, version in versions.items())
    try:
        with loading(shown):
            import torch
            import torchaudio
    except FishtuiError as error:
        yield Diagnosis(
            "torch", "error", error.problem, f"Install a torch and torchaudio of the same release and CUDA: {PAIR}"
        )
        return
    if torch.__version__.split(".")[:2] != torchaudio.__version__.split(".")[:2]:
        yield Diagnosis("torch", "warning", shown, f"Install the same release of both: {PAIR}")
    else:
        yield Diagnosis("torch", "ok", shown)


def _size_of_weights(folder: Path) -> int:
    return sum(path.stat().st_size for path in CheckpointFolder(folder).weight_files if path.is_file())


def _gpu(checkpoint: Path) -> Iterator[Diagnosis]:
    try:
        import torch
    except (ImportError, OSError):
        return
    if not torch.cuda.is_available():
        driver = _driver()
        if driver:
            yield Diagnosis(
                "GPU",
                "error",
                f"torch {torch.__version__} cannot use driver {driver}",
                "Update the driver, or install a torch built for its CUDA; torch.cuda.init() shows the reason.",
            )
        else:
            yield Diagnosis(
                "GPU", "warning", "none: everything runs on the CPU", "Use a GPU to train the published model."
            )
        return
    for index in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(index)
        name = torch.cuda.get_device_name(index)
        found = f"{index}: {name}, {size(free)} of {size(total)} free"
        wanted = max(GPU_WANTED, GPU_SHARE * _size_of_weights(checkpoint))
        if free < wanted:
            yield Diagnosis(
                "GPU",
                "warning",
                f"{found}; training {CheckpointFolder(checkpoint).family_or_default.title} needs about {size(wanted)}",
                "Check with nvidia-smi whether another process uses its memory, or train a smaller model.",
            )
        else:
            yield Diagnosis("GPU", "ok", found)


def _driver() -> str:
    """Return the version of the NVIDIA driver, empty without one."""
    lines = _output_of("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader").splitlines()
    return lines[0] if lines else ""


def _output_of(*command: str) -> str:
    """Return the output of a program; empty if it is not installed, fails, or does not finish."""
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout.strip() if answer.returncode == 0 else ""


def _disk(project: Project, checkpoint: Path) -> Iterator[Diagnosis]:
    folder = next(folder for folder in (project.root, *project.root.parents) if folder.is_dir())
    free = shutil.disk_usage(folder).free
    found = f"{size(free)} free in {project.root}"
    weights = _size_of_weights(checkpoint)
    if free < max(DISK_WANTED, 1.2 * weights):
        merged = f"{size(weights)}" if weights else "about 4 GB"
        yield Diagnosis(
            "disk",
            "warning",
            found,
            f"Free some space: a merged checkpoint takes {merged}, the checkpoints of a training 1 GB.",
        )
    else:
        yield Diagnosis("disk", "ok", found)
    if not os.access(folder, os.W_OK):
        yield Diagnosis(
            "disk", "error", f"no permission to write to {folder}", "Change its permissions, or use another folder."
        )


def _data(project: Project, settings: Settings) -> Iterator[Diagnosis]:
    """Check whether the folder of the dataset exists, within a project, and has recordings."""
    data = project.path(settings.paths.data)
    if data.is_dir() and has_files(data, EXTENSIONS):
        yield Diagnosis("data", "ok", f"recordings in {data}")
    elif data.is_dir():
        yield Diagnosis("data", "warning", f"no recordings in {data}", NO_RECORDINGS)
    elif data.exists():
        yield Diagnosis("data", "error", f"{data} is not a folder", "Set paths.data to the folder of the dataset.")
    elif project.settings_file.exists():
        yield Diagnosis(
            "data",
            "error",
            f"no folder {data}",
            f"{NO_RECORDINGS} paths.data can name another folder.",
        )


def _logout() -> Iterator[Diagnosis]:
    """Check whether systemd ends the processes of users who log out."""
    manager = ("org.freedesktop.login1", "/org/freedesktop/login1", "org.freedesktop.login1.Manager")
    match _output_of("busctl", "get-property", *manager, "KillUserProcesses"):
        case "b true":
            yield Diagnosis(
                "logout",
                "warning",
                "systemd ends your runs when you log out (KillUserProcesses)",
                "Run `loginctl enable-linger` once, and start with `systemd-run --user --scope bash` after each login.",
            )
        case "b false":
            yield Diagnosis("logout", "ok", "runs continue when you log out")


def _checkpoint(folder: Path) -> Iterator[Diagnosis]:
    if not folder.is_dir():
        yield Diagnosis("checkpoint", "error", f"no folder {folder}", "Download it with `fishtui download`.")
        return
    for name, load in (("model", _load_model), ("codec", _load_codec)):
        try:
            found = load(folder)
        except CheckpointError as error:
            yield Diagnosis(name, "error", error.problem, error.remedy)
        except (ImportError, OSError) as error:
            yield Diagnosis(name, "error", f"not checked: {error}", "Fix the torch installation first.")
        else:
            yield Diagnosis(name, "ok", found)


def _hub(checkpoint: Path) -> Iterator[Diagnosis]:
    """Check if gated and private models can be downloaded, where one is still needed. The token is not shown."""
    from huggingface_hub import constants, get_token

    needed = bool(CheckpointFolder(checkpoint).missing())
    if needed and constants.is_offline_mode():
        yield Diagnosis("hub", "warning", "HF_HUB_OFFLINE forbids downloads", "Unset it for `fishtui download`.")
    elif get_token():
        yield Diagnosis("hub", "ok", "a token is set; gated models also ask your account to accept their terms")
    elif needed:
        yield Diagnosis(
            "hub",
            "warning",
            "no token: gated and private models cannot be downloaded",
            f"Accept the terms at huggingface.co/{family_named(checkpoint.name).repository}, then {NEW_TOKEN}.",
        )
    else:
        yield Diagnosis("hub", "ok", "no token; only downloads of gated and private models need one")


def _judges(setup: Setup) -> Iterator[Diagnosis]:
    """Name the judges of the settings that are missing, each with its remedy; a single line if all are ready."""
    states = available(setup)
    ready = ", ".join(state.name for state in states if state.is_ready)
    if ready:
        yield Diagnosis("judges", "ok", f"ready: {ready}")
    for state in states:
        if not state.is_ready:
            yield Diagnosis("judges", "warning", f"{state.name} is missing: {state.problem}", state.remedy)


def _load_model(folder: Path) -> str:
    from fishtui.load import load_model

    model = load_model(folder, dtype=None)
    count = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    return f"{CheckpointFolder(folder).family.title}, {count:,.0f} million parameters in {folder}"


def _load_codec(folder: Path) -> str:
    from fishtui.codec.load import load_codec

    codec = load_codec(CheckpointFolder(folder).codec_file)
    return f"{sum(parameter.numel() for parameter in codec.parameters()) / 1e6:,.0f} million parameters"


def _terminal() -> Iterator[Diagnosis]:
    term = os.environ.get("TERM", "")
    window = shutil.get_terminal_size()
    encoding = (sys.stdout.encoding or "").lower()
    found = f"{term or 'no TERM'}, {window.columns}x{window.lines}, {encoding or 'no encoding'}"
    if encoding not in ("utf-8", "utf8"):
        yield Diagnosis("terminal", "warning", found, "Set a UTF-8 locale: export LANG=C.UTF-8.")
    elif term in ("", "dumb"):
        yield Diagnosis("terminal", "warning", found, "Use the commands instead of the interface, or a real terminal.")
    else:
        yield Diagnosis("terminal", "ok", found)
