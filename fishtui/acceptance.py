"""Licences that the user has accepted, each once, in the user's own configuration folder."""

from __future__ import annotations

import json
from pathlib import Path

import platformdirs

from fishtui.errors import MisuseError
from fishtui.families.family import Family
from fishtui.files import write_text
from fishtui.reading import Damaged, read_json
from fishtui.wording import cannot_read


def acceptance_file() -> Path:
    """The user's own list of accepted licences."""
    return platformdirs.user_config_path("fishtui") / "licences.json"


def accepted_licences() -> list[str]:
    """Return the names of the licences that the user has accepted. Raises MisuseError if the list cannot be read."""
    path = acceptance_file()
    try:
        return read_json(path, list[str])
    except FileNotFoundError:
        return []
    except (OSError, Damaged) as error:
        raise cannot_read(path, error, MisuseError) from error


def accept(family: Family) -> None:
    """Record that the user accepts the licence of a family. Raises FishtuiError."""
    write_text(acceptance_file(), json.dumps(sorted({*accepted_licences(), family.licence.name}), indent=1) + "\n")


def is_accepted(family: Family) -> bool:
    """Return True if the licence of a family need not be accepted, or has been. Raises MisuseError."""
    return not family.licence.must_be_accepted or family.licence.name in accepted_licences()


def check_accepted(family: Family) -> None:
    """Raise MisuseError unless the licence of a family `is_accepted`."""
    if not is_accepted(family):
        licence = family.licence
        raise MisuseError(
            f"{family.title}: its licence, the {licence.name}, is not accepted yet. {' '.join(licence.terms)}",
            f"Read it at {licence.address}; if you accept it, give --accept-licence once.",
            code="licence-not-accepted",
        )
