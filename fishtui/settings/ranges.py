"""The values that the type of a setting accepts, in words."""

from __future__ import annotations

from collections.abc import Iterator
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

IN_WORDS = {"INTEGER": "a whole number", "NUMBER": "a number", "TEXT": "text"}


def describe_range(kind: Any) -> str:
    """Return the values that a setting of the type `kind` accepts, such as `a whole number, at least 1`."""
    if base_type(kind) is bool:
        return "true or false"
    shown = metavar(kind)
    return ", ".join([IN_WORDS.get(shown, shown), *bounds(kind)])


def base_type(kind: Any) -> Any:
    """Return a setting's type without its annotations, and without None if it can be unset."""
    while get_origin(kind) in (Annotated, Union, UnionType):
        kind = get_args(kind)[0]
    return kind


def can_be_unset(kind: Any) -> bool:
    """Return True if None is a value of the setting."""
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    return NoneType in get_args(kind)


def metavar(kind: Any) -> str:
    """Return the placeholder of a value in the help, such as `INTEGER` or `lora|full`."""
    for meta in _metas(kind):
        if meta.extra and "metavar" in meta.extra:
            return meta.extra["metavar"]
    plain = base_type(kind)
    if get_origin(plain) is Literal:
        return "|".join(get_args(plain))
    return {int: "INTEGER", float: "NUMBER"}.get(plain, "TEXT")


def bounds(kind: Any) -> Iterator[str]:
    """Yield the bounds of a number, such as `at least 1` and `at most 2`."""
    for meta in _metas(kind):
        if meta.ge is not None:
            yield f"at least {meta.ge:g}"
        if meta.gt is not None:
            yield f"above {meta.gt:g}"
        if meta.le is not None:
            yield f"at most {meta.le:g}"
        if meta.lt is not None:
            yield f"below {meta.lt:g}"


def _metas(kind: Any) -> list[Any]:
    metas: list[Any] = []
    while get_origin(kind) in (Annotated, Union, UnionType):
        metas += getattr(kind, "__metadata__", ())
        kind = get_args(kind)[0]
    return metas
