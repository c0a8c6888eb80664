"""Values that a run computes and another one reads are stored as precisely as they are used.

Otherwise a repetition, which reads them, could decide otherwise than the run that computed them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fishtui.audio.measure import Measurements
from fishtui.catalog.cuts import Cut, cut_of, identify, record_cuts
from fishtui.catalog.scores import Loss, read_losses, store_losses
from fishtui.catalog.store import Catalog
from fishtui.evaluation.lines import HELD_OUT, Line
from fishtui.evaluation.record import EvaluationWriter, Outcome, new_record, read_evaluation
from fishtui.reading import parse_json
from fishtui.results.checkpoints import checkpoint_path, list_checkpoints, write_losses
from fishtui.runs.events import EventWriter, read_events
from fishtui.settings import Settings, load
from fishtui.settings.file import change
from tests.builders import project

# Of any sign and size, also those that no short decimal has.
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
POSITIVE = st.floats(min_value=1e-9, max_value=1.0, exclude_max=True)
LINE = Line(kind=HELD_OUT, text="A line.", speaker="anna")


@pytest.fixture(scope="module")
def catalog() -> Iterator[Catalog]:
    with tempfile.TemporaryDirectory() as folder:
        made = project(Path(folder))
        (made.root / "data").mkdir()
        with Catalog(made, made.root / "data") as opened:
            yield opened


def as_measurements(value: float, catalog: Catalog, folder: Path) -> Any:
    numbers = {each.name: value for each in fields(Measurements) if "float" in str(each.type)}
    found = parse_json(msgspec.json.encode(Measurements(**numbers)), dict[str, Any])
    return {found[name] for name in numbers}


def as_cut(value: float, catalog: Catalog, folder: Path) -> Any:
    (folder / "recording").touch()
    source = identify(folder / "recording", value)
    record_cuts(catalog, source, [(repr(value), Cut(source.hash, value, value))])
    cut = cut_of(catalog, repr(value))
    assert cut is not None
    return {catalog.value("SELECT seconds FROM sources WHERE hash = ?", (source.hash,)), cut.start, cut.end}


def as_loss(value: float, catalog: Catalog, folder: Path) -> Any:
    store_losses(catalog, Settings(), "model", [Loss("codes", "text", value, "other", value)], [])
    found = read_losses(catalog, "model")["codes", "text"]
    return {found.loss, found.other_loss}


def as_figure(value: float, catalog: Catalog, folder: Path) -> Any:
    judged = {"judge": Outcome(version="1", figures={"figure": value})}
    with EvaluationWriter(folder) as writer:
        writer.write(
            new_record(1, LINE, with_reference=False, seconds=1.0, stopped=True, recipe="", adapter="", judges=judged)
        )
    (found,) = read_evaluation(folder).spoken.values()
    return {found.judges["judge"].figures["figure"]}


def as_validation_loss(value: float, catalog: Catalog, folder: Path) -> Any:
    path = checkpoint_path(folder, 1)
    path.touch()
    write_losses(path, value, value)
    (found,) = list_checkpoints(folder)
    return {found.train_loss, found.validation_loss}


def as_metric(value: float, catalog: Catalog, folder: Path) -> Any:
    writer = EventWriter(folder / "events.jsonl")
    writer.write("metric", step=1, values={"learning_rate": value})
    writer.close()
    *_, found = read_events(folder / "events.jsonl")
    return {found["values"]["learning_rate"]}


@pytest.mark.parametrize("stored", [as_measurements, as_cut, as_loss, as_figure, as_validation_loss, as_metric])
@settings(max_examples=20)
@given(value=NUMBERS)
def test_a_number_is_read_unchanged(
    stored: Callable[[float, Catalog, Path], Any], value: float, catalog: Catalog
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        assert stored(value, catalog, Path(folder)) == {value}


@settings(max_examples=20)
@given(value=POSITIVE)
def test_a_setting_is_read_unchanged(value: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = project(Path(folder)).settings_file
        change(file, "train.dropout", repr(value))
        assert load(file, {}).values.train.dropout == value
