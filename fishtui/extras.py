"""Packages of the optional extras of fishtui. Nothing is imported here."""

from __future__ import annotations

from importlib.util import find_spec

from fishtui.errors import MisuseError


def require_extra(extra: str, module: str, setting: str) -> None:
    """Raise MisuseError, code `missing-package`, unless the module that `setting` needs is installed."""
    if find_spec(module) is None:
        raise MisuseError(
            f"{setting}: the package {module} is not installed",
            f'Install it with `pip install "fishtui[{extra}]"`.',
            code="missing-package",
        )
