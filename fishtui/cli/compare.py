"""The command `compare`: a blind comparison of two checkpoints in a browser, also on another computer."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from fishtui.cli.completers import evaluated_steps, evaluated_trainings
from fishtui.cli.options import shared
from fishtui.cli.session import Session
from fishtui.cli.settingoptions import setting

if TYPE_CHECKING:
    from fishtui.evaluation.blind import Tally
    from fishtui.evaluation.record import Evaluation, Step
    from fishtui.listen.blindserver import BlindServer
    from fishtui.listen.blindtest import BlindTest

# Python refuses to convert very long numbers.
MOST_DIGITS = 19


class StepType(click.ParamType):
    """A checkpoint by its step, or `base`."""

    name = "step"

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> Step:
        """Return the step as a number, or `base`."""
        if value == "base":
            return "base"
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < MOST_DIGITS:
            return int(value)
        raise click.BadParameter(f"{value!r} is not a step or 'base'.", context, parameter)


@click.command()
@click.argument("name", shell_complete=evaluated_trainings)
@click.argument("one", metavar="STEP", type=StepType(), shell_complete=evaluated_steps)
@click.argument("other", metavar="STEP", type=StepType(), shell_complete=evaluated_steps)
@setting("--port", "listen.port")
@shared(dry_run=False)
def compare(session: Session, name: str, one: Step, other: Step) -> int:
    """Compare two checkpoints blindly in a browser.

    STEP is the step of a checkpoint of the training NAME, or `base`; both must be evaluated. The page plays each line
    by both in random order and stores every decision at once, so you can stop and continue at any time. It is served
    until Ctrl-C, which shows the tally, at an address that only this computer can reach and that contains a random
    token. If your browser is on another computer, first run the printed ssh command there.
    """
    from fishtui.listen.blindserver import BlindServer
    from fishtui.listen.blindtest import BlindTest

    test = BlindTest(_evaluation(session, name), one, other)
    # Without a trial there is nothing to serve.
    if not test.is_decided:
        # An interrupt is the normal end, also right after the address is shown.
        with BlindServer(test, session.settings.values.listen.port) as server, suppress(KeyboardInterrupt):
            _show_address(session, test, server)
            threading.Event().wait()
        test.end()
    _show_tally(session, name, test)
    return 0


def _evaluation(session: Session, name: str) -> Evaluation:
    """Return the evaluation of a training. Raises MisuseError, code `invalid-name` or `no-evaluation`."""
    from fishtui.errors import MisuseError
    from fishtui.evaluation.record import evaluated_names, read_evaluation
    from fishtui.results.checkpoints import check_name
    from fishtui.wording import did_you_mean

    check_name(name)
    evaluation = read_evaluation(session.project.results / name)
    if not evaluation.steps:
        known = [each for each in evaluated_names(session.project.results) if each != name]
        remedy = did_you_mean(name, known) or f"Run `fishtui evaluate {name}`."
        raise MisuseError(f"{name}: not evaluated yet", remedy, code="no-evaluation")
    return evaluation


def _show_address(session: Session, test: BlindTest, server: BlindServer) -> None:
    from fishtui.cli import output
    from fishtui.listen.links import ssh_line
    from fishtui.wording import counted

    if session.as_json:
        output.document({"url": server.url, "token": server.token, "port": server.port, "ssh": ssh_line(server.port)})
        return
    state = test.state()
    if test.left_out:
        output.line(f"{counted(test.left_out, 'line')} left out: no recording of both.")
    output.line(f"{state['decided']} of {counted(state['total'], 'line')} decided. The page is served until Ctrl-C.")
    output.line("If your browser is on another computer, first run there:")
    output.line(f"  {ssh_line(server.port)}")
    output.line("Then open this address:")
    output.address(server.url)


def _show_tally(session: Session, name: str, test: BlindTest) -> None:
    from fishtui.cli import output
    from fishtui.listen.blindtest import describe_progress, describe_tally

    tally, made = test.tally(), test.count()
    if session.as_json:
        output.document(
            {
                "name": name,
                "versions": list(test.versions),
                "decisions": made.decisions,
                "lines": made.trials,
                "tally": _as_document(tally) if tally else None,
            }
        )
    elif tally:
        for each in describe_tally(tally):
            output.line(each)
    else:
        output.line(describe_progress(made))


def _as_document(tally: Tally) -> dict[str, Any]:
    return {
        "better": [tally.wins_of_one, tally.wins_of_other],
        "no_difference": tally.ties,
        "p_value": tally.p_value,
    }
