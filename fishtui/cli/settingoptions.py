"""Command-line options for settings: type, choices, range and default come from the setting itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal, get_args, get_origin

import click

from fishtui.settings import Setting, known
from fishtui.wording import format_value

# Options of settings have parameter names that no other option has.
PREFIX = "setting__"
Command = Callable[..., Any]


def setting(option: str, name: str, **attributes: Any) -> Callable[[Command], Command]:
    """An option for the setting `name`, such as `--batch-size`; a boolean one becomes `--compile/--no-compile`."""
    described = known()[name]
    if base_type(described) is bool:
        option = f"{option}/--no-{option.removeprefix('--')}"
        attributes["default"] = None
    else:
        attributes |= {"type": click_type(described), "metavar": metavar(described)}
    return click.option(option, PREFIX + name.replace(".", "__"), help=help_of(described), **attributes)


def setting_name(parameter: str | None) -> str:
    """Return the setting that an option's parameter name refers to, or an empty string."""
    return parameter.removeprefix(PREFIX).replace("__", ".") if parameter and parameter.startswith(PREFIX) else ""


def help_of(described: Setting) -> str:
    """Return the help of an option: the setting's help, its range and its default."""
    notes = list(_range(described))
    if isinstance(described.default, bool):
        notes.append(f"default: {'on' if described.default else 'off'}")
    elif default := format_value(described.default):
        notes.append(f"default: {default}")
    return sentence(described.help) + (f". [{'; '.join(notes)}]" if notes else ".")


def describe_range(described: Setting) -> str:
    """Return the values that a setting accepts in words, such as `INTEGER, at least 1`."""
    if base_type(described) is bool:
        return "true or false"
    return ", ".join([metavar(described), *_range(described)])


def sentence(help: str) -> str:
    """Return a help text with a capital letter, without a full stop at its end."""
    return f"{help[:1].upper()}{help[1:]}".rstrip(".")


def choices(name: str) -> tuple[str, ...]:
    """Return the values that the setting `name` accepts, as they are typed, if there are only a few."""
    described = known().get(name)
    kind = base_type(described) if described else None
    if kind is bool:
        return ("true", "false")
    return tuple(get_args(kind)) if get_origin(kind) is Literal else ()


def base_type(described: Setting) -> Any:
    """Return the setting's type without its annotations."""
    kind = described.type
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    return kind


def click_type(described: Setting) -> click.ParamType:
    """Return the click type that accepts the setting's values."""
    kind = base_type(described)
    if get_origin(kind) is Literal:
        return click.Choice(get_args(kind))
    if kind is int:
        return click.INT
    return click.FLOAT if kind is float else click.STRING


def metavar(described: Setting) -> str:
    """Return the placeholder of the value in the help, such as `INTEGER` or `lora|full`."""
    for meta in _metas(described):
        if meta.extra and "metavar" in meta.extra:
            return meta.extra["metavar"]
    kind = base_type(described)
    if get_origin(kind) is Literal:
        return "|".join(get_args(kind))
    return {int: "INTEGER", float: "NUMBER"}.get(kind, "TEXT")


def _range(described: Setting) -> Iterator[str]:
    """Yield the bounds of a number, such as `at least 1` and `at most 2`."""
    for meta in _metas(described):
        if meta.ge is not None:
            yield f"at least {meta.ge:g}"
        if meta.gt is not None:
            yield f"above {meta.gt:g}"
        if meta.le is not None:
            yield f"at most {meta.le:g}"
        if meta.lt is not None:
            yield f"below {meta.lt:g}"


def _metas(described: Setting) -> list[Any]:
    return list(getattr(described.type, "__metadata__", ()))
