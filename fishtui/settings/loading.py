"""Settings from all sources, and the source of each value: defaults < fishtui.toml < environment < command line."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from fishtui.errors import MisuseError
from fishtui.reading import Damaged, parse_json, read_toml
from fishtui.settings.masking import is_secret, masked
from fishtui.settings.ranges import can_be_unset, describe_range
from fishtui.settings.sections import Settings
from fishtui.wording import did_you_mean, format_value, reason_of

ENVIRONMENT_PREFIX = "FISHTUI_"
# The source of a setting that no file, variable or option sets.
DEFAULT = "default"
REPAIR = "Fix the file in an editor, or compare it with a new one from `fishtui init`."
# Every number is below this limit, since libraries count in 64 bits; JSON has no infinity and no NaN.
LIMIT = 2**63


@dataclass(frozen=True)
class Setting:
    """One setting: dotted name, default, annotated type and one line of help."""

    name: str
    default: Any
    type: Any
    help: str


class SettingError(MisuseError):
    """An unknown setting, or a value that a setting does not accept.

    `name` is the setting, `value` the rejected value, and `reason` the explanation without name and value.
    """

    def __init__(self, source: str, name: str, value: Any, reason: str, remedy: str, *, code: str) -> None:
        shown = f"{name} = {value!r}" if code == "bad-setting" else name
        # Options of their own, --set and `fishtui settings` all count as --set, which the user may not have typed.
        where = "" if source == "--set" else f"{source}: "
        super().__init__(f"{where}{shown}: {reason}", remedy, code=code)
        self.name = name
        self.value = value
        self.reason = reason


@dataclass(frozen=True)
class Loaded:
    """The effective settings, and the source of each one that is not at its default, by dotted name."""

    values: Settings
    sources: Mapping[str, str] = field(default_factory=dict)


class SettingRow(NamedTuple):
    """A setting in force: its value and default as one types them, and the value's source."""

    name: str
    value: str
    default: str
    source: str
    help: str


@cache
def known() -> Mapping[str, Setting]:
    """Return every setting by its dotted name, section by section."""
    return {
        (name := f"{section.name}.{item.name}"): Setting(name, item.default, item.type, _description(item.type))
        for section in msgspec.structs.fields(Settings)
        for item in msgspec.structs.fields(section.type)
    }


def load(
    settings_file: Path | None, environment: Mapping[str, str] | None = None, overrides: Iterable[str] = ()
) -> Loaded:
    """Return the settings of all sources, or without a settings file of the others.

    `overrides` are `section.key=value`, and the last one wins.

    Raises MisuseError if the file cannot be read, SettingError for an unknown setting or a rejected value.
    """
    catalog = known()
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}

    def take(name: str, value: Any, source: str) -> None:
        values[name] = _convert(_find(catalog, name, value, source), value, source)
        sources[name] = source

    if settings_file is not None:
        for name, value in _read_toml(settings_file):
            take(name, value, settings_file.name)
    variables = {ENVIRONMENT_PREFIX + name.replace(".", "_").upper(): name for name in catalog}
    for variable, value in (os.environ if environment is None else environment).items():
        if variable in variables:
            take(variables[variable], value, f"${variable}")
    for override in overrides:
        name, equals, value = override.partition("=")
        if not equals:
            raise MisuseError(f"--set {override}: no value", "Write it as --set section.key=value.", code="no-value")
        take(name.strip(), value, "--set")

    return Loaded(_build(values), sources)


def missing_path(name: str, value: str, root: Path) -> str:
    """Return a warning if the setting `name` is a path and nothing is at `value`, otherwise an empty string.

    A relative path starts at `root`. A stage may create it later, so this is not an error.
    """
    kind = known()[name].type
    is_path = any((meta.extra or {}).get("is_path") for meta in getattr(kind, "__metadata__", ()))
    return f"{value} does not exist yet" if is_path and value and not (root / Path(value).expanduser()).exists() else ""


def rows(loaded: Loaded) -> list[SettingRow]:
    """Return every setting, section by section; secrets are masked."""
    tables: dict[str, dict[str, Any]] = msgspec.to_builtins(loaded.values)
    found = []
    for each in known().values():
        section, _, key = each.name.partition(".")
        shown = masked(tables[section][key]) if is_secret(each.type) else tables[section][key]
        value, source = format_value(shown), loaded.sources.get(each.name, DEFAULT)
        found.append(SettingRow(each.name, value, format_value(each.default), source, each.help))
    return found


def value_of(settings: Settings, name: str) -> Any:
    """Return the value of a setting by its dotted name."""
    section, _, key = name.partition(".")
    return getattr(getattr(settings, section), key)


def _read_toml(path: Path) -> Iterator[tuple[str, Any]]:
    try:
        content = read_toml(path)
    except FileNotFoundError:
        return
    except (Damaged, OSError) as error:
        raise MisuseError(f"{path}: cannot read: {reason_of(error)}", REPAIR, code="bad-settings-file") from error
    for section, table in content.items():
        if not isinstance(table, dict):
            raise MisuseError(
                f"{path}: {section} is outside a section",
                f"Put it into one of [{'], ['.join(_sections())}].",
                code="no-section",
            )
        if section not in _sections():
            remedy = did_you_mean(section, _sections()) or f"The sections are [{'], ['.join(_sections())}]."
            raise MisuseError(f"{path}: unknown section [{section}]", remedy, code="unknown-section")
        yield from ((f"{section}.{key}", value) for key, value in table.items())


def _sections() -> list[str]:
    return [section.name for section in msgspec.structs.fields(Settings)]


def _find(catalog: Mapping[str, Setting], name: str, value: Any, source: str) -> Setting:
    if name not in catalog:
        remedy = did_you_mean(name, catalog) or "Run `fishtui init` in a new folder: its fishtui.toml lists them all."
        raise SettingError(source, name, value, "unknown setting", remedy, code="unknown-setting")
    return catalog[name]


def _convert(setting: Setting, value: Any, source: str) -> Any:
    if isinstance(value, str) and isinstance(setting.default, tuple):
        value = _listed(value)
    if value == "" and can_be_unset(setting.type):
        return None
    try:
        # Text from the environment and the command line can be a number; text in the file cannot.
        found = msgspec.convert(value, setting.type, strict=not source.startswith(("$", "--")))
        if isinstance(found, int | float) and not abs(found) < LIMIT:
            raise msgspec.ValidationError("not a finite number below 2^63")
        return found
    except msgspec.ValidationError as error:
        remedy = f"Correct this value of {setting.name}: {setting.help}."
        reason = _reason(setting, str(error))
        raise SettingError(
            source,
            setting.name,
            masked(value) if is_secret(setting.type) else value,
            reason,
            remedy,
            code="bad-setting",
        ) from error


def _reason(setting: Setting, message: str) -> str:
    """Return in words why a value was rejected; `message` is what the converter reports."""
    if isinstance(setting.default, tuple):
        return "expected a list of texts"
    accepted = describe_range(setting.type)
    # A pattern without a placeholder is explained in words by the help alone.
    if message.startswith("not ") or (" matching regex " in message and accepted == "text"):
        return message if message.startswith("not ") else "not a valid value"
    return f"expected {accepted}"


def _listed(text: str) -> tuple[Any, ...]:
    """Return the items of a list, written as in the file (`["a", "b"]`) or separated by spaces or commas."""
    if text.lstrip().startswith("["):
        with suppress(ValueError):
            return tuple(parse_json(text, list))
    return tuple(part for part in re.split(r'[\s,"\[\]]+', text) if part)


def _build(values: Mapping[str, Any]) -> Settings:
    tables: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        section, _, key = name.partition(".")
        tables.setdefault(section, {})[key] = value
    types = {section.name: section.type for section in msgspec.structs.fields(Settings)}
    return Settings(**{section: types[section](**table) for section, table in tables.items()})


def _description(annotated: Any) -> str:
    """Return the outermost description of nested Annotated types."""
    described = [
        meta.description for meta in getattr(annotated, "__metadata__", ()) if getattr(meta, "description", None)
    ]
    return described[-1] if described else ""


def schema() -> dict[str, Any]:
    """Return the JSON schema of the settings, as in `schemas/settings.schema.json`."""
    return msgspec.json.schema(Settings)
