"""Command-line options for settings: type, choices, range and default come from the setting itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, get_args, get_origin

import click

from fishtui.families.registry import known_templates
from fishtui.settings import Setting, known
from fishtui.settings.ranges import base_type, bounds, metavar
from fishtui.wording import format_value

# Options of settings have parameter names that no other option has.
PREFIX = "setting__"
# The models know its values.
TEMPLATE = "train.template"
Command = Callable[..., Any]


def setting(option: str, name: str, **attributes: Any) -> Callable[[Command], Command]:
    """An option for the setting `name`, such as `--batch-size`; a boolean one becomes `--compile/--no-compile`."""
    described = known()[name]
    if base_type(described.type) is bool:
        option = f"{option}/--no-{option.removeprefix('--')}"
        attributes["default"] = None
    else:
        attributes |= {"type": click_type(described), "metavar": metavar(described.type)}
    return click.option(option, PREFIX + name.replace(".", "__"), help=help_of(described), **attributes)


def setting_name(parameter: str | None) -> str:
    """Return the setting that an option's parameter name refers to, or an empty string."""
    return parameter.removeprefix(PREFIX).replace("__", ".") if parameter and parameter.startswith(PREFIX) else ""


def help_of(described: Setting) -> str:
    """Return the help of an option: the setting's help, its range and its default."""
    notes = list(bounds(described.type))
    if isinstance(described.default, tuple):
        notes.append("repeatable")
    if isinstance(described.default, bool):
        notes.append(f"default: {'on' if described.default else 'off'}")
    elif default := format_value(described.default):
        notes.append(f"default: {default}")
    return sentence(described.help) + (f". [{'; '.join(notes)}]" if notes else ".")


def sentence(help: str) -> str:
    """Return a help text with a capital letter, without a full stop at its end."""
    return f"{help[:1].upper()}{help[1:]}".rstrip(".")


def choices(name: str) -> tuple[str, ...]:
    """Return the values that the setting `name` accepts, as they are typed, if there are only a few."""
    described = known().get(name)
    kind = base_type(described.type) if described else None
    if name == TEMPLATE:
        return tuple(known_templates())
    if kind is bool:
        return ("true", "false")
    return tuple(get_args(kind)) if get_origin(kind) is Literal else ()


def click_type(described: Setting) -> click.ParamType:
    """Return the click type that accepts the setting's values."""
    kind = base_type(described.type)
    if kind is not bool and (accepted := choices(described.name)):
        return click.Choice(accepted)
    if kind is int:
        return click.INT
    return click.FLOAT if kind is float else click.STRING
