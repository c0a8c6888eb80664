"""The report: one valid HTML file that loads nothing, with every text escaped and its size bounded."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
import soundfile

from fishtui.evaluation.page import SCRIPT, STYLE
from fishtui.evaluation.ranking import lines_worst_first, worst_first
from fishtui.evaluation.record import EvaluationWriter, read_evaluation
from fishtui.evaluation.report import Report, build_report, real_recordings, write_report
from fishtui.evaluation.sounds import embed
from fishtui.evaluation.table import build_table
from fishtui.evaluation.verdict import judge_table
from tests.builders import tone, write_clip
from tests.evaluation.builders import LINES, evaluated, outcomes, record
from tests.expecting import failing

VOID = {"meta", "input", "br"}


class Checker(HTMLParser):
    """Reads a page, and fails for tags that are not closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))
        assert len(dict(attributes)) == len(attributes)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "script") and data.strip():
            self.texts.append(data.strip())


def report(results: Path, limit: int = 10_000_000) -> Report:
    evaluation = read_evaluation(results)
    verdict = judge_table(build_table(evaluation, {100: 1.5, 200: 1.2}))
    return build_report(evaluation, verdict, real_recordings(results / "data", ".lab"), limit)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("voice")
    write_clip(folder / "data/anna/01.wav", "The first line.", tone(0.3))
    evaluated(folder, {"base": 0.3, 100: 0.29, 200: 0.6}, sounds=True)
    with EvaluationWriter(folder) as writer:
        failures = [("not-stopped", 'cut off at "<script>"'), ("loop", "")]
        adapter = read_evaluation(folder).adapter(100)
        writer.write(record(100, LINES[4], outcomes(0.3, 90.0, failures), adapter=adapter))
    return folder


def test_the_page_is_valid_and_loads_nothing(results: Path) -> None:
    page = Checker(report(results).html)
    for tag, attributes in page.tags:
        assert tag not in ("link", "iframe", "object", "embed", "img", "base", "form")
        for name, value in attributes.items():
            assert not name.startswith("on")
            assert name != "style"
            if name in ("src", "href"):
                assert value.startswith("data:audio/")
    assert "http" not in re.sub(r'http-equiv|src="data:[^"]*"', "", report(results).html)
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(set(ids)) == len(ids) == len(LINES)
    policy = next(each["content"] for _, each in page.tags if "http-equiv" in each)
    assert policy.startswith("default-src 'none'")
    assert "media-src data:" in policy
    assert "url(" not in STYLE + SCRIPT
    assert sum(tag == "h1" for tag, _ in page.tags) == 1


def test_the_page_has_the_table_the_verdict_and_every_line(results: Path) -> None:
    page = Checker(report(results).html)
    joined = "\n".join(page.texts)
    for text in ("step 200 (recommended)", "base model", "1.200", "The first line.", "onnxruntime not installed"):
        assert text in joined
    assert all(line.kind.replace("-", " ") in joined for line in LINES)
    rows = [attributes for tag, attributes in page.tags if tag == "tr"]
    assert len(rows) == 4
    audios = [each for tag, each in page.tags if tag == "audio"]
    assert len(audios) == 3 * len(LINES) + 1
    content = base64.b64decode(audios[-1]["src"].partition(",")[2])
    assert soundfile.info(io.BytesIO(content)).duration == pytest.approx(0.2, abs=0.01)


def test_the_worst_line_comes_first_with_its_reasons(results: Path) -> None:
    evaluation = read_evaluation(results)
    assert lines_worst_first(evaluation)[0] == LINES[4].id
    ranked = worst_first(evaluation, 100)
    assert ranked[0][0].line == LINES[4]
    assert "not stopped" in ranked[0][1]
    assert 'heard: "tree fore"' in ranked[0][1]
    # Errors rise with the number of the line, and the first has none.
    assert [each.line for each, _ in ranked[1:]] == [line for line in reversed(LINES) if line != LINES[4]]
    assert ranked[-1][1] == ""
    page = Checker(report(results).html)
    first = next(attributes["id"] for tag, attributes in page.tags if tag == "article")
    assert first == f"line-{LINES[4].id}"
    assert any('cut off at "<script>"' in text for text in page.texts)


def test_texts_are_escaped_and_controls_shown(results: Path) -> None:
    html = report(results).html
    assert "<b>Second" not in html
    assert "&lt;b&gt;Second&lt;/b&gt; &amp; \\u202eline" in html
    assert html.count("<script>") == 1
    assert "\u202e" not in html


def test_a_hostile_name_and_text_stay_text(tmp_path: Path) -> None:
    folder = tmp_path / "<img src=x onerror=alert(1)>\"'"
    folder.mkdir()
    evaluated(folder, {"base": 0.3, 100: 0.6})
    found = report(folder)
    page = Checker(found.html)
    assert not any(tag == "img" for tag, _ in page.tags)
    # No recording was written.
    assert "30 recordings" not in page.texts
    assert any("20 recordings cannot be read" in remark for remark in found.remarks)


def test_the_size_is_bounded_and_it_is_stated(results: Path) -> None:
    whole = report(results)
    assert whole.remarks == ()
    assert "FLAC" in whole.html
    small = report(results, limit=len(whole.html) // 3)
    assert "MP3" in small.html
    assert small.remarks == ()
    least = report(results, limit=30_000)
    assert len(least.html) < 30_000 + 40_000
    assert any("left out" in remark for remark in least.remarks)
    articles = sum(tag == "article" for tag, _ in Checker(least.html).tags)
    assert 0 < articles < len(LINES)
    Checker(report(results, limit=0).html)


def test_damaged_recordings_are_counted(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    write_clip(tmp_path / "b.wav", None, tone(0.1))
    found = embed([[tmp_path / "a.wav", tmp_path / "b.wav"], [tmp_path / "c.wav"]])
    assert list(found.urls) == [tmp_path / "b.wav"]
    assert list(found.unreadable) == [tmp_path / "a.wav", tmp_path / "c.wav"]
    assert found.left_out == 0


def test_an_empty_evaluation_has_a_page(tmp_path: Path) -> None:
    Checker(report(tmp_path).html)


def test_a_report_is_written_completely_or_not_at_all(results: Path, tmp_path: Path) -> None:
    evaluation = read_evaluation(results)
    verdict = judge_table(build_table(evaluation, {}))
    written = write_report(tmp_path / "report.html", evaluation, verdict, lambda line: None)
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == written.html
    with failing("cannot-write"):
        write_report(tmp_path / "report.html" / "x.html", evaluation, verdict, lambda line: None)
