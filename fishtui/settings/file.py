"""The settings file: a commented template, and changes that keep its comments and all other lines."""

from __future__ import annotations

import re
import threading
from collections.abc import MutableMapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import tomlkit

from fishtui.errors import MisuseError
from fishtui.files import write_text
from fishtui.reading import Damaged, guarded, read_text
from fishtui.settings import sections
from fishtui.settings.loading import REPAIR, Loaded, Setting, known, load, value_of
from fishtui.wording import reason_of

# A change reads the whole file first, so only one thread may change it at a time.
_turn = threading.Lock()


def template() -> str:
    """Return a settings file with a comment for every key, all at their defaults."""
    lines = ["# Settings of this project. Every key is optional; commented lines show the defaults.", ""]
    for section in msgspec.structs.fields(sections.Settings):
        lines += [f"# {section.type.__doc__}", f"[{section.name}]"]
        for item in msgspec.structs.fields(section.type):
            lines.append(written(known()[f"{section.name}.{item.name}"]))
        lines.append("")
    return "\n".join(lines)


def written(setting: Setting, value: Any = None) -> str:
    """Return the setting's line of a settings file: with `value`, or commented out with its default."""
    # A JSON scalar or list of them is also a TOML value.
    shown = setting.default if value is None else value
    content = msgspec.json.encode("" if shown is None else shown).decode()
    line = f"{'# ' if value is None else ''}{setting.name.partition('.')[2]} = {content}"
    return f"{line:<44}  # {setting.help}"


def check(overrides: Sequence[str]) -> Loaded:
    """Return these settings without any file or environment. Raises MisuseError if one is rejected."""
    return load(None, {}, overrides)


def apply(file: Path, overrides: Sequence[str]) -> None:
    """Set settings from `section.key=value` words, as --set takes them; if one is rejected, change none.

    Raises MisuseError and FishtuiError as `change` does.
    """
    check(overrides)
    for each in overrides:
        name, _, text = each.partition("=")
        change(file, name.strip(), text)


def change(file: Path, name: str, text: str | None) -> None:
    """Set the setting `name` to the value written in `text`, or reset it to its default if `text` is None.

    Raises MisuseError and keeps the file if the setting is unknown, the value is rejected, or the file cannot be
    read; FishtuiError if it cannot be written.
    """
    with _turn:
        _change(file, name, text)


def _change(file: Path, name: str, text: str | None) -> None:
    section, _, key = name.partition(".")
    value = None if text is None else _value(name, text)
    try:
        before = read_text(file) if file.exists() else ""
        with guarded():
            document = tomlkit.parse(before)
    except (OSError, Damaged) as error:
        raise MisuseError(f"{file}: cannot read: {reason_of(error)}", REPAIR, code="bad-settings-file") from error
    table = document.get(section)
    if table is not None and not isinstance(table, MutableMapping):
        raise MisuseError(f"{file}: {section} is not a section", REPAIR, code="bad-settings-file")
    is_there = table is not None and key in table
    after = _in_its_line(before, name, value) if is_there == (value is None) else None
    if after is None:
        if value is not None:
            if table is None:
                table = document[section] = tomlkit.table()
            table[key] = value
        elif table is not None and is_there:
            del table[key]
        after = tomlkit.dumps(document)
    if after != before:
        write_text(file, after)


def _in_its_line(text: str, name: str, value: Any) -> str | None:
    """Return the file with the value in the setting's commented line, or commented out again if `value` is None.

    Returns None if the file has no such line.
    """
    setting = known()[name]
    section, _, key = name.partition(".")
    line = rf"# {key} = .*" if value is not None else rf"{key} = .*  # {re.escape(setting.help)}"
    found = re.search(rf"^\[{section}\]$(?:\n(?!\[).*)*?\n({line})$", text, re.MULTILINE)
    return found and f"{text[: found.start(1)]}{written(setting, value)}{text[found.end(1) :]}"


def _value(name: str, text: str) -> Any:
    """Return the value as a TOML type. Raises MisuseError."""
    # Other errors in the file must not block this change.
    loaded = check([f"{name}={text}"])
    return msgspec.to_builtins(value_of(loaded.values, name))
