"""The names of all commands, and where each is defined; nothing else lists them."""

from __future__ import annotations

from importlib import import_module
from keyword import iskeyword

import click

from fishtui.stage import find_stage, stage_names

# The module of each command that is not a stage, and its line in the list of commands, which is shown without importing
# them. Each imports the core only when it runs.
_OTHERS = {
    "init": ("setup", "Create a project: a fishtui.toml with comments, and folders."),
    "demo": ("setup", "Teach a small model a voice, with every stage."),
    "doctor": ("setup", "Check for problems, and show how to fix them."),
    "settings": ("settings", "Show the settings in force, or change one."),
    "trust": ("trust", "Trust the project in DIR, or list the trusted projects."),
    "import": ("importing", "Import clips from another dataset layout."),
    "scan": ("catalog", "Scan the dataset and update the catalog."),
    "validate": ("catalog", "Check recordings and transcripts, and list findings."),
    "clips": ("clips", "List, search, review, edit and repair clips."),
    "listen": ("listen", "Listen to clips in a browser, also over SSH."),
    "speakers": ("catalog", "List the speakers with their hours and findings."),
    "stats": ("catalog", "Show hours, and distributions of durations and rates."),
    "compare": ("compare", "Compare two checkpoints blindly in a browser."),
    "runs": ("runs", "List, follow, stop and repeat runs."),
}
# The sections of the help, in the order of the work. Stages that none of them names are in the one of the model.
_MODEL = "Model"
_SECTIONS = {
    "Project": ("init", "demo", "download", "doctor", "settings", "trust"),
    "Clips": ("import", "slice", "transcribe", "scan", "validate", "clips", "listen", "speakers", "stats", "score"),
    _MODEL: ("normalize", "extract", "pack", "train", "evaluate", "compare", "merge", "synthesize", "export"),
    "Runs": ("run", "runs"),
}


def command_sections() -> dict[str, tuple[str, ...]]:
    """Return the names of all commands by the section of the help that lists them, in its order."""
    named = {name for names in _SECTIONS.values() for name in names}
    others = tuple(name for name in stage_names() if name not in named)
    return {title: names + others * (title == _MODEL) for title, names in _SECTIONS.items()}


def command_names() -> tuple[str, ...]:
    """Return the names of all commands in the order in which the help lists them."""
    return tuple(name for names in command_sections().values() for name in names)


def summary_of(name: str) -> str:
    """Return what the command of this name does, in one line."""
    return find_stage(name).summary if name in stage_names() else _OTHERS[name][1]


def load_command(name: str) -> click.Command | None:
    """Import or build the command of this name, or return None."""
    if name in stage_names():
        from fishtui.cli.stagecommand import build_command

        return build_command(find_stage(name))
    if name not in _OTHERS:
        return None
    module, _ = _OTHERS[name]
    # A command named like a Python keyword has an underscore after its name.
    return getattr(import_module(f"fishtui.cli.{module}"), f"{name}_" if iskeyword(name) else name)
