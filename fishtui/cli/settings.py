"""`fishtui settings`: show settings, and change them in fishtui.toml."""

from __future__ import annotations

import click

from fishtui.cli.options import SignedCommand, shared
from fishtui.cli.session import Session
from fishtui.settings import DEFAULT, SettingRow, known, missing_path, rows
from fishtui.settings.masking import is_secret, masked
from fishtui.settings.ranges import describe_range


def _names(context: click.Context, parameter: click.Parameter, typed: str) -> list[str]:
    return [name for name in (*_sections(), *known()) if name.startswith(typed)]


@click.command(name="settings", cls=SignedCommand)
@click.argument("name", required=False, shell_complete=_names, metavar="[NAME]")
@click.argument("value", required=False, metavar="[VALUE]")
@click.option("--reset", is_flag=True, help="Reset the setting to its default: remove it from fishtui.toml.")
@click.option("--changed", is_flag=True, help="Show only settings that are not at their default.")
@shared()
def settings(session: Session, name: str | None, value: str | None, reset: bool, changed: bool) -> int:
    """Show the settings in force, or change one.

    NAME is a setting, such as train.max_steps, or a section, such as train. With a VALUE, fishtui.toml is changed; its
    comments and all other lines stay.
    """
    from fishtui.cli import output

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
