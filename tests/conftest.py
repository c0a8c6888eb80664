"""Fixtures that all tests share."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, settings

from fishtui import workers
from tests.cluster import cluster as cluster
from tests.cluster import running_cluster as running_cluster
from tests.forking import FORKS
from tests.tinymodels.checkpoint import write_checkpoint

# Threads do not speed up tiny tensors, and slow them down on a busy machine.
torch.set_num_threads(1)
os.environ["OMP_NUM_THREADS"] = "1"
# A worker that starts by itself takes a second to import its libraries. Fork each from a process that has loaded them.
if FORKS:
    workers.START_METHOD = "forkserver"
_DOING = ("fishtui.catalog.measurements", "fishtui.stages.encoding", "fishtui.stages.normalize", "fishtui.stages.pack")
multiprocessing.set_forkserver_preload([*_DOING, "av", "pyloudnorm", "soundfile", "soxr"])
# No test asserts a time: in a new clone, Hypothesis builds its tables of characters while it draws the first example.
settings.register_profile("any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any-machine")
# Tests leave the user's own choices alone.
for _name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME"):
    os.environ[_name] = os.path.join(tempfile.gettempdir(), f"fishtui-tests-{os.getpid()}", _name)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--whole", action="store_true", help="also run the tests marked as whole, which take many minutes")


def pytest_configure(config: pytest.Config) -> None:
    for line in (
        "long: takes half a minute or more; runs first, so that parallel workers finish together",
        "whole: runs only with --whole; tests without the mark cover each part of it",
    ):
        config.addinivalue_line("markers", line)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the long tests first, and leave those out that run only with --whole."""
    if not config.getoption("whole"):
        items[:] = [item for item in items if item.get_closest_marker("whole") is None]
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random checkpoint in the published layout; tests must not change it."""
    folder = tmp_path_factory.mktemp("checkpoint")
    write_checkpoint(folder)
    return folder
