"""JSON Lines: one object per line, with named values."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fishtui.importers.layout import Clips, Columns, ListedClip, Malformed, TableLayout
from fishtui.importers.lines import clips_of_lines
from fishtui.importers.tables import find_name


def is_json_lines(line: str, columns: Columns) -> bool:
    """Return True if a table's first line begins a JSON object."""
    return line.lstrip().startswith("{")


def read_json_lines(path: Path, columns: Columns) -> Clips:
    """Yield the clips of a table whose lines are JSON objects, named as the columns of a table. Raises DataError."""

    def parse(where: str, line: str) -> ListedClip | Malformed:
        content = _object(line)
        if isinstance(content, str):
            return Malformed(where, content)
        names = {meaning: find_name(meaning, list(content), columns) for meaning in ("audio", "text", "speaker")}
        values = {meaning: content[name] for meaning, name in names.items() if name is not None}
        for meaning in ("audio", "text"):
            if not isinstance(values.get(meaning), str):
                name = names[meaning]
                return Malformed(where, f"the value of {name} is not text" if name else f"no value for {meaning}")
        speaker = values.get("speaker")
        return ListedClip(where, values["audio"], values["text"], "" if speaker is None else str(speaker))

    return clips_of_lines(path, parse)


def _object(line: str) -> dict[str, Any] | str:
    """The object on a line, or the reason why it has none."""
    try:
        content = json.loads(line)
    except RecursionError:
        return "the JSON is nested too deeply"
    except ValueError as error:
        return f"not JSON: {error}"
    return content if isinstance(content, dict) else "not a JSON object"


JSON_LINES = TableLayout("jsonl", is_json_lines, read_json_lines, "JSON Lines with named values", named=True)
