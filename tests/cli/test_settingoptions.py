"""Options of settings: their help derives from the types of the settings, and lists the values that they accept."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from fishtui.cli.main import fishtui
from fishtui.cli.settingoptions import choices, help_of
from fishtui.settings import known
from fishtui.settings.ranges import metavar
from fishtui.stage import ALL, Stage
from tests import builders
from tests.expecting import error_in


def help_text(*command: str) -> str:
    """Return the help of a command on one line."""
    return " ".join(CliRunner().invoke(fishtui, [*command, "--help"]).output.split())


def test_choices_are_shown_as_they_are_typed() -> None:
    shown = help_text("train")
    assert "--method lora|full" in shown
    assert "--lora r_R_alpha_A[_fast]" in shown
    assert "--device auto|cpu|cuda|cuda:N" in shown


def test_a_boolean_setting_is_a_pair_of_flags() -> None:
    assert "--compile / --no-compile" in help_text("synthesize")


@pytest.mark.parametrize("name", sorted(known()))
def test_a_default_is_shown_once_and_an_empty_one_not_at_all(name: str) -> None:
    described = known()[name]
    shown = help_of(described)
    assert shown.count("default:") == (described.default not in ("", (), None))
    assert shown[0] == shown[0].upper()
    assert metavar(described.type)


def test_numbers_show_their_range() -> None:
    assert re.search(r"--temperature NUMBER [^-]*at least 0; at most 2", help_text("synthesize"))


@pytest.mark.parametrize("command", ["train", "extract", "synthesize", "pack", "normalize", "run"])
def test_every_choice_of_an_option_is_accepted(command: str) -> None:
    found = fishtui.get_command(click.Context(fishtui), command)
    assert found is not None
    for parameter in found.params:
        if isinstance(parameter.type, click.Choice):
            for value in parameter.type.choices:
                assert parameter.type.convert(value, parameter, None) == value


def test_boolean_settings_have_two_values_to_choose_from() -> None:
    assert choices("synthesize.compile") == choices("scan.poll") == ("true", "false")


@pytest.mark.parametrize("words", [["runs", "list"], ["runs", "logs"], ["runs", "stop"], ["clips", "list"], ["listen"]])
def test_other_numbers_show_their_range_in_the_same_way(words: list[str]) -> None:
    shown = help_text(*words)
    assert re.search(r"\[at least \d+; default: \d+\]", shown)
    assert not re.search("<=|>=|RANGE", shown)


@pytest.mark.parametrize("stage", [stage for stage in ALL if any(each.required for each in stage.arguments)])
def test_a_missing_required_argument_is_wrong_use(tmp_path: Path, stage: Stage) -> None:
    done = builders.fishtui(stage.name, "--json", cwd=builders.project(tmp_path).root)
    assert (done.returncode, error_in(done.stdout)["code"]) == (2, "usage")


@pytest.mark.parametrize("stage", ALL)
def test_the_help_of_a_stage_describes_its_arguments(stage: Stage) -> None:
    shown = help_text(stage.name)
    assert all(each.help.split("(")[0].strip() in shown for each in stage.arguments)
