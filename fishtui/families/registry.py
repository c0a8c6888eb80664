"""The families that fishtui knows, by the `model_type` of their configs."""

from __future__ import annotations

from pathlib import Path

from fishtui.errors import CheckpointError
from fishtui.families.family import Family, read_json
from fishtui.families.s1_mini.family import S1Mini
from fishtui.families.s2_pro.family import S2Pro
from fishtui.wording import shortened

DEFAULT: Family = S1Mini()
FAMILIES: dict[str, Family] = {family.model_type: family for family in (DEFAULT, S2Pro())}


def family_of(config: Path) -> Family:
    """Return the family of the model that a config file describes; a config without a type is of the default family.

    Raises CheckpointError if the file is missing or damaged, or the model is of an unknown family.
    """
    kind = read_json(config).get("model_type", DEFAULT.model_type)
    family = FAMILIES.get(kind) if isinstance(kind, str) else None
    if family is None:
        raise CheckpointError(
            f"{config}: unknown model_type {shortened(repr(kind))}",
            f"Use a checkpoint of type {' or '.join(FAMILIES)}.",
            code="unknown-model",
        )
    return family


def published_family(repository: str) -> Family | None:
    """Return the family whose published checkpoint a repository is, if any. Names on the hub ignore case."""
    return next((each for each in FAMILIES.values() if each.repository.lower() == repository.lower()), None)


def family_named(folder: str) -> Family:
    """Return the family whose published checkpoint has this name without its owner, or the default one."""
    return next((each for each in FAMILIES.values() if each.repository.rpartition("/")[2] == folder), DEFAULT)


def known_templates() -> list[str]:
    """Return the prompt templates of all families."""
    return list(dict.fromkeys(template for family in FAMILIES.values() for template in family.templates))
