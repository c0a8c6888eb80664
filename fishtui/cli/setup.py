"""Commands for setting up: init, demo, doctor, download."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fishtui import wording
from fishtui.cli.options import shared
from fishtui.cli.session import Session
from fishtui.families.registry import FAMILIES, family_named, published_family

if TYPE_CHECKING:
    from fishtui.demo.run import DemoResult
    from fishtui.families.family import Family
    from fishtui.judges.needs import Weights
    from fishtui.runs.ledger import Ledger, LedgerRecord
    from fishtui.runs.reporter import Reporter
    from fishtui.runs.state import Run

FOLDER = click.Path(file_okay=False, path_type=Path)
FILE = click.Path(dir_okay=False, path_type=Path)
# The value of --model without a folder.
OWN_MODEL = "\0own"


@click.command()
@click.argument("folder", type=FOLDER, required=False, metavar="[DIR]")
@shared()
def init(session: Session, folder: Path | None) -> int:
    """Create a project: a fishtui.toml with comments, and folders.

    DIR is the project's folder (default: the current folder). Existing files are kept.
    """
    from fishtui.cli import output
    from fishtui.project import Project
    from fishtui.stages.init import init

    folder = _new_folder(session, folder, ".").resolve()
    made = init(Project(folder), session.overrides, dry_run=session.dry_run)
    if session.as_json:
        output.document({"project": str(folder), "made": made})
    else:
        for name in made:
            output.line(f"{'would make' if session.dry_run else 'made'} {name}")
        if not made:
            output.line(f"{folder} is a project already: nothing to make")
        output.line("Next: put recordings into data/SPEAKER/clip.wav with clip.lab, then `fishtui download`.")
        output.line("`fishtui slice FOLDER --speaker NAME` cuts long recordings; `fishtui import` reads other layouts.")
    return 0


@click.command()
@click.argument("folder", type=FOLDER, required=False, metavar="[DIR]")
@shared()
def demo(session: Session, folder: Path | None) -> int:
    """Teach a small model a voice, with every stage.

    Takes about two minutes on a CPU, needs no network, and writes only to DIR (default: fishtui-demo).
    """
    from fishtui.cli import output
    from fishtui.cli.progress import show_events, show_json

    folder = _new_folder(session, folder, "fishtui-demo")
    if session.dry_run and session.as_json:
        output.document({"kind": "demo", "dry_run": True, "project": str(folder.resolve())})
        return 0
    if session.dry_run:
        output.line(f"would make the project {folder} and run every stage in it")
        return 0
    from fishtui.demo.run import run_demo
    from fishtui.evaluation.verdict import verdict_dict

    outcome = run_demo(folder, show_json if session.as_json else show_events, session.overrides)
    if session.as_json:
        output.document(
            {
                "kind": "demo",
                "loss_before": outcome.loss_before,
                "loss_after": outcome.loss_after,
                "verdict": verdict_dict(outcome.verdict),
                "before": str(outcome.before),
                "after": str(outcome.after),
            }
        )
        return 0
    _show_stages(outcome)
    _show_faults(outcome)
    _show_results(outcome, folder)
    return 0


def _show_stages(outcome: DemoResult) -> None:
    """Show a table of the stages with their numbers of items and times."""
    from fishtui.cli import output

    rows = []
    for run, ledger in _recorded(outcome):
        counts = [len(ledger["skipped"]), len(ledger["failed"])]
        rows.append(
            [
                run.record.stage,
                wording.counted(ledger["total"], ledger["unit"].removesuffix("s")),
                f"{ledger['done']:,}",
                *(f"{count:,}" if count else "·" for count in counts),
                f"{run.record.seconds:.1f}s",
            ]
        )
    output.table(rows, ["stage", "items", "done", "skipped", "failed", "time"], right={1, 2, 3, 4, 5})


def _recorded(outcome: DemoResult) -> list[tuple[Run, LedgerRecord]]:
    """Return the runs that recorded a ledger, with it."""
    return [(run, run.record.ledger) for run in outcome.runs if run.record.ledger is not None]


def _show_faults(outcome: DemoResult) -> None:
    """Show why items failed: each once, in the first stage that reports it."""
    from fishtui.cli import output

    output.line()
    output.line("Some recordings are faulty on purpose; each failure has its reason:")
    seen = set()
    for run, ledger in _recorded(outcome):
        for entry in ledger["failed"]:
            if (fault := (entry["item"], entry["reason"])) not in seen:
                seen.add(fault)
                output.line(f"  ✗ {run.record.stage} {entry['item']}: {entry['reason']}")


def _show_results(outcome: DemoResult, folder: Path) -> None:
    """Show the table of the evaluation, the speech, and what to try next."""
    from fishtui.cli import output
    from fishtui.evaluation.table import table_lines

    output.line()
    output.line("The base model and each checkpoint spoke the same digits:")
    for text in table_lines(outcome.verdict.table):
        output.line(f"  {text}")
    output.line(f"Merged: {outcome.choice.reason}.")
    output.line(f"Before: {outcome.before}")
    output.line(f"After:  {outcome.after}")
    output.line(f"Look around: cd {folder} && fishtui validate && fishtui clips list finding:any")
    output.line(f"Let it speak: fishtui synthesize --checkpoint {outcome.merged} \\")
    output.line(f'    --text "four three two one zero" --reference {outcome.reference} --output count.wav')
    output.line("Next: `fishtui init myvoice`, put your recordings into myvoice/data, and `fishtui download`.")


def _new_folder(session: Session, given: Path | None, usual: str) -> Path:
    """Return the folder for a new project. Raises MisuseError if two are given."""
    from fishtui.errors import MisuseError

    named = click.get_current_context().params["project"]
    if given and named:
        raise MisuseError(
            f"DIR {given} with --project {named}", "Give only one of the two.", code="conflicting-options"
        )
    return given or named or Path(usual)


@click.command()
@click.option(
    "--model",
    "checkpoint",
    is_flag=False,
    flag_value=OWN_MODEL,
    metavar="[CHECKPOINT]",
    help="Test a model with speech, in at most two minutes (default: the project's model).",
)
@click.option("--report", type=FILE, help="File to write the test's report to, in Markdown.")
@click.option("--clip", type=FILE, help="Recording to test with, next to its transcript (default: spoken digits).")
@click.option("--again", is_flag=True, help="Repeat the lines of the test that passed before.")
@shared(dry_run=False)
def doctor(session: Session, checkpoint: str | None, report: Path | None, clip: Path | None, again: bool) -> int:
    """Check for problems, and show how to fix them.

    Checks GPU and driver, library versions, disk, checkpoint files and terminal. With --model, tests a
    model on this machine instead: files, codec, loss, precision, speech, a training step and speed. Lines that passed
    are kept, so that an interrupted test continues. Exit status 3 if there is an error.
    """
    from fishtui.cli import output
    from fishtui.errors import PARTIAL

    if checkpoint is not None:
        from fishtui.cli.modeltest import show_selftest

        folder = session.path(None if checkpoint == OWN_MODEL else Path(checkpoint), _pretrained(session))
        return show_selftest(session, folder, report, clip, again)
    _refuse_without_model({"--report": report, "--clip": clip, "--again": again})
    from fishtui.stages.doctor import examine

    findings = examine(session.project, session.settings.values)
    if session.as_json:
        output.document([finding.as_dict() for finding in findings])
    else:
        for finding in findings:
            output.finding(finding.glyph, finding.name, finding.found, finding.remedy)
    return PARTIAL if any(finding.state == "error" for finding in findings) else 0


def _pretrained(session: Session) -> str:
    return session.settings.values.paths.checkpoint


def _refuse_without_model(options: Mapping[str, object]) -> None:
    """Raise MisuseError if an option of the model's test is given without it."""
    from fishtui.errors import MisuseError

    if given := [name for name, value in options.items() if value]:
        raise MisuseError(f"{given[0]} without --model", "Give --model too.", code="missing-option")


def download(
    session: Session, repository: str | None, revision: str | None, judge: str | None, force: bool, accept_licence: bool
) -> int:
    """Run `fishtui download`."""
    from fishtui.errors import MisuseError

    project, pretrained = session.project, session.project.path(session.settings.values.paths.checkpoint)
    choose: Callable[[str, Collection[str]], list[str]] | None = None
    family = None
    if judge:
        if repository:
            raise MisuseError("both REPO and --judge", "Give one of them.", code="conflicting-options")
        weights = _weights_of(judge, session)
        repository, target, choose = weights.repository, weights.folder, weights.to_download
    else:
        # The pretrained model of this project, or another one.
        family = published_family(repository) if repository else family_named(pretrained.name)
        is_own = repository is None or pretrained.name == repository.rpartition("/")[2]
        repository = repository or family_named(pretrained.name).repository
        target = pretrained if is_own else project.checkpoints / repository.rpartition("/")[2]
    revision = revision or (family.revision if family else "main")
    _ask_for_licence(session, family, accept_licence)

    def stage(reporter: Reporter, *, dry_run: bool) -> Ledger:
        from fishtui.stages.download import download

        return download(
            project,
            reporter,
            repository=repository,
            revision=revision,
            target=target,
            choose=choose,
            force=force,
            dry_run=dry_run,
        )

    return session.run("download", stage, repository=repository, revision=revision, target=target)


def _ask_for_licence(session: Session, family: Family | None, is_given: bool) -> None:
    """Show the terms of a licence that has to be accepted, and record that the option or the answer accepts them.

    The model in another repository is known only later, so the option then accepts the licences of all models.
    """
    from fishtui.acceptance import accept, is_accepted
    from fishtui.cli import diagnostics

    asks = sys.stdin.isatty() and not (session.as_json or session.is_adopted)
    for each in [family] if family else FAMILIES.values() if is_given else ():
        if is_accepted(each) or not (is_given or asks):
            continue
        for line in (f"{each.title} is under the {each.licence.name}, {each.licence.address}:", *each.licence.terms):
            diagnostics.show(line)
        if is_given or diagnostics.confirm("Do you accept these terms?"):
            accept(each)


def _weights_of(judge: str, session: Session) -> Weights:
    """Return the weights of a judge on the hub. Raises MisuseError if the settings name none."""
    from fishtui.errors import MisuseError
    from fishtui.judges.needs import Setup
    from fishtui.judges.registry import find_judge
    from fishtui.stages.recognition import DOWNLOAD, Choice

    root, values = session.project.root, session.settings.values
    if judge == DOWNLOAD:
        needs = Choice(root, values.transcribe).needs()
    else:
        needs = find_judge(judge).needs(Setup(root, values.evaluate))
    if needs.weights and needs.weights.repository:
        return needs.weights
    missing = needs.missing()
    raise MisuseError(
        f"judge {judge}: nothing to download from the hub",
        missing[1] if missing else "It is ready.",
        code="nothing-to-download",
    )
