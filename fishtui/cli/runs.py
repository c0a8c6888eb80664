"""Commands on runs: list, show, logs, attach, stop, rerun, remove."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from fishtui.cli.completers import run_names
from fishtui.cli.options import number, shared
from fishtui.cli.session import Session
from fishtui.errors import MisuseError
from fishtui.glyphs import SIGN

if TYPE_CHECKING:
    from fishtui.runs.state import Run

# Seconds between two reads of a followed log.
INTERVAL = 0.2
LINES = 20
# Columns of what a run is about.
LONGEST_SUBJECT = 40
# Left out of the list for programs; `runs show` has them.
LENGTHY = ("settings", "sources", "environment", "traceback")


@click.group()
def runs() -> None:
    """List, follow, stop and repeat runs.

    \b
    RUN is one of:
      an ID from `fishtui runs list`, or a part of one
      the name of a training
      the name of a stage, such as train, for its newest run
      last, for the newest run; the default of show, logs, attach and rerun
    """


@runs.command("list")
@number("--limit", type=click.IntRange(1), default=30, help="Maximum number of runs, newest first.")
@shared(dry_run=False)
def list_(session: Session, limit: int) -> int:
    """List the newest runs and their state."""
    from fishtui.cli import output
    from fishtui.runs import scheduler
    from fishtui.runs.state import read_runs, read_unfinished_runs

    scheduler.advance(session.project)
    found = read_runs(session.project, newest=limit)
    if session.as_json:
        output.document([_summary(run) for run in found])
        return 0
    waits = (
        scheduler.find_blockers(read_unfinished_runs(session.project))
        if any(run.state == "queued" for run in found)
        else {}
    )
    rows = [
        [f"{SIGN[run.state]} {run.state}", _named(run), _took(run), _result(run, waits.get(run.id))] for run in found
    ]
    if not rows:
        output.line(f"No runs in {session.project.root} yet: every stage leaves one. --project names another project.")
        return 0
    output.table(rows, ["state", "run", "time", "result"], right={2}, stretch=3)
    return 0


@runs.command()
@click.argument("run", default="last", metavar="[RUN]", shell_complete=run_names)
@shared(dry_run=False)
def show(session: Session, run: str) -> int:
    """Show everything about a run."""
    from fishtui.cli import output
    from fishtui.runs.details import describe_run
    from fishtui.runs.state import find_run

    found = find_run(session.project, run)
    if session.as_json:
        output.document(found.as_dict())
        return 0
    for name, value in describe_run(session.project, found):
        output.line(f"{name:<9} {value}")
    if found.record.ledger:
        output.ledger(found.record.ledger)
    output.products(found)
    return 0


@runs.command()
@click.argument("run", default="last", metavar="[RUN]", shell_complete=run_names)
@click.option("-f", "--follow", "follows", is_flag=True, help="Follow the log until the run ends.")
@number("-n", "--lines", type=click.IntRange(0), default=LINES, help="Number of last lines to show.")
@shared(dry_run=False)
def logs(session: Session, run: str, follows: bool, lines: int) -> int:
    """Show the log of a run."""
    from fishtui.cli import output
    from fishtui.runs.log import LogFile
    from fishtui.runs.state import find_run, read_run

    folder = find_run(session.project, run).folder
    log = LogFile(folder / "output.log")
    shown = log.read_last(lines)
    last = shown[:1] or log.read_last(1)
    offset = (last[0].offset if shown or not last[0].whole else last[0].end) if last else 0
    while True:
        ended = not follows or read_run(folder).ended
        for line in shown:
            if line.whole or ended:
                if session.as_json:
                    output.document({"offset": line.offset, "text": line.text})
                else:
                    print(line.text, flush=True)
                offset = line.end
        shown = log.read_after(offset, 1000)
        if any(line.whole for line in shown):
            continue
        if ended:
            return 0
        time.sleep(INTERVAL)


@runs.command()
@click.argument("run", default="last", metavar="[RUN]", shell_complete=run_names)
@shared(dry_run=False)
def attach(session: Session, run: str) -> int:
    """Follow a run until it ends.

    Ctrl-C detaches; `fishtui runs stop` stops the run. The exit status is the run's.
    """
    from fishtui.cli import watch
    from fishtui.runs.state import find_run

    return watch.attach(session.project, session.as_json, session.debug, find_run(session.project, run))


@runs.command()
@click.argument("chosen", nargs=-1, required=True, metavar="RUN…", shell_complete=run_names)
@number("--patience", type=click.FloatRange(0), default=60.0, help="Seconds until a run that does not end is killed.")
@shared(dry_run=False)
def stop(session: Session, chosen: tuple[str, ...], patience: float) -> int:
    """Stop runs; kill those that do not end in time.

    A training saves a checkpoint first. A queued run is taken out of the queue.
    """
    from fishtui.cli import diagnostics, output
    from fishtui.runs import scheduler
    from fishtui.runs.state import find_run
    from fishtui.runs.stop import stop_all

    found = [find_run(session.project, each) for each in chosen]
    if any(not run.ended for run in found) and not session.as_json:
        diagnostics.show(f"stopping; a run that has not ended in {patience:g} s is killed")
    ended = stop_all(session.project, found, patience)
    scheduler.advance(session.project)
    if session.as_json:
        output.document([run.as_dict() for run in ended])
    else:
        for run in ended:
            output.line(f"{run.id} {run.state}")
    return 0


@runs.command()
@click.argument("run", default="last", metavar="[RUN]", shell_complete=run_names)
@shared(dry_run=False)
def rerun(session: Session, run: str) -> int:
    """Start the command of a run again, in the background.

    A training resumes from its newest checkpoint.
    """
    from fishtui.cli import output
    from fishtui.runs.rerun import rerun
    from fishtui.runs.state import find_run

    return output.launched(rerun(session.project, find_run(session.project, run)), session.as_json)


@runs.command()
@click.argument("chosen", nargs=-1, metavar="[RUN…]", shell_complete=run_names)
@click.option("--ended", is_flag=True, help="Remove all runs that have ended.")
@shared()
def remove(session: Session, chosen: tuple[str, ...], ended: bool) -> int:
    """Remove runs that have ended, and their logs.

    Checkpoints and other results are kept.
    """
    from fishtui.cli import output
    from fishtui.runs.rerun import remove_run
    from fishtui.runs.state import find_run, read_runs

    if bool(chosen) == ended:
        raise MisuseError(
            "no run given" if ended is False else "RUN with --ended",
            "Give either RUN, as in `fishtui runs list`, or --ended for all runs that have ended.",
            code="choose-one",
        )
    found = (
        [run for run in read_runs(session.project) if run.is_removable]
        if ended
        else [find_run(session.project, each) for each in chosen]
    )
    for run in found:
        if not session.dry_run:
            remove_run(run)
    if session.as_json:
        output.document([run.id for run in found])
    else:
        for run in found:
            output.line(f"{'would remove' if session.dry_run else 'removed'} {run.id}")
    return 0


def _named(run: Run) -> str:
    from fishtui.runs.details import model_of
    from fishtui.runs.subject import describe_subject
    from fishtui.wording import cut

    model = model_of(run)
    about = run.record.name or cut(describe_subject(run.record.arguments), LONGEST_SUBJECT)
    return " ".join(filter(None, [run.id, about, f"({model})" if model else ""]))


def _took(run: Run) -> str:
    from fishtui.runs.progress import seconds_taken
    from fishtui.wording import clock

    seconds = seconds_taken(run)
    return "" if seconds is None else clock(seconds)


def _result(run: Run, blocker: str | None) -> str:
    from fishtui.runs.progress import describe_result, read_progress

    return str(read_progress(run) or "") or describe_result(run, blocker)


def _summary(run: Run) -> dict[str, Any]:
    """Return the run for `list --json`: without lengthy fields, with its progress."""
    from fishtui.runs.progress import read_progress

    content = {name: value for name, value in run.as_dict().items() if name not in LENGTHY}
    now = read_progress(run)
    return content | {"progress": None if now is None else asdict(now)}
