from __future__ import annotations

import subprocess
import sys

import pytest

from fishtui.checks.facts import ClipFacts
from fishtui.checks.registry import CHECKS
from fishtui.checks.runner import basis, clip_findings, enabled
from fishtui.errors import MisuseError
from fishtui.settings import CheckSettings, ExtractSettings, NormalizeSettings, Settings

FACTS = ClipFacts(name="anna/a", speaker="anna", files=("a.wav", "a.mp3"), text="12 {x}\n$", text_mark=True)


def test_all_findings_are_collected_in_the_order_of_the_registry() -> None:
    codes = [finding.code for finding in clip_findings(FACTS, Settings())]
    wanted = {"shared-stem", "several-lines", "byte-order-mark", "codes-missing", "altered-text", "digits", "symbols"}
    assert codes == [code for code in CHECKS if code in wanted]


def test_checks_can_be_disabled() -> None:
    settings = Settings(checks=CheckSettings(ignore=("digits", "rate-outlier")))
    codes = {finding.code for finding in clip_findings(FACTS, settings)}
    assert codes == {finding.code for finding in clip_findings(FACTS, Settings())} - {"digits"}
    assert enabled(settings.checks) == set(CHECKS) - {"digits", "rate-outlier"}


def test_an_unknown_code_is_refused_with_a_suggestion() -> None:
    settings = Settings(checks=CheckSettings(ignore=("cliped",)))
    with pytest.raises(MisuseError) as caught:
        clip_findings(FACTS, settings)
    assert caught.value.code == "unknown-check"
    assert "cliped" in caught.value.problem
    assert "clipped" in caught.value.remedy


def test_findings_depend_on_limits_and_loudness_target_only() -> None:
    assert basis(Settings()) == basis(Settings(extract=ExtractSettings(batch_size=3)))
    assert basis(Settings()) != basis(Settings(checks=CheckSettings(min_snr=3)))
    assert basis(Settings()) != basis(Settings(normalize=NormalizeSettings(loudness=-20)))


def test_judging_does_not_import_numpy_or_soundfile() -> None:
    script = """
import sys
import fishtui.checks.runner
heavy = {"numpy", "scipy", "soundfile", "torch"} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", script], check=True)
