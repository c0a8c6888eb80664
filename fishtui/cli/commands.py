"""The names of all commands, and where each is defined; nothing else lists them."""

from __future__ import annotations

from importlib import import_module
from keyword import iskeyword

import click

from fishtui.stage import find_stage, stage_names

# The module of each command that is not a stage. It imports the core only when it runs, so that --help is instant.
_BEFORE = {
    "init": "setup",
    "demo": "setup",
    "settings": "settings",
    "trust": "trust",
    "doctor": "setup",
    "import": "importing",
    "scan": "catalog",
    "validate": "catalog",
    "clips": "clips",
    "listen": "listen",
    "speakers": "catalog",
    "stats": "catalog",
}
_AFTER = {"compare": "compare", "runs": "runs"}


def command_names() -> tuple[str, ...]:
    """Return the names of all commands in the order in which the help lists them."""
    return (*_BEFORE, *stage_names(), *_AFTER)


def load_command(name: str) -> click.Command | None:
    """Import or build the command of this name, or return None."""
    if name in stage_names():
        from fishtui.cli.stagecommand import build_command

        return build_command(find_stage(name))
    module = (_BEFORE | _AFTER).get(name)
    if module is None:
        return None
    # A command named like a Python keyword has an underscore after its name.
    return getattr(import_module(f"fishtui.cli.{module}"), f"{name}_" if iskeyword(name) else name)
