from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fishtui.codehash import PACKAGE
from fishtui.errors import FishtuiError, MisuseError
from fishtui.judges import registry
from fishtui.judges.needs import Needs, Package, Weights
from fishtui.judges.registry import JUDGES, Judgement, all_failures, all_figures, assess, available, cache_key, judge
from fishtui.settings import EvaluateSettings
from tests.expecting import failing
from tests.judges.material import clip, setup, silence, voice

ABSENT = Package("no_such_module", "no-such-package")


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Register a judge `own` that needs a file in the folder."""
    monkeypatch.setattr(registry, "JUDGES", dict(JUDGES))
    weights = Weights(tmp_path, (("a.bin", "b.bin"),), "owner/own")

    @judge("own", "1", "a test", needs=lambda setup: Needs((), weights), options=("recognizer",))
    def run(spoken, voice, setup):
        return Judgement({"own": 1.0})

    # The module of a test has no code in the package.
    registry.JUDGES["own"] = _changed(registry.JUDGES["own"], "code", ("judges/registry.py",))
    return tmp_path


def test_settings_name_all_judges_in_their_order() -> None:
    assert sorted(EvaluateSettings().judges) == sorted(JUDGES)
    assert {each.name for each in available(setup())} == JUDGES.keys()


def test_each_figure_belongs_to_one_judge_and_has_a_meaning() -> None:
    names = [figure.name for each in JUDGES.values() for figure in each.figures]
    assert len(names) == len(set(names))
    assert all(figure.meaning and figure.better in ("higher", "lower", "") for figure in all_figures().values())
    assert all(all_failures().values())


def test_the_code_that_figures_depend_on_exists() -> None:
    assert [name for each in JUDGES.values() for name in each.code if not (PACKAGE / name).is_file()] == []


def test_an_unknown_judge_is_refused() -> None:
    with failing("unknown-judge", MisuseError) as caught:
        assess("quallity", clip("lj-0"), voice("lj"), setup())
    assert "quality" in caught.value.remedy


def test_a_missing_judge_is_reported_with_what_to_download(own: Path) -> None:
    with failing("missing-judge") as caught:
        assess("own", clip("lj-0"), voice("lj"), setup())
    assert "a.bin" in caught.value.problem
    assert "fishtui download --judge own" in caught.value.remedy
    (own / "b.bin").write_bytes(b"weights")
    assert assess("own", clip("lj-0"), voice("lj"), setup()).figures == {"own": 1.0}


def test_only_failures_are_judged_without_sound(own: Path) -> None:
    (own / "a.bin").write_bytes(b"weights")
    assert assess("own", silence(), voice("lj"), setup()) == Judgement()
    assert [each.code for each in assess("failures", silence(), voice("lj"), setup()).failures] == ["no-speech"]


def test_the_key_changes_with_version_settings_and_weights(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def key(**settings: str) -> str:
        return cache_key("own", setup(**settings))

    (own / "a.bin").write_bytes(b"weights" * 1_000_000)
    first = key()
    assert key() == first
    assert key(similarity="wavlm") == first
    keys = {first, key(recognizer="pocketsphinx")}
    (own / "a.bin").write_bytes(b"weights" * 999_999 + b"Weights")
    keys.add(key())
    for field, value in (("version", "2"), ("code", ("judges/needs.py",))):
        with monkeypatch.context() as context:
            context.setitem(registry.JUDGES, "own", _changed(registry.JUDGES["own"], field, value))
            keys.add(key())
    assert len(keys) == 5


def _changed(found: registry.Judge, field: str, value: object) -> registry.Judge:
    return replace(found, **{field: value})


def test_missing_packages_are_named_with_their_commands() -> None:
    installed = Package("numpy", "numpy")
    assert Needs((installed,)).missing() is None
    assert installed.version == np.__version__
    problem, remedy = Needs((installed, ABSENT, Package("no_other", "other"))).missing() or ("", "")
    assert "numpy" not in problem
    assert "pip install no-such-package other" in remedy


def test_a_repository_without_the_files_is_refused() -> None:
    weights = Weights(Path("x"), (("a.bin", "b.bin"), ("config.json",)), "owner/name")
    assert weights.to_download("owner/name", ["README.md", "b.bin", "config.json"]) == ["b.bin", "config.json"]
    with failing("no-judge-in-repository", FishtuiError):
        weights.to_download("owner/name", ["config.json"])


def test_a_missing_recognizer_of_the_settings_is_named(tmp_path: Path) -> None:
    states = {}
    for recognizer in ("faster-whisper:tiny", "faster-whisper:own/model", "faster-whisper:./folder", "ctc:digits.bin"):
        states[recognizer] = next(
            each for each in available(setup(tmp_path, recognizer=recognizer)) if each.name == "intelligibility"
        )
    assert not any(state.is_ready for state in states.values())
    assert all(state.problem and state.remedy and state.source for state in states.values())
