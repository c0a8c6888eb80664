from __future__ import annotations

from typing import Any

import pytest

from fishtui.checks.facts import ClipFacts
from fishtui.checks.registry import Severity
from fishtui.checks.runner import clip_findings
from fishtui.settings import Settings

TEXT: dict[str, Any] = {"text": "Hello there."}
AUDIO: dict[str, Any] = {"files": ("a.wav",)}
NO_TEXT: dict[str, Any] = {"text_fault": "missing-transcript"}


def found(**facts: Any) -> dict[str, str]:
    findings = clip_findings(ClipFacts(name="anna/a", speaker="anna", **facts), Settings())
    return {finding.code: finding.detail for finding in findings}


@pytest.mark.parametrize(
    ("code", "bad", "good"),
    [
        ("shared-stem", {"files": ("a.mp3", "a.wav"), **TEXT}, {**AUDIO, **TEXT}),
        ("missing-audio", TEXT, {**TEXT, **AUDIO}),
        ("missing-audio", {**NO_TEXT, "codes": "given"}, {**TEXT, "codes": "given"}),
        ("missing-audio", {**TEXT, "codes": "invalid"}, {**TEXT, "codes": "stale"}),
        ("audio-gone", {**TEXT, "codes": "current"}, {**TEXT, **AUDIO, "codes": "current"}),
        ("missing-transcript", {**AUDIO, **NO_TEXT}, {**AUDIO, **TEXT}),
        ("missing-transcript", {**AUDIO, **NO_TEXT}, {**NO_TEXT, "codes": "given"}),
        ("two-transcripts", {**AUDIO, **TEXT, "other_text": "a.LAB"}, {**AUDIO, **NO_TEXT, "other_text": "a.txt"}),
        ("unreadable-transcript", {**AUDIO, "text_fault": "unreadable-transcript"}, {**AUDIO, **TEXT}),
        ("not-utf8", {**AUDIO, "text_fault": "not-utf8"}, {**AUDIO, **TEXT}),
        ("empty-transcript", {**AUDIO, "text": " \n"}, {**AUDIO, "text": "…"}),
        ("empty-transcript", {**AUDIO, "text": "{sighs} <br> 😀"}, {**AUDIO, "text": "{sighs} oh"}),
        ("several-lines", {**AUDIO, "text": "One.\nTwo.\n"}, {**AUDIO, "text": "\nOne. Two.\n\n"}),
        ("several-lines", {**AUDIO, "text": "One.\u2028Two."}, {**AUDIO, "text": "One.\tTwo."}),
        ("byte-order-mark", {**AUDIO, **TEXT, "text_mark": True}, {**AUDIO, **TEXT}),
        (
            "codes-invalid",
            {**AUDIO, **TEXT, "codes": "invalid", "codes_problem": "3 rows"},
            {**AUDIO, **TEXT, "codes": "given"},
        ),
        ("codes-stale", {**AUDIO, **TEXT, "codes": "stale"}, {**AUDIO, **TEXT, "codes": "current"}),
        ("codes-missing", {**AUDIO, **TEXT}, TEXT),
    ],
)
def test_a_finding_and_its_near_miss(code: str, bad: dict[str, Any], good: dict[str, Any]) -> None:
    assert found(**bad)[code]
    assert code not in found(**good)


def test_text_and_codes_are_enough_for_training() -> None:
    findings = clip_findings(ClipFacts(name="a", speaker="", codes="given", **TEXT), Settings())
    assert [(finding.code, finding.severity) for finding in findings] == [("audio-gone", Severity.INFO)]


def test_details_name_the_files_found() -> None:
    assert found(**TEXT)["missing-audio"] == "only transcript"
    detail = found(**AUDIO, **NO_TEXT, other_text="a.TXT")["missing-transcript"]
    assert "a.TXT" in detail
    assert 'pack.text_extension = ".TXT"' in detail
    assert found(**TEXT, codes="invalid")["missing-audio"] == "only transcript and codes"
    assert found(**TEXT, codes="invalid", codes_problem="3 rows")["codes-invalid"] == "3 rows"
    assert found(files=("a.mp3", "a.wav"), **TEXT)["shared-stem"] == "a.mp3, a.wav"
    assert len(found(files=("a" * 4000 + ".mp3", "a.wav"), **TEXT)["shared-stem"]) == 60
