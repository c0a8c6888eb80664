"""The registry of checks: each is declared once, and everything else derives from the declaration."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from fishtui.catalog.scan import scan
from fishtui.catalog.store import Catalog
from fishtui.checks.registry import CHECKS, WARNING, Finding, Severity, check, codes_of, fixable, repair_for
from fishtui.errors import PARTIAL, MisuseError
from fishtui.runs.reporter import Reporter
from fishtui.settings import Settings
from tests.builders import project, write_clip
from tests.expecting import failing

ADDED = '''
import sys
from fishtui.checks.registry import ERROR, check

def remove_transcript(clip, settings):
    """Remove the transcript."""
    return {clip.transcript: None}

@check("swearing", ERROR, "The voice learns to swear.", "Reject the clip.", fix=remove_transcript)
def swearing(facts, settings):
    return "damn" if "damn" in (facts.text or "") else None

from fishtui.cli.main import run
sys.exit(run(sys.argv[1:]))
'''


@pytest.mark.parametrize("code", CHECKS)
def test_a_check_has_a_meaning_and_a_remedy_of_one_sentence_each(code: str) -> None:
    assert CHECKS[code].code == code
    assert re.fullmatch(r"[a-z]+(-[a-z0-9]+)*", code)
    for sentence in (CHECKS[code].meaning, CHECKS[code].remedy):
        assert re.fullmatch(r"[A-Z]([^.]|\.lab)*\.", sentence), sentence


def test_checks_are_listed_by_their_scope() -> None:
    assert list(CHECKS) == codes_of("clip", "group", "speaker")
    assert codes_of("group") == [
        "speaker-label",
        "foreign-script",
        "rate-outlier",
        "duplicate-audio",
        "similar-transcript",
        "unlikely-transcript",
    ]
    assert codes_of("speaker") == ["shared-speaker-name", "joined-folders", "little-audio"]


def test_a_code_is_declared_once() -> None:
    with pytest.raises(ValueError, match="silent"):
        check("silent", WARNING, "Twice.", "Rename it.")(lambda facts, settings: None)


def test_severities_are_ordered() -> None:
    assert Severity.INFO < Severity.WARNING < Severity.ERROR
    assert Finding("silent", "").severity is Severity.ERROR


def test_repairs_are_those_that_checks_declare() -> None:
    texts = {
        "speaker-label",
        "html-entities",
        "time-codes",
        "table-row",
        "double-encoded",
        "wrong-encoding",
        "utf-16",
        "not-utf8",
        "decomposed-text",
    }
    assert set(fixable()) == {"stereo", "silence-at-ends", "loudness", "byte-order-mark", "wrong-extension"} | texts
    assert all(repair_for(code) is CHECKS[code].fix for code in fixable())
    with failing("no-repair", MisuseError):
        repair_for("noisy")
    with pytest.raises(MisuseError) as caught:
        repair_for("stero")
    assert caught.value.code == "unknown-check"
    assert "stereo" in caught.value.remedy


def run_with_added_check(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", ADDED, *arguments], cwd=root, capture_output=True, text=True, check=False
    )


def test_a_declaration_is_all_that_a_new_check_needs(tmp_path: Path) -> None:
    found = project(tmp_path)
    write_clip(tmp_path / "data" / "anna" / "a.wav", "Well damn it.")
    assert re.search(r"swearing +error", run_with_added_check(tmp_path, "validate", "--help").stdout)
    assert "swearing" in run_with_added_check(tmp_path, "clips", "fix", "--help").stdout

    validated = run_with_added_check(tmp_path, "validate", "--json")
    assert validated.returncode == PARTIAL, validated.stderr
    assert json.loads(validated.stdout)["summary"]["swearing"]["meaning"] == "The voice learns to swear."
    listed = run_with_added_check(tmp_path, "clips", "list", "finding:swearing", "--json")
    assert '"anna/a"' in listed.stdout
    ignored = run_with_added_check(tmp_path, "validate", "--json", "--set", 'checks.ignore=["swearing"]')
    assert "swearing" not in ignored.stdout
    run_with_added_check(tmp_path, "validate")

    assert run_with_added_check(tmp_path, "clips", "fix", "swearing", "--json").returncode == 0
    assert not (tmp_path / "data" / "anna" / "a.lab").exists()
    with Catalog(found, tmp_path / "data") as catalog:
        assert catalog.value("SELECT count(*) FROM findings WHERE code = 'swearing'") == 0


def test_findings_of_a_removed_check_are_removed(tmp_path: Path) -> None:
    found = project(tmp_path)
    write_clip(tmp_path / "data" / "anna" / "a.wav", "Well damn it.")
    run_with_added_check(tmp_path, "validate")
    with Catalog(found, tmp_path / "data") as catalog:
        assert "swearing" in catalog.value("SELECT found FROM clips")
        catalog.connection.execute("UPDATE meta SET value = 'other code' WHERE key = 'limits'")
        scan(catalog, Settings(), Reporter())
        assert "swearing" not in catalog.value("SELECT found FROM clips")
        assert catalog.value("SELECT count(*) FROM findings WHERE code = 'swearing'") == 0
