"""JSON Lines: an object a line, with named values."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fishtui.importers.rows import Malformed, Row, rows_of_lines
from fishtui.importers.tables import find_name


def is_json_lines(line: str, columns: Mapping[str, str]) -> bool:
    """Whether a table's first line begins an object in JSON."""
    return line.lstrip().startswith("{")


def read_json_lines(path: Path, columns: Mapping[str, str]) -> Iterator[Row | Malformed]:
    """Objects with names as tables have them. Raises DataError."""

    def read(where: str, line: str) -> Row | Malformed:
        content = _object(line)
        if isinstance(content, str):
            return Malformed(where, content)
        found = {thing: find_name(thing, list(content), columns) for thing in ("audio", "text", "speaker")}
        values = {thing: content[name] for thing, name in found.items() if name is not None}
        for thing in ("audio", "text"):
            if not isinstance(values.get(thing), str):
                return Malformed(where, f"its {found[thing]} is no text" if found[thing] else f"has no {thing}")
        speaker = values.get("speaker")
        return Row(where, values["audio"], values["text"], "" if speaker is None else str(speaker))

    return rows_of_lines(path, read)


def _object(line: str) -> dict[str, Any] | str:
    """The object that a line holds, or in words why it holds none."""
    try:
        content = json.loads(line)
    except RecursionError:
        return "is nested too deep"
    except ValueError as error:
        return f"is not JSON: {error}"
    return content if isinstance(content, dict) else "holds no JSON object"
