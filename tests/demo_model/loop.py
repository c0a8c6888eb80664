"""Training in the background: steps, saved states, and figures."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import torch

from fishtui.devices import keep_freed_memory

SAVE_EVERY = 250
PRINT_EVERY = 50


class State(Protocol):
    """The parts that a training changes; `step` counts the steps taken."""

    step: int

    def state_dict(self) -> dict: ...

    def load_state_dict(self, state: dict) -> None: ...


def prepare() -> None:
    """Set up torch for one thread of a shared machine."""
    torch.set_num_threads(1)
    # Numbers this small occur in silence, and are many times as slow.
    torch.set_flush_denormal(True)
    keep_freed_memory()


def train(state: State, step: Callable[[], dict[str, float]], steps: int, file: Path) -> None:
    """Take steps until there are `steps`, from the state in `file` if it exists, and save the state there."""
    if file.exists():
        state.load_state_dict(torch.load(file, weights_only=True))
        print(f"{file}: continuing after step {state.step}", flush=True)
    sums: dict[str, float] = {}
    began = time.monotonic()
    while state.step < steps:
        for name, value in step().items():
            sums[name] = sums.get(name, 0) + value / PRINT_EVERY
        if state.step % PRINT_EVERY == 0:
            seconds = (time.monotonic() - began) / PRINT_EVERY
            figures = " ".join(f"{name} {value:.4f}" for name, value in sums.items())
            print(f"{time.strftime('%H:%M')} step {state.step} {figures} ({seconds:.3f} s a step)", flush=True)
            sums, began = {}, time.monotonic()
        if state.step % SAVE_EVERY == 0 or state.step == steps:
            save(state.state_dict(), file)


def save(state: dict, file: Path) -> None:
    """Write `state`, so that a process killed at any moment leaves a whole file."""
    temporary = file.with_suffix(".new")
    torch.save(state, temporary)
    os.replace(temporary, file)
