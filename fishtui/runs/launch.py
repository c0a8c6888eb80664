"""Launch a stage as a process that outlives its launcher."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import msgspec

from fishtui.project import Project
from fishtui.runs import gpus, scheduler
from fishtui.runs import record as records
from fishtui.runs.notify import check_addresses
from fishtui.runs.record import PROCESSOR, Needs
from fishtui.runs.state import Run, read_run
from fishtui.settings import Loaded, Settings
from fishtui.stage import find_stage
from fishtui.trust import check_trusted


def launch(
    project: Project,
    stage: str,
    command: list[str],
    settings: Loaded,
    arguments: Mapping[str, Any],
    *,
    parent: str | None = None,
    waits: bool = True,
    sbatch: tuple[str, ...] | None = None,
) -> Run:
    """Queue `fishtui COMMAND` as a run of `stage`, start it if it can start, and return it. Raises FishtuiError.

    It runs in the current folder and environment, with these settings. Unless it `waits` for the processor or GPUs, it
    starts as soon as no other run writes the same outputs. With `sbatch` options, even an empty tuple, SLURM runs it as
    a job. The calling process may end at once.
    """
    needs = Needs() if sbatch is not None else needs_of(stage, settings.values, arguments, os.environ)
    needs = msgspec.structs.replace(needs, patient=waits)
    check_trusted(project)
    if parent is None:
        check_addresses(settings.values.run.notify)
    _, folder = records.create(project, stage, command, settings, arguments, needs=needs, parent=parent, sbatch=sbatch)
    scheduler.start_ready(project)
    return read_run(folder)


def needs_of(stage: str, settings: Settings, arguments: Mapping[str, Any], environment: Mapping[str, str]) -> Needs:
    """Return the needs of a run of `stage`: its outputs, and the processor or the GPUs that it works on."""
    entry = find_stage(stage)
    locks = entry.held(arguments)
    if not entry.waits_for_processor:
        return Needs(locks=locks)
    section = getattr(settings, stage, None)
    device = getattr(section, "device", "cpu")
    there = [] if device == "cpu" else gpus.list_visible_gpus(environment)
    if not there:
        return Needs(locks=(PROCESSOR, *locks))
    _, _, number = device.partition(":")
    if number:
        return Needs(locks=locks, devices=tuple(gpu.id for gpu in there[int(number) : int(number) + 1]))
    return Needs(locks=locks, gpus=getattr(section, "devices", 1))
