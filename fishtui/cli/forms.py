"""The fields of a stage's launch form, read from its command."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import click

from fishtui import settings
from fishtui.cli.settingoptions import TEMPLATE, choices, sentence, setting_name
from fishtui.cli.stagecommand import build_command
from fishtui.errors import MisuseError
from fishtui.settings.masking import is_secret
from fishtui.stage import Argument, Stage, find_stage

# Options that every stage has, which the form does not offer.
_SHARED = {"project", "overrides", "as_json", "debug", "dry_run", "detach", "now"}
REQUIRED = "required"
DEFAULT = re.compile(r"\(default: ([^)]*)\)")


@dataclass(frozen=True)
class Field:
    """An argument or option of a command.

    `option` is its option on the command line, `--set NAME` for a setting without one, or empty for an argument.
    `setting` is the setting that it sets, `default` the setting that applies if it is not given; `standard` is in words
    what applies without such a setting.
    """

    name: str
    help: str
    option: str = ""
    setting: str = ""
    default: str = ""
    standard: str = ""
    required: bool = False
    flag: bool = False
    choices: tuple[str, ...] = ()
    # The option that switches a boolean setting off.
    negative: str = ""
    is_list: bool = False
    is_path: bool = False
    # Several paths, typed as in a shell.
    is_many: bool = False

    def words(self, value: str) -> list[str]:
        """Return the words of the command line for this value; none for an empty value."""
        if not value:
            return []
        if self.flag:
            return [self.option]
        if self.negative:
            return [self.option if value == "true" else self.negative]
        if self.is_list or self.option.startswith("--set "):
            # An option of a list takes one item, but all of them are typed here.
            return ["--set", f"{self.setting}={value}"]
        values = split_paths(value) if self.is_many else [value]
        return [word for each in values for word in ([self.option, each] if self.option else [each])]


def split_paths(value: str) -> list[str]:
    """Return the paths in a text, as a shell does; a path with spaces that exists needs no quotes."""
    if os.path.exists(whole := os.path.expanduser(value)):
        return [whole]
    try:
        return [os.path.expanduser(each) for each in shlex.split(value)]
    except ValueError:
        return [value]


@cache
def fields(stage: str) -> Sequence[Field]:
    """Return all that the command of a stage accepts: arguments first, then options, then its other settings."""
    entry = find_stage(stage)
    hidden = _SHARED | {argument.name for argument in entry.arguments if not argument.is_in_form}
    command = build_command(entry)
    given = [_field(entry, parameter) for parameter in command.params if parameter.name not in hidden]
    taken = {each.default for each in given}
    others = [
        Field(
            *(each.name, sentence(each.help), f"--set {each.name}", each.name, each.name),
            standard=_unset(each.name),
            choices=choices(each.name),
        )
        for each in settings.known().values()
        # The form shows the command, and the record of a run has it.
        if not is_secret(each.type)
        and (each.name.startswith(f"{stage}.") or each.name in entry.also)
        and each.name not in taken
    ]
    return [*sorted(given, key=lambda field: bool(field.option)), *others]


def command(stage: str, values: Mapping[str, str]) -> list[str]:
    """Return the words after `fishtui` that run the stage with these values, by field name."""
    words = [word for field in fields(stage) for word in field.words(values.get(field.name, ""))]
    return [stage, *words]


def problems(stage: str, values: Mapping[str, str], file: Path) -> Iterator[tuple[str, str]]:
    """Yield name and reason of each field with a wrong value, given the settings in `file`."""
    for field in fields(stage):
        value = values.get(field.name, "")
        if field.required and not value:
            yield field.name, REQUIRED
        elif field.choices and value and value not in field.choices:
            yield field.name, f"choose one of {', '.join(field.choices)}"
        elif field.setting and value:
            try:
                settings.load(file, overrides=[f"{field.setting}={value}"])
            except settings.SettingError as error:
                yield field.name, error.reason
            except MisuseError as error:
                yield field.name, error.problem


def _field(stage: Stage, parameter: click.Parameter) -> Field:
    name = parameter.name or ""
    setting = setting_name(name)
    declared = next((each for each in stage.arguments if each.name == name), None)
    is_path = isinstance(parameter.type, click.Path)
    help = settings.known()[setting].help if setting else declared.help if declared else name
    return Field(
        name=setting or name,
        help=sentence(help),
        option="" if isinstance(parameter, click.Argument) else max(parameter.opts, key=len),
        setting=setting,
        default=setting or (declared.setting if declared else ""),
        standard=_standard(declared) or _unset(setting),
        required=parameter.required,
        flag=bool(getattr(parameter, "is_flag", False)) and not parameter.secondary_opts,
        negative=next(iter(parameter.secondary_opts), ""),
        is_list=bool(setting) and isinstance(settings.known()[setting].default, tuple),
        is_path=is_path,
        is_many=is_path and (parameter.nargs == -1 or bool(getattr(parameter, "multiple", False))),
        choices=tuple(parameter.type.choices) if isinstance(parameter.type, click.Choice) else choices(setting),
    )


def _unset(setting: str) -> str:
    """Return what applies if a setting is not set, in words; empty if it has a value then."""
    return "the model's own" if setting == TEMPLATE or (setting and settings.known()[setting].default is None) else ""


def _standard(declared: Argument | None) -> str:
    """Return what applies if an argument is not given: its fixed value, or the words after `default:` in its help."""
    if declared is None:
        return ""
    found = DEFAULT.search(declared.help)
    return declared.default or (found[1] if found else "")
