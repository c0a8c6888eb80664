"""Python imports this at its start if this folder is in PYTHONPATH: it times the parts of a fishtui command.

Each process appends a line to the file that TRACE names: its start, the time of its imports and the time of looking at
the dataset, in seconds. The file is absent outside of `tests.bench.commands`.
"""

from __future__ import annotations

import atexit
import builtins
import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from functools import wraps
from typing import Any

# Functions that look at the dataset, by module.
DATASET = {
    "fishtui.dataset": ("find_clips",),
    "fishtui.catalog.scan": ("scan",),
    "fishtui.catalog.measurements": ("measure_clips",),
    "fishtui.stages.excluded": ("excluded", "find_recordings"),
    "fishtui.pipeline.plan": ("decide",),
    "fishtui.pipeline.run": ("record_begun", "record_done"),
}
# A run removes the variable.
RUN = os.environ.get("FISHTUI_ADOPT", "")
STARTED = time.time() - time.process_time()
_spent = {"imports": 0.0, "dataset": 0.0}
# What is measured now, the innermost last; time counts for the innermost only.
_stack: list[tuple[str, float]] = []


def _timed(part: str, function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def measured(*arguments: Any, **options: Any) -> Any:
        now = time.perf_counter()
        if _stack:
            _spent[_stack[-1][0]] += now - _stack[-1][1]
        _stack.append((part, now))
        try:
            return function(*arguments, **options)
        finally:
            now = time.perf_counter()
            _spent[part] += now - _stack.pop()[1]
            if _stack:
                _stack[-1] = (_stack[-1][0], now)

    return measured


def _wrap_dataset(import_module: Callable[..., Any]) -> Callable[..., Any]:
    waiting = dict(DATASET)

    @wraps(import_module)
    def importing(*arguments: Any, **options: Any) -> Any:
        found = import_module(*arguments, **options)
        for name in [name for name in waiting if name in sys.modules]:
            module = sys.modules[name]
            if all(hasattr(module, each) for each in waiting[name]):
                for each in waiting.pop(name):
                    setattr(module, each, _timed("dataset", getattr(module, each)))
        return found

    return importing


def _write(path: str) -> None:
    line = {"pid": os.getpid(), "started": STARTED, "run": RUN, **_spent}
    line |= {"cpu": time.process_time(), "ended": time.time()}
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


if "FISHTUI_BENCH_TRACE" in os.environ and "--multiprocessing-fork" not in sys.orig_argv:
    _imports = _wrap_dataset(builtins.__import__)
    builtins.__import__ = _timed("imports", _imports)
    importlib.import_module = _timed("imports", importlib.import_module)
    atexit.register(_write, os.environ["FISHTUI_BENCH_TRACE"])
