"""The speeds that the other checks measured, next to what is known of this card."""

from __future__ import annotations

from collections.abc import Mapping

from fishtui.selftest.line import Line

# What is measured: the check and its figure, and its unit.
MEASURED = {
    "extraction": ("codec", "extraction_seconds_per_second", "s of audio/s"),
    "LoRA step": ("step", "tokens_per_second", "tokens/s"),
    "synthesis": ("speaking", "frames_per_second", "frames/s"),
}
# Figures of the README's GPU table, by the name of the card, as torch reports it. No card has been measured yet.
KNOWN: Mapping[str, Mapping[str, float]] = {}
# Share of a known figure below which a machine is slow.
SLOW = 0.5


def check_speed(lines: Mapping[str, Line], device: str) -> Line:
    """Collect the speeds of the other lines, and compare them with those of the same card."""
    known = KNOWN.get(device, {})
    shown, figures, slow = [], {}, []
    for what, (name, figure, unit) in MEASURED.items():
        value = lines[name].figures.get(figure) if name in lines else None
        if value is None:
            continue
        figures[what.lower().replace(" ", "_")] = value
        text = f"{what} {value:,.0f} {unit}" if value >= 10 else f"{what} {value:.1f} {unit}"
        if what in known:
            text += f" (known: {known[what]:,.0f})"
            slow += [what] if value < SLOW * known[what] else []
        shown.append(text)
    if not shown:
        return Line(name="speed", state="open", found="nothing was measured")
    where = "" if known else f"; no figure for {device} yet"
    return Line(
        name="speed",
        state="warn" if slow else "pass",
        found=", ".join(shown) + where,
        remedy=f"{', '.join(slow)}: check with nvidia-smi whether another process or a power limit slows the GPU."
        if slow
        else "",
        figures=figures,
    )
