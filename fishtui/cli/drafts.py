"""The launch form of an earlier run: its options and settings, to change some of them and run it again."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from fishtui import settings
from fishtui.cli import forms
from fishtui.cli.settingoptions import PREFIX
from fishtui.cli.stagecommand import build_command
from fishtui.errors import MisuseError
from fishtui.project import Project
from fishtui.runs.record import RunRecord
from fishtui.settings import Loaded
from fishtui.settings.secrecy import secret_names
from fishtui.stage import find_stage
from fishtui.wording import format_value


@dataclass(frozen=True)
class Draft:
    """The values of a stage's form, by field name, and words of the command that no field has."""

    stage: str
    run: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    others: Sequence[str] = ()


def draft_of(project: Project, record: RunRecord, current: Loaded) -> Draft:
    """Return the form of a run: what its command gives, and each setting that had another value than it has now.

    Raises MisuseError, code `no-record` if the record has no command of a stage, or one that this release rejects.
    """
    given = _parse(record)
    fields = forms.fields(record.stage)
    overrides = dict(_split(each) for each in given.get("overrides") or ())
    values: dict[str, str] = {}
    others: list[str] = []
    for each in fields:
        typed = given.get(PREFIX + each.setting.replace(".", "__")) if each.setting else given.get(each.name)
        if typed in (None, (), []):
            # An option of its own wins over --set, and both over the settings.
            typed = overrides.get(each.setting) or _changed(each.setting, record, current)
        if each.is_many:
            values[each.name] = shlex.join(_moved(str(one), each, record, project) for one in typed or ())
            continue
        value, rest = _value(each, typed)
        values[each.name] = _moved(value, each, record, project)
        others += (word for one in rest for word in each.words(_moved(one, each, record, project)))
    known = {each.setting for each in fields}
    for name, value in (overrides | dict(_set_elsewhere(record, current))).items():
        # Secrets are recorded as masks; those of now apply.
        if name not in known | secret_names():
            others += ["--set", f"{name}={value}"]
    return Draft(record.stage, record.id, values, (*others, *(["--now"] if given.get("now") else [])))


def _parse(record: RunRecord) -> dict[str, Any]:
    """Return what the command of a run gives, by parameter name."""
    name, *words = record.command or [""]
    try:
        entry = find_stage(record.stage)
        if name != entry.name:
            raise LookupError
        command = build_command(entry)
        context = click.Context(command, info_name=name)
        given, _, _ = command.make_parser(context).parse_args(words)
    except (LookupError, click.ClickException, MisuseError) as error:
        remedy = "Open the form of the stage with 4 instead."
        raise MisuseError(f"{record.id}: its command is not readable", remedy, code="no-record") from error
    return {name: value for name, value in given.items() if isinstance(value, str | bool | list | tuple)}


def _split(override: str) -> tuple[str, str]:
    name, _, value = override.partition("=")
    return name.strip(), value


def _value(each: forms.Field, typed: Any) -> tuple[str, list[str]]:
    """Return the value of a field as typed, and the further values of a repeated one."""
    if each.flag:
        return ("yes" if typed else ""), []
    if isinstance(typed, bool):
        return str(typed).lower(), []
    if isinstance(typed, list | tuple):
        texts = [str(one) for one in typed]
        return (_listed(texts), []) if each.is_list else (texts[0], texts[1:]) if texts else ("", [])
    return str(typed or ""), []


def _listed(items: Sequence[str]) -> str:
    """Return the items of a list as a setting accepts them."""
    return json.dumps(items) if any(" " in each or "," in each for each in items) else " ".join(items)


def _moved(value: str, each: forms.Field, record: RunRecord, project: Project) -> str:
    """Return a path that was given in another folder as one that means the same in the project's."""
    if not value or not each.is_path or each.setting or Path(record.directory) == project.root:
        return value
    return project.shown((Path(record.directory) / value).absolute())


def _recorded(name: str, record: RunRecord) -> Any:
    section, _, key = name.partition(".")
    found = record.settings.get(section)
    return found.get(key) if isinstance(found, Mapping) else None


def _changed(name: str, record: RunRecord, current: Loaded) -> str:
    """Return the value that a setting had in the run, if it has another one now."""
    before = _recorded(name, record) if name else None
    if before is None:
        return ""
    now = settings.value_of(current.values, name)
    text = _listed([*map(str, before)]) if isinstance(before, list | tuple) else format_value(before)
    return text if format_value(before) != format_value(now) else ""


def _set_elsewhere(record: RunRecord, current: Loaded) -> Iterator[tuple[str, str]]:
    """Yield the settings that the environment of the run set, with their values, if they are others now."""
    for name, source in record.sources.items():
        if source.startswith("$") and name in settings.known() and (value := _changed(name, record, current)):
            yield name, value
