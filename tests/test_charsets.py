"""The encoding of texts that are not UTF-8, and texts that were read in a wrong encoding."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fishtui.catalog.scan import scan
from fishtui.catalog.store import Catalog
from fishtui.charsets import ENCODINGS, MOST_BYTES, describe_encoding, guess
from fishtui.checks.facts import ClipFacts
from fishtui.checks.misdecoded import undo_wrong_reading
from fishtui.checks.registry import repair_for
from fishtui.checks.runner import clip_findings
from fishtui.dataset import clip_named, read_transcript
from fishtui.errors import DataError
from fishtui.runs.reporter import Reporter
from fishtui.settings import Settings
from tests import languages
from tests.builders import project, write_clip
from tests.expecting import failing
from tests.importers.builders import recording, run

# Two letters or less, or capitals only: several encodings are as likely.
SHORT = {"МОСКВА", "ΑΘΗΝΑ", "Æð", "Äpfel"}
# Rare encodings, whose text may look like that of another one.
RARE = {"mac_cyrillic", "mac_roman", "cp850"}
LEGACY = [
    (encoding, text)
    for language, encodings in languages.ENCODINGS.items()
    for encoding in encodings
    for text in languages.SENTENCES[language]
    if text not in SHORT and not text.isascii() and text == text.encode(encoding, "ignore").decode(encoding)
]
# Latin letters of the East of Europe and of the Baltic differ from those of the West in few bytes.
SIMILAR = {"iso8859_2", "cp1250", "iso8859_16", "cp1254", "cp1257"}


def shown_as(content: bytes, wrong: str) -> str:
    """Return bytes as a wrong encoding shows them; those without a character become control characters."""
    read = [bytes([byte]).decode(wrong, "replace") for byte in content]
    return "".join(chr(byte) if each == "\ufffd" else each for byte, each in zip(content, read, strict=True))


@pytest.mark.parametrize("encoding", sorted({encoding for encoding, _ in LEGACY}))
def test_the_encoding_of_a_sentence_is_guessed(encoding: str) -> None:
    texts = [text for each, text in LEGACY if each == encoding]
    wrong = [text for text in texts if text not in [each.text for each in guess(text.encode(encoding))]]
    assert len(wrong) <= (encoding in RARE) * len(texts) // 4, wrong


@pytest.mark.parametrize("wrong", ["cp1252", "latin-1"])
def test_a_text_that_was_read_in_a_wrong_encoding_is_found(wrong: str) -> None:
    for encoding, text in LEGACY:
        if encoding in RARE | SIMILAR | {"cp1252", "latin1"} or len(text) < 2:
            continue
        found = undo_wrong_reading(shown_as(text.encode(encoding), wrong))
        assert text in [each.text for each in found], (encoding, text)


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        ("ÐÏÇÏÄÁ", "погода"),
        ("ÖÐÎÄºÍÓ¢ÎÄ", "中文和英文"),
        ("Za¿ó³æ gêœl¹ jaŸñ.", "Zażółć gęślą jaźń."),
        ("Øîêîëàä", "Шоколад"),
        ("рТЙЧЕФ, ЛБЛ ДЕМБ?", "Привет, как дела?"),
        ("GrцЯe und Ьbermut", "Größe und Übermut"),
        ("‚±‚ñ‚É‚¿‚Í", "こんにちは"),
        ("¾È³çÇÏ¼¼¿ä", "안녕하세요"),
    ],
)
def test_the_repair_restores_the_letters(tmp_path: Path, shown: str, text: str) -> None:
    facts = ClipFacts(name="anna/a", speaker="anna", files=("a.wav",), text=shown, codes="given")
    assert "wrong-encoding" in {each.code for each in clip_findings(facts, Settings())}
    path = write_clip(tmp_path / "anna" / "a1.wav", shown).with_suffix(".lab")
    assert repair_for("wrong-encoding")(clip_named(tmp_path, "anna/a1"), Settings()) == {path: text.encode()}


def test_letters_that_two_encodings_explain_are_not_repaired(tmp_path: Path) -> None:
    assert "中文" in [each.text for each in undo_wrong_reading("ÖÐÎÄ")]
    shown = "МОСКВА".encode("koi8_r").decode("latin-1")
    assert len(undo_wrong_reading(shown)) > 1
    write_clip(tmp_path / "anna" / "a1.wav", shown)
    with failing("unknown-encoding", DataError):
        repair_for("wrong-encoding")(clip_named(tmp_path, "anna/a1"), Settings())


@pytest.mark.parametrize("language", languages.SENTENCES)
def test_ordinary_sentences_are_not_taken_for_wrongly_read_ones(language: str) -> None:
    texts = [*languages.SENTENCES[language], " ".join(languages.SENTENCES[language])]
    assert [text for text in texts if undo_wrong_reading(text) or undo_wrong_reading(text.upper())] == []


def test_a_long_text_is_restored_to_its_end(tmp_path: Path) -> None:
    text = " ".join(languages.SENTENCES["ru"]) * 20
    assert len(text) > MOST_BYTES
    assert undo_wrong_reading(text.encode("koi8_r").decode("latin-1"))[0].text == text
    assert guess(text.encode("cp1251"))[0].name == "WINDOWS-1251"


def test_bytes_without_text_have_no_encoding() -> None:
    assert describe_encoding(bytes(range(128, 256)) * 3) == ""


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_iconv_knows_the_names(encoding: str) -> None:
    texts = [text for each, text in LEGACY if each == encoding] or ["Hello"]
    content = "\n".join(texts).encode(encoding)
    done = subprocess.run(["iconv", "-f", ENCODINGS[encoding][0], "-t", "UTF-8"], input=content, capture_output=True)
    assert done.stdout.decode().splitlines() == texts


def test_a_transcript_that_is_not_utf8_has_its_likely_encoding_in_finding_and_error(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "data" / "anna" / "a.wav", None).with_suffix(".lab")
    path.write_bytes("Привет, как дела?\n".encode("koi8_r"))
    with failing("not-utf8", DataError) as caught:
        read_transcript(path)
    assert "KOI8-R (Привет, как дела?): iconv -f KOI8-R -t UTF-8" in caught.value.problem
    found = project(tmp_path)
    with Catalog(found, tmp_path / "data") as catalog:
        scan(catalog, Settings(), Reporter())
        [(detail,)] = catalog.query("SELECT detail FROM findings WHERE code = 'not-utf8'")
    assert "iconv -f KOI8-R" in detail
    with failing("unknown-encoding", DataError) as caught:
        repair_for("not-utf8")(clip_named(tmp_path / "data", "anna/a"), Settings())
    assert "KOI8-R" in caught.value.problem


@pytest.mark.parametrize(
    ("language", "encoding"), [("ru", "koi8_r"), ("zh", "gbk"), ("ja", "cp932"), ("ko", "euc_kr"), ("fr", "cp1252")]
)
@pytest.mark.parametrize("header", ["", "audio|text\n"])
def test_a_table_in_another_encoding_is_refused_whole(
    tmp_path: Path, language: str, encoding: str, header: str
) -> None:
    texts = languages.SENTENCES[language]
    for number in range(len(texts)):
        recording(tmp_path / "in" / "wavs" / f"{number}.wav")
    table = tmp_path / "in" / "metadata.csv"
    table.write_bytes((header + "".join(f"{number}|{text}\n" for number, text in enumerate(texts))).encode(encoding))
    with failing("not-utf8", DataError) as caught:
        run(tmp_path, table)
    assert " ".join(caught.value.problem.split()).endswith(")")
    command = caught.value.remedy.split("`")[1]
    subprocess.run(command, shell=True, check=True, cwd=tmp_path / "in")
    assert run(tmp_path, tmp_path / "in" / "metadata.utf8.csv").done == len(texts)
    written = {path.read_text() for path in (tmp_path / "data").rglob("*.lab")}
    assert {text.strip() for text in written} == set(texts)


@settings(max_examples=30)
@given(st.binary(max_size=80), st.text(max_size=40))
def test_any_bytes_and_any_text_have_an_answer(content: bytes, text: str) -> None:
    describe_encoding(content)
    for each in undo_wrong_reading(text):
        assert each.text != text
