"""Fixtures that several parts share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from fishtui.demo.tiny import write_checkpoint
from tests.cluster import cluster as cluster
from tests.cluster import running_cluster as running_cluster

# Tiny tensors gain nothing from threads, and lose much on a busy machine.
torch.set_num_threads(1)
os.environ["OMP_NUM_THREADS"] = "1"


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random checkpoint in the published layout; only to be read."""
    folder = tmp_path_factory.mktemp("checkpoint")
    write_checkpoint(folder)
    return folder
