"""`fishtui settings`: show settings, and change them in fishtui.toml."""

from __future__ import annotations

import click

from fishtui.cli.options import SignedCommand, shared
from fishtui.cli.session import Session
from fishtui.settings import DEFAULT, SettingRow, known, missing_path, rows
from fishtui.settings.masking import is_secret, masked
from fishtui.settings.ranges import describe_range

# Words before the name of a setting, with the number of words that follow each.
ACTIONS = {"set": 2, "unset": 1}


def _words(context: click.Context, parameter: click.Parameter, typed: str) -> list[str]:
    before = context.params.get("words") or ()
    offered = () if set(before) - ACTIONS.keys() else (*(() if before else ACTIONS), *_sections(), *known())
    return [name for name in offered if name.startswith(typed)]


@click.command(name="settings", cls=SignedCommand)
@click.argument("words", nargs=-1, shell_complete=_words, metavar="[set|unset] [NAME] [VALUE]")
@click.option("--reset", is_flag=True, help="Reset the setting to its default: remove it from fishtui.toml.")
@click.option("--changed", is_flag=True, help="Show only settings that are not at their default.")
@shared()
def settings(session: Session, words: tuple[str, ...], reset: bool, changed: bool) -> int:
    """Show the settings in force, or change one.

    NAME is a setting, such as train.max_steps, or a section, such as train. `set NAME VALUE`, or NAME VALUE alone,
    changes fishtui.toml, and `unset NAME` does what --reset does; comments and all other lines stay.
    """
    from fishtui.cli import output

    name, value, unset = _parsed(words)
    reset = reset or unset
    if value is not None or reset:
        return _change(session, name, value, reset)
    found = [row for row in rows(session.settings) if _matches(row, name) and not (changed and row.source == DEFAULT)]
    if name and not found and not changed:
        raise _unknown(name)
    if session.as_json:
        output.document([row._asdict() for row in found])
    elif name in known():
        _describe(found)
    else:
        output.table([(row.name, row.value, row.source, row.help) for row in found], stretch=3)
    return 0


def _parsed(words: tuple[str, ...]) -> tuple[str | None, str | None, bool]:
    """Return the name of a setting, the value, and whether the setting is unset. Raises MisuseError."""
    from fishtui.errors import MisuseError

    action, given = (words[0], words[1:]) if words and words[0] in ACTIONS else ("", words)
    if action and len(given) != ACTIONS[action]:
        usage = "set NAME VALUE" if action == "set" else "unset NAME"
        problem = f"{action} takes {'a NAME and a VALUE' if action == 'set' else 'one NAME'}"
        raise MisuseError(problem, f"Write `fishtui settings {usage}`; quote a value with spaces.", code="bad-words")
    if len(given) > 2:
        remedy = "Give one NAME and one VALUE; quote a value with spaces."
        raise MisuseError(f"{given[2]}: one word too many", remedy, code="bad-words")
    name, value, *_ = (*given, None, None)
    return name, value, action == "unset"


def _change(session: Session, name: str | None, value: str | None, reset: bool) -> int:
    from fishtui.cli import output
    from fishtui.errors import MisuseError
    from fishtui.settings.file import change, check

    if name is None or (value is not None and reset):
        remedy = "Give one setting, such as `fishtui settings train.max_steps --reset`."
        raise MisuseError("--reset takes the NAME of a setting and no VALUE", remedy, code="choose-one")
    if name in _sections():
        remedy = f"Give one of its settings; `fishtui settings {name}` lists them."
        raise MisuseError(f"{name}: a section, not a setting", remedy, code="unknown-setting")
    if name not in known():
        raise _unknown(name)
    session.check_project()
    if value is not None:
        check([f"{name}={value}"])
    if not session.dry_run:
        change(session.project.settings_file, name, value)
    if value and is_secret(known()[name].type):
        value = masked(value)
    if session.as_json:
        output.document({"name": name, "value": value, "dry_run": session.dry_run})
    elif value is None:
        output.line(f"{'would reset' if session.dry_run else 'reset'} {name} to its default")
    else:
        output.line(f"{'would set' if session.dry_run else 'set'} {name} to {value}")
        if warning := missing_path(name, value or "", session.project.root):
            output.line(f"▲ {warning}")
    return 0


def _describe(found: list[SettingRow]) -> None:
    from fishtui.cli import output

    for row in found:
        output.table(
            [
                (row.name, row.value),
                ("source", row.source),
                ("default", row.default),
                ("range", describe_range(known()[row.name].type)),
                ("help", row.help),
            ]
        )


def _matches(row: SettingRow, name: str | None) -> bool:
    return not name or row.name == name or row.name.startswith(f"{name}.")


def _sections() -> list[str]:
    return list(dict.fromkeys(name.partition(".")[0] for name in known()))


def _unknown(name: str) -> Exception:
    from fishtui.errors import MisuseError
    from fishtui.wording import suggest

    remedy = suggest(name, known() if "." in name else _sections())
    return MisuseError(f"{name}: unknown setting", remedy, code="unknown-setting")
