"""Changing single settings in `fishtui.toml`; its comments, and all that isn't changed, stay as they are."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import MutableMapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import tomlkit
from tomlkit.exceptions import TOMLKitError

from fishtui import settings
from fishtui.errors import MisuseError
from fishtui.files import write_text
from fishtui.settings import Loaded
from fishtui.wording import reason_of

# Whoever changes a setting reads all of them first.
_turn = threading.Lock()


def check(overrides: Sequence[str]) -> Loaded:
    """What these settings are by themselves. Raises MisuseError if one of them can't be."""
    return settings.load(Path(os.devnull), {}, overrides)


def apply(file: Path, overrides: Sequence[str]) -> None:
    """Give settings the values of `section.key=value` words, as --set takes them; none if one of them can't be.

    Raises MisuseError and FishtuiError as `change` does.
    """
    check(overrides)
    for each in overrides:
        name, _, text = each.partition("=")
        change(file, name.strip(), text)


def change(file: Path, name: str, text: str | None) -> None:
    """Give the setting `name` the value that `text` writes, or with None its default again.

    Raises MisuseError, and leaves the file alone, if there is no such setting, it can't have that value, or the file
    can't be read; FishtuiError if it can't be written.
    """
    with _turn:
        _change(file, name, text)


def _change(file: Path, name: str, text: str | None) -> None:
    section, _, key = name.partition(".")
    value = None if text is None else _value(name, text)
    try:
        before = file.read_text(encoding="utf-8") if file.exists() else ""
        document = tomlkit.parse(before)
    except (OSError, UnicodeDecodeError, TOMLKitError) as error:
        raise MisuseError(
            f"{file}: cannot read: {reason_of(error)}", settings.REPAIR, code="bad-settings-file"
        ) from error
    table = document.get(section)
    if table is not None and not isinstance(table, MutableMapping):
        raise MisuseError(f"{file}: {section} is not a section", settings.REPAIR, code="bad-settings-file")
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
    """The file with the setting put into its commented line, or with None taken out again; None if there is none."""
    setting = settings.known()[name]
    section, _, key = name.partition(".")
    line = rf"# {key} = .*" if value is not None else rf"{key} = .*  # {re.escape(setting.help)}"
    found = re.search(rf"^\[{section}\]$(?:\n(?!\[).*)*?\n({line})$", text, re.MULTILINE)
    return found and f"{text[: found.start(1)]}{settings.written(setting, value)}{text[found.end(1) :]}"


def _value(name: str, text: str) -> Any:
    """The value as TOML has it. Raises MisuseError."""
    # By itself: what else the file says wrong is no reason to refuse this.
    loaded = check([f"{name}={text}"])
    section, _, key = name.partition(".")
    return msgspec.to_builtins(getattr(getattr(loaded.values, section), key))
