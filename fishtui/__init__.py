"""Fine-tune a text-to-speech model on your own recordings, from a terminal or from Python.

The public names are loaded when they are first used: importing fishtui loads no torch.
"""

import os
import sys

# `python -m fishtui` puts the working folder first on the path. Its files may be of another user, and must not replace
# libraries; so this comes before all imports that Python has not done at its start.
if sys.argv[:1] == ["-m"] and not sys.flags.safe_path:
    try:
        _folder = os.getcwd()
    except FileNotFoundError:
        # A folder that has been removed is not on the path.
        _folder = ""
    if sys.path[0] == _folder:
        del sys.path[0]

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fishtui.catalog.store import Catalog
    from fishtui.codec.load import load_codec
    from fishtui.dataset import find_clips
    from fishtui.load import load_model
    from fishtui.project import Project
    from fishtui.speech import Voice

__version__ = "0.1.0"
__all__ = ["Catalog", "Project", "Voice", "find_clips", "load_codec", "load_model"]

_MODULES = {
    "Catalog": "fishtui.catalog.store",
    "Project": "fishtui.project",
    "Voice": "fishtui.speech",
    "find_clips": "fishtui.dataset",
    "load_codec": "fishtui.codec.load",
    "load_model": "fishtui.load",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
