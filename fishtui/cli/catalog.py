"""Commands on the catalog as a whole: scan, validate, speakers, stats."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import click

from fishtui import glyphs, wording
from fishtui.checks.registry import CHECKS, check_of
from fishtui.cli.completers import filter_terms
from fishtui.cli.options import SignedCommand, shared
from fishtui.cli.session import Session

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fishtui.catalog.report import ClipFinding, Report
    from fishtui.catalog.stats import Distribution

BAR = 32
MOST_OF_A_CODE = 10


@click.command()
@click.option("--watch", is_flag=True, help="Keep scanning as files change, until interrupted.")
@shared(dry_run=False)
def scan(session: Session, watch: bool) -> int:
    """Scan the dataset and update the catalog.

    Only new and changed files are read. Moved and renamed clips keep their reviews.
    """
    from fishtui.catalog.scan import scan
    from fishtui.cli.progress import watching

    settings = session.settings.values
    with session.catalog() as catalog:
        if watch:
            import threading

            from fishtui.catalog.watch import follow
            from fishtui.cli import diagnostics
            from fishtui.runs.reporter import Reporter

            diagnostics.show(f"following {catalog.data}; Ctrl-C ends")
            for found in follow(catalog, settings, Reporter(), threading.Event()):
                _show_scanned(session, found.as_dict())
            return 0
        with watching("scan") as reporter:
            found = scan(catalog, settings, reporter)
        _show_scanned(session, found.as_dict())
    return 0


SEVERITIES = [(code, check.severity.name.lower()) for code, check in CHECKS.items()]


@click.command(cls=SignedCommand, listed=("Checks and the severity of their findings", SEVERITIES))
@click.argument("terms", nargs=-1, metavar="[FILTER]", shell_complete=filter_terms)
@click.option(
    "--fail-on",
    type=click.Choice(["error", "warning", "never"]),
    default="error",
    show_default=True,
    help="Lowest severity of findings that gives exit status 3.",
)
@click.option("--quick", is_flag=True, help="Skip the checks that need decoded audio.")
@click.option("--all", "everything", is_flag=True, help="List every finding, including severity info.")
@shared(dry_run=False)
def validate(session: Session, terms: tuple[str, ...], fail_on: str, quick: bool, everything: bool) -> int:
    """Check recordings and transcripts, and list findings.

    Scans first, and measures clips that have not been measured yet. Rejected clips are left out. FILTER limits the list
    to some clips, as in `fishtui clips list`.
    """
    from fishtui.catalog.filter import parse, sql
    from fishtui.catalog.measurements import measure_clips
    from fishtui.catalog.report import findings
    from fishtui.catalog.scan import scan
    from fishtui.checks.registry import Severity
    from fishtui.cli import output
    from fishtui.cli.progress import watching
    from fishtui.errors import PARTIAL

    settings = session.settings.values
    selection = sql(parse(" ".join(terms)))
    with session.catalog() as catalog:
        with watching("validate") as reporter:
            scan(catalog, settings, reporter)
            if not quick:
                measure_clips(catalog, settings, reporter)
        report = findings(catalog, selection)
    if session.as_json:
        output.document(report.as_dict())
    else:
        _show_report(report, everything, bool(terms))
    worst = max((finding.severity for finding in report.findings), default=0)
    wanted = {"error": Severity.ERROR, "warning": Severity.WARNING, "never": Severity.ERROR + 1}[fail_on]
    return PARTIAL if worst >= wanted else 0


@click.command()
@shared(dry_run=False)
def speakers(session: Session) -> int:
    """List the speakers with their hours and findings.

    Shows the state of the last scan.
    """
    from fishtui.catalog.report import speakers
    from fishtui.cli import output

    with session.catalog(must_exist=True) as catalog:
        found = speakers(catalog)
    if session.as_json:
        output.document(found)
        return 0
    rows = [
        [
            each["speaker"],
            f"{each['clips']:,}",
            wording.seconds(each["seconds"]),
            f"{each['flagged']:,}",
            f"{each['errors']:,}",
            f"{each['rejected']:,}",
            f"{each['rate']:.1f}" if each["rate"] else "·",
            each["script"] or "·",
            f"{each['code']}: {each['detail']}" if each["code"] else "",
        ]
        for each in found
    ]
    headings = ["SPEAKER", "CLIPS", "TIME", "▲✗", "✗", "–", "CHAR/S", "SCRIPT", "FINDING"]
    output.table(rows, headings, right={1, 2, 3, 4, 5, 6}, stretch=8)
    return 0


@click.command(cls=SignedCommand)
@click.argument("terms", nargs=-1, metavar="[FILTER]", shell_complete=filter_terms)
@shared(dry_run=False)
def stats(session: Session, terms: tuple[str, ...]) -> int:
    """Show hours, and distributions of durations and rates.

    Also loudness, signal-to-noise ratio, sample rates, channels and formats. FILTER restricts it to some clips, as in
    `fishtui clips list`; rejected clips are left out unless it names a status. Rates and loudness are known once
    `fishtui validate` has decoded the clips.
    """
    from dataclasses import replace

    from fishtui.catalog.filter import Term, parse, sql
    from fishtui.catalog.stats import stats
    from fishtui.cli import output

    with session.catalog(must_exist=True) as catalog:
        query = parse(" ".join(terms))
        kept = () if any(each.field == "status" for each in query.terms) else (Term("status", ("rejected",), True),)
        found = stats(catalog, sql(replace(query, terms=(*query.terms, *kept))))
    if session.as_json:
        output.document(found.as_dict())
        return 0
    clips, speakers = wording.counted(found.clips, "clip"), wording.counted(found.speakers, "speaker")
    output.line(f"{clips} of {speakers}, {wording.seconds(found.seconds)}")
    for name, distribution in found.distributions.items():
        _show_distribution(name.replace("_", " "), distribution)
    return 0


def _show_report(report: Report, everything: bool, is_filtered: bool) -> None:
    """Show the findings, the number of each check, and what can be done about them."""
    from fishtui.cli import output

    _show_findings(report.findings, everything)
    summary = Counter(finding.code for finding in report.findings)
    counts = [
        [glyphs.SIGN[check_of(code).severity], f"{number:,}", code, check_of(code).meaning]
        for code, number in sorted(summary.items(), key=lambda item: (check_of(item[0]).severity, item[1]))
    ]
    output.table(counts, right={1}, stretch=3)
    if report.clips:
        output.line(f"{wording.counted(report.clips, 'clip')}, {report.flagged:,} with errors or warnings")
    else:
        output.line("no clips match" if is_filtered else "no clips yet")
    fixable = [f"{code} {number:,}" for code, number in summary.items() if check_of(code).fix]
    if fixable:
        output.line(f"`fishtui clips fix CHECK` repairs these (`fishtui clips undo` restores): {', '.join(fixable)}")
    if report.flagged:
        output.line(
            "Show one with its remedies: `fishtui clips show ID`; list some: `fishtui clips list finding:CHECK`"
        )


def _show_findings(findings: Sequence[ClipFinding], everything: bool) -> None:
    """Show the findings, the worst last; of a frequent one only the first clips."""
    from fishtui.checks.registry import Severity
    from fishtui.cli import output

    rows: list[list[str]] = []
    by_code: dict[str, list[ClipFinding]] = {}
    for each in findings:
        if everything or each.severity > Severity.INFO:
            by_code.setdefault(each.code, []).append(each)
    for code, found in sorted(by_code.items(), key=lambda item: (item[1][0].severity, -len(item[1]))):
        shown = found if everything else found[:MOST_OF_A_CODE]
        rows += [[glyphs.SIGN[each.severity], each.where, each.code, each.detail] for each in shown]
        if len(shown) < len(found):
            rows.append(["", f"… {len(found) - len(shown):,} more", code, f"fishtui clips list finding:{code}"])
    output.table(rows, stretch=3)
    if rows:
        output.line()


def _show_scanned(session: Session, found: dict[str, int]) -> None:
    from fishtui.cli import output

    if session.as_json:
        output.document(found)
        return
    news = [f"{found[name]:,} {name}" for name in ("new", "changed", "moved", "gone") if found[name]]
    output.line(f"{wording.counted(found['clips'], 'clip')}: {', '.join(news) or 'nothing new'}")


def _show_distribution(name: str, distribution: Distribution) -> None:
    from fishtui.cli import output

    rows: list[tuple[str, int]] = list(distribution.values.items())
    if distribution.bins:
        width = (distribution.high - distribution.low) / len(distribution.bins)
        digits = 1 if width >= 0.1 else 2
        rows = [(f"{distribution.low + number * width:.{digits}f}", n) for number, n in enumerate(distribution.bins)]
        if not width:
            rows = [(f"{distribution.low:.{digits}f}", sum(distribution.bins))]
    if not rows:
        return
    median = f", median {distribution.median:.1f}" if distribution.median is not None else ""
    missing = f", {distribution.missing:,} without" if distribution.missing else ""
    unit = f" ({distribution.unit}{median}{missing})" if distribution.unit else ""
    output.line()
    output.line(name + unit)
    most = max(count for _, count in rows)
    output.table(
        [[f"  {label}", f"{count:,}", "█" * max(round(BAR * count / most), bool(count))] for label, count in rows],
        right={0, 1},
    )
