"""The data of a plot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Series:
    """Points in ascending order of x, drawn as a line; or each as a `sign`, if there is room and `is_line` is False.

    `style` is a component class of the plot, `label` the text in its legend. A line ends with `sign`, if it has one.
    """

    points: Points
    label: str = ""
    style: str = "plot--line"
    sign: str = ""
    is_line: bool = True


def short_number(value: float) -> str:
    """A number in few characters: `4.71`, `12k`, `1e-04`."""
    size = abs(value)
    if size >= 1e4 or (size >= 1000 and value == round(value, -3)):
        return f"{value / 1e6:.3g}M" if size >= 1e6 else f"{value / 1e3:.3g}k"
    return f"{value:.0e}" if 0 < size < 1e-3 else f"{value:.3g}" if size < 1000 else f"{value:.0f}"
