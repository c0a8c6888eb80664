"""Names of the files that hold a model's weights."""

from __future__ import annotations

import re
from collections.abc import Collection

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
SHARD = re.compile(r"model-(\d{5})-of-(\d{5})\.safetensors")
# The number of shards that is expected where no file is found.
SHARDS = 2


def weight_names(available: Collection[str]) -> tuple[str, ...]:
    """Return the names of the files that hold the weights, given those in a folder or repository: index and shards.

    Without an index and shards it is the single file, if that is available.
    """
    counts = [int(match[2]) for name in available if (match := SHARD.fullmatch(name))]
    if SINGLE in available and INDEX not in available and not counts:
        return (SINGLE,)
    count = max(counts, default=SHARDS)
    return (INDEX, *(f"model-{number:05}-of-{count:05}.safetensors" for number in range(1, count + 1)))
