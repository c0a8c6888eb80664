"""The family's flat config file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from fishtui.errors import CheckpointError
from fishtui.families.family import read_json
from fishtui.lm.config import ModelConfig
from fishtui.reading import Damaged, guarded
from fishtui.wording import did_you_mean, shortened

REMEDY = "Use the config that was published with the model."
# Keys of published files that do not change the network's output.
IMMATERIAL = {"dropout", "initializer_range", "is_reward_model", "model_type", "use_gradient_checkpointing"}


def read_config(path: Path) -> ModelConfig:
    """Read `path`; a `fast_…` key that is absent or null takes the slow transformer's value.

    Raises CheckpointError that names the key that is unknown, missing or of the wrong type.
    """
    values = read_json(path)
    known = ModelConfig.__struct_fields__
    for key in values:
        if key not in known and key not in IMMATERIAL:
            problem = f"{path}: unknown key {shortened(repr(key))}"
            raise CheckpointError(problem, _hint(key, known), code="unknown-config-key")
    values = {key: value for key, value in values.items() if key not in IMMATERIAL}
    for key in known:
        slow = key.removeprefix("fast_")
        if slow != key and values.get(key) is None and slow in values:
            values[key] = values[slow]
    for key in known:
        if key not in values and key != "norm_fastlayer_input":
            raise CheckpointError(f"{path}: the key {key!r} is missing", _hint(key, values), code="missing-config-key")
    if values.get("norm_fastlayer_input", False) is None:
        del values["norm_fastlayer_input"]
    try:
        with guarded():
            return msgspec.convert(values, ModelConfig)
    except Damaged as error:
        raise CheckpointError(f"{path}: {error}", REMEDY, code="wrong-config-value") from error


def _hint(key: str, known: Iterable[str]) -> str:
    return f"{did_you_mean(key, known)} {REMEDY}".strip()
