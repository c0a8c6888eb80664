"""Settings and commands for records, without the settings that are secrets."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import msgspec

from fishtui.settings.loading import ENVIRONMENT_PREFIX, known
from fishtui.settings.masking import HIDDEN, is_secret, masked
from fishtui.settings.sections import Settings


@cache
def secret_names() -> frozenset[str]:
    """Return the names of the settings whose values are secrets."""
    return frozenset(each.name for each in known().values() if is_secret(each.type))


@cache
def secret_variables() -> frozenset[str]:
    """Return the environment variables that set secrets."""
    return frozenset(ENVIRONMENT_PREFIX + name.replace(".", "_").upper() for name in secret_names())


def without_secrets(settings: Settings) -> Settings:
    """Return the settings with masked secrets."""
    tables = msgspec.to_builtins(settings)
    for name in secret_names():
        section, _, key = name.partition(".")
        tables[section][key] = masked(tables[section][key])
    return msgspec.convert(tables, Settings)


def masked_command(words: Sequence[str]) -> list[str]:
    """Return the words of a command in which the values of secrets, which --set gives, are masked."""
    return [_masked_word(word) for word in words]


def _masked_word(word: str) -> str:
    name, _, value = word.removeprefix("--set=").partition("=")
    if value and name.strip() in secret_names():
        return f"{word.removesuffix(value)}{HIDDEN}"
    return word
