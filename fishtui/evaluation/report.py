"""The report of an evaluation: one HTML file with table, verdict and players, to be sent to the voice's owner."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from time import gmtime, strftime

from fishtui.dataset import clip_named, is_inside
from fishtui.errors import DataError
from fishtui.evaluation.lines import Line
from fishtui.evaluation.page import document
from fishtui.evaluation.ranking import describe, lines_worst_first
from fishtui.evaluation.record import Evaluation, SpokenLine, Step
from fishtui.evaluation.sounds import LIMIT, Sounds, embed
from fishtui.evaluation.table import ERRORS, Cell, Column, Row, figure_source, is_usual, shown_interval, shown_value
from fishtui.evaluation.verdict import Verdict
from fishtui.files import write_text
from fishtui.results.samples import BASE
from fishtui.sanitize import harmless
from fishtui.wording import counted, size

RealRecording = Callable[[Line], Path | None]
"""Returns the real recording of a held-out line, None for other lines."""


@dataclass(frozen=True)
class Report:
    """The HTML of a report, and remarks about what is not in it."""

    html: str
    remarks: tuple[str, ...]


@dataclass(frozen=True)
class Version:
    """A recording of a line: the real one, or that of a step; `reason` is what counts against it."""

    name: str
    path: Path
    reason: str = ""
    is_recommended: bool = False


def real_recordings(data: Path, text_extension: str) -> RealRecording:
    """Return a function that finds the recordings of held-out clips in a dataset."""

    def find(line: Line) -> Path | None:
        if not line.clip or not is_inside(line.clip):
            return None
        try:
            return clip_named(data, line.clip, text_extension).single_audio()
        except DataError:
            return None

    return find


def write_report(
    path: Path, evaluation: Evaluation, verdict: Verdict, real: RealRecording, limit: int = LIMIT
) -> Report:
    """Write the report of an evaluation to `path`, and return it. Raises FishtuiError, code `cannot-write`."""
    report = build_report(evaluation, verdict, real, limit)
    write_text(path, report.html)
    return report


def build_report(evaluation: Evaluation, verdict: Verdict, real: RealRecording, limit: int = LIMIT) -> Report:
    """Return the report of an evaluation, with recordings of up to `limit` bytes, encoded.

    Lines come worst first. Every text of the project is escaped, and controls are made visible.
    """
    by_id = {line.id: line for line in evaluation.lines}
    lines = [by_id[line] for line in lines_worst_first(evaluation)]
    versions = {line.id: _versions(evaluation, verdict, line, real) for line in lines}
    sounds = embed([[each.path for each in versions[line.id]] for line in lines], limit)
    remarks = (*evaluation.remarks, *_remarks(sounds, lines))
    name = evaluation.results.absolute().name
    steps = [_heading(row.step) for row in verdict.table.rows]
    made = strftime("%Y-%m-%d", gmtime(evaluation.plan.time)) if evaluation.plan else ""
    about = f"{counted(len(lines), 'line')}, each spoken by {_listed(steps)} with the same random seed. {made}"
    shown = lines[: len(lines) - sounds.left_out]
    body = [
        f"<h1>Evaluation of {_text(name)}</h1>",
        f'<p class="note">{_text(about)}</p>',
        f'<p class="verdict">{_text(verdict.sentences[0] if verdict.sentences else "")}</p>',
        *(f'<p class="note">{_text(sentence)}</p>' for sentence in (*verdict.sentences[1:], *remarks)),
        "<h2>Checkpoints</h2>",
        _table(verdict),
        *_reasons(verdict.against),
        "<h2>Lines, worst first</h2>",
        f'<p class="note">Recordings are in {sounds.encoding.name}. Choose a version of a line to hear it.</p>',
        *(_article(line, versions[line.id], sounds) for line in shown),
    ]
    return Report(document(f"Evaluation of {_text(name)}", "\n".join(body)), remarks)


def _versions(evaluation: Evaluation, verdict: Verdict, line: Line, real: RealRecording) -> list[Version]:
    """Return the versions of a line: the real recording, the base, and each checkpoint."""
    found = []
    if (path := real(line)) is not None:
        found.append(Version("real recording", path))
    records = list(evaluation.records.values())
    errors = figure_source(records, ERRORS)
    for record in records:
        if record.line.id == line.id and is_usual(record):
            found.append(_version(evaluation, verdict, record, errors(record)))
    return found


def _version(evaluation: Evaluation, verdict: Verdict, record: SpokenLine, errors: float | None) -> Version:
    is_recommended = record.step == verdict.recommended
    return Version(_heading(record.step), evaluation.path(record), describe(record, errors), is_recommended)


def _remarks(sounds: Sounds, lines: Sequence[Line]) -> Iterable[str]:
    if sounds.left_out:
        yield (
            f"the recordings of {counted(len(lines), 'line')} exceed the size of a report: the best "
            f"{counted(sounds.left_out, 'line')} are left out, {size(sounds.size)} are embedded"
        )
    if sounds.unreadable:
        path, reason = next(iter(sounds.unreadable.items()))
        yield f"{counted(len(sounds.unreadable), 'recording')} cannot be read, first {path.name}: {reason}"


def _table(verdict: Verdict) -> str:
    columns = verdict.table.columns
    heads = "".join(f'<th scope="col">{_text(each)}</th>' for each in ("", "loss", *(one.title for one in columns)))
    rows = "\n".join(_row(row, columns, row.step == verdict.recommended) for row in verdict.table.rows)
    caption = "Means over the lines, with 95 % intervals; below, the difference to the base, paired by line."
    return (
        '<div class="scroll" tabindex="0" role="region" aria-label="Checkpoints"><table>'
        f"<caption>{caption}</caption><thead><tr>{heads}</tr></thead><tbody>\n{rows}\n</tbody></table></div>"
    )


def _row(row: Row, columns: Sequence[Column], is_recommended: bool) -> str:
    name = _heading(row.step) + (" (recommended)" if is_recommended else "")
    loss = "·" if row.loss is None else f"{row.loss:.3f}"
    cells = "".join(_cell(column, row.cells[column.name]) for column in columns)
    mark = ' class="recommended"' if is_recommended else ""
    return f'<tr{mark}><th scope="row">{_text(name)}</th><td>{loss}</td>{cells}</tr>'


def _cell(column: Column, cell: Cell) -> str:
    parts = [shown_interval(column, cell.estimate)]
    if cell.change is not None and cell.change.mean is not None:
        interval = shown_interval(column, cell.change, signed=True)
        parts.append(f"{shown_value(column, cell.change.mean, signed=True)}{f' ({interval})' if interval else ''}")
    details = "".join(f"<small>{_text(part)}</small>" for part in parts if part)
    return f"<td>{_text(shown_value(column, cell.estimate.mean))}{details}</td>"


def _reasons(against: Mapping[int, tuple[str, ...]]) -> list[str]:
    items = [f"<li>Step {step}: {_text('; '.join(reasons))}</li>" for step, reasons in against.items() if reasons]
    return ["<h3>Not recommended</h3>", "<ul>", *items, "</ul>"] if items else []


def _article(line: Line, versions: Sequence[Version], sounds: Sounds) -> str:
    about = ", ".join(filter(None, [line.kind.replace("-", " "), line.speaker, line.language]))
    first = next((each for each in versions if each.is_recommended), versions[-1] if versions else None)
    players = "\n".join(_player(each, sounds, each is first) for each in versions)
    return (
        f'<article id="line-{line.id}">\n<p class="text" dir="auto">{_text(line.text)}</p>\n'
        f'<p class="about note"><bdi>{_text(about)}</bdi></p>\n{players}\n</article>'
    )


def _player(version: Version, sounds: Sounds, is_first: bool) -> str:
    name = _text(version.name + (" (recommended)" if version.is_recommended else ""))
    url = sounds.urls.get(version.path)
    audio = f'<audio controls preload="none" src="{url}"></audio>' if url else "<p>The recording cannot be read.</p>"
    reason = f'<p class="reason"><bdi>{_text(version.reason)}</bdi></p>' if version.reason else ""
    mark = " data-first" if is_first else ""
    return f'<div class="version"{mark}><h3>{name}</h3>{audio}{reason}</div>'


def _heading(step: Step) -> str:
    return "base model" if step == BASE else f"step {step}"


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]])) or "no model"


def _text(text: str) -> str:
    return escape(harmless(text))
