from __future__ import annotations

import re

from fishtui.checks.runner import PER_CLIP
from fishtui.checks.table import CHECKS, Finding, Severity, shortened


def test_every_check_says_what_it_means_and_what_to_do() -> None:
    for code, check in CHECKS.items():
        assert check.code == code
        assert re.fullmatch(r"[a-z]+(-[a-z0-9]+)*", code)
        assert check.meaning
        assert not check.meaning.endswith(".")
        assert check.remedy.endswith(".")


def test_every_check_of_single_clips_is_in_the_table_and_in_its_order() -> None:
    assert list(PER_CLIP) == [code for code in CHECKS if code in PER_CLIP]
    assert set(CHECKS) - set(PER_CLIP) == {
        "foreign-script",
        "rate-outlier",
        "duplicate-audio",
        "similar-transcript",
        "little-audio",
    }


def test_severities_rise() -> None:
    assert Severity.INFO < Severity.WARNING < Severity.ERROR
    assert Finding("silent", "").severity is Severity.ERROR


def test_long_text_is_cut() -> None:
    assert shortened("x" * 60) == "x" * 60
    assert shortened("x" * 61) == "x" * 59 + "…"
