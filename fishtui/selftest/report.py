"""The report of a self-test in Markdown, to attach to a bug report."""

from __future__ import annotations

from fishtui.glyphs import SIGN
from fishtui.sanitize import harmless
from fishtui.selftest.line import SHOWN
from fishtui.selftest.run import Report


def markdown(report: Report) -> str:
    """Return the report as Markdown. It names no folder of the machine."""
    rows = [
        f"| {SIGN[SHOWN[line.state]]} {line.state} | {line.name} | {_cell(line.found)} | {_cell(line.remedy)} |"
        f" {'earlier' if line.is_reused else f'{line.seconds:.1f}'} |"
        for line in report.lines
    ]
    figures = [
        f"| {line.name} | {name} | {value:.6g} |" for line in report.lines for name, value in line.figures.items()
    ]
    return "\n".join(
        [
            f"# Self-test of {_cell(report.checkpoint)}",
            "",
            f"- model: {report.family}",
            f"- device: {_cell(report.device)}, {report.precision}",
            f"- versions: {', '.join(f'{name} {version}' for name, version in report.versions.items())}",
            f"- clips: {', '.join(map(_cell, report.clips))}",
            "",
            "| result | check | found | what to do | seconds |",
            "|---|---|---|---|---:|",
            *rows,
            "",
            "| check | figure | value |",
            "|---|---|---:|",
            *figures,
            "",
            "| file | SHA-256 |",
            "|---|---|",
            *(f"| {_cell(name)} | {found} |" for name, found in report.sha256.items()),
            "",
        ]
    )


def _cell(text: str) -> str:
    return harmless(text).replace("|", "\\|")
