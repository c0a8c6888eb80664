"""Figures as people read them, the same in every front end."""

from __future__ import annotations


def counted(number: int, thing: str) -> str:
    """`1 clip`, `2 clips`."""
    return f"{number:,} {thing}{'s' * (number != 1)}"


def seconds(value: float | None) -> str:
    """`4.2s`, `12m`, `3.1h`; a dot for what isn't known."""
    if value is None:
        return "·"
    if value < 60:
        return f"{value:.1f}s"
    return f"{value / 60:.0f}m" if value < 3600 else f"{value / 3600:,.1f}h"


def number(value: float | None) -> str:
    """With one decimal; a dot for what isn't known."""
    return "·" if value is None else f"{value:.1f}"


def gigabytes(value: float) -> str:
    """Bytes as `4.2 GB`, `412 GB`."""
    return f"{value / 1e9:.1f} GB" if value < 1e10 else f"{value / 1e9:,.0f} GB"
