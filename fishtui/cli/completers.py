"""Shell completion of values that a project knows: filters, clips, trainings and runs. An error completes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from fishtui.catalog.store import Catalog
    from fishtui.project import Project

MOST = 100


def filter_terms(context: click.Context, parameter: click.Parameter, typed: str) -> list[str]:
    """Complete the last term of a filter: fields, choices, speakers and tags."""
    from fishtui.catalog.completion import completions, read_vocabulary
    from fishtui.errors import FishtuiError

    try:
        with _catalog() as catalog:
            return list(completions(typed, read_vocabulary(catalog)))[:MOST]
    except FishtuiError:
        return []


def clip_names(context: click.Context, parameter: click.Parameter, typed: str) -> list[str]:
    """Complete the name of a clip."""
    from fishtui.catalog.store import stored
    from fishtui.errors import FishtuiError

    try:
        with _catalog() as catalog:
            # Between the text itself and the text with the highest character behind it, so that the index serves.
            rows = catalog.query(
                "SELECT name FROM clips WHERE gone IS NULL AND name BETWEEN CAST(? AS TEXT) AND CAST(? AS TEXT)"
                " ORDER BY name LIMIT ?",
                (stored(typed), stored(f"{typed}\U0010ffff"), MOST),
            )
            return [row["name"] for row in rows]
    except FishtuiError:
        return []


def training_names(context: click.Context, parameter: click.Parameter, typed: str) -> list[str]:
    """Complete the name of a training that has checkpoints."""
    from fishtui.errors import FishtuiError
    from fishtui.results.trainings import named

    try:
        return [each for each in named(_project().results) if each.startswith(typed)][:MOST]
    except FishtuiError:
        return []


def evaluated_trainings(context: click.Context, parameter: click.Parameter, typed: str) -> list[str]:
    """Complete the name of a training that has an evaluation."""
    from fishtui.errors import FishtuiError
    from fishtui.evaluation.record import evaluated_names

    try:
        return [each for each in evaluated_names(_project().results) if each.startswith(typed)][:MOST]
    except FishtuiError:
        return []


def evaluated_steps(context: click.Context, parameter: click.Parameter, typed: str) -> list[str]:
    """Complete a step that the training `name` has evaluated, or `base`, without a step given before."""
    from fishtui.errors import FishtuiError
    from fishtui.evaluation.record import read_evaluation
    from fishtui.results.checkpoints import check_name

    name = str(context.params.get("name", ""))
    try:
        check_name(name)
        steps = read_evaluation(_project().results / name).steps
    except FishtuiError:
        return []
    return [str(each) for each in steps if str(each).startswith(typed) and each not in context.params.values()][:MOST]


def run_names(context: click.Context, parameter: click.Parameter, typed: str) -> list[str]:
    """Complete the id of a run, the newest first."""
    from fishtui.errors import FishtuiError
    from fishtui.runs.state import list_run_ids

    try:
        return ["last", *[each for each in reversed(list_run_ids(_project())) if each.startswith(typed)]][:MOST]
    except FishtuiError:
        return []


def _project() -> Project:
    from fishtui.project import Project, working_folder

    return Project.find(working_folder())


@contextmanager
def _catalog() -> Iterator[Catalog]:
    from fishtui.catalog.store import Catalog
    from fishtui.errors import MisuseError
    from fishtui.settings import load

    project = _project()
    if not project.catalog.exists():
        raise MisuseError(f"{project.root}: no catalog yet", "Run `fishtui scan`.", code="no-catalog")
    with Catalog(project, project.path(load(project.settings_file).values.paths.data)) as catalog:
        yield catalog
