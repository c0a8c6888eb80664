"""Transcripts that hold something other than spoken words, or words that were damaged, and their repairs."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishtui.checks.facts import ClipFacts
from fishtui.checks.misread import DOUBLE_BYTE, TYPICAL, WIDE, decode_wide, undo_double_encoding
from fishtui.checks.registry import CHECKS, WARNING, repair_for
from fishtui.checks.runner import clip_findings
from fishtui.dataset import clip_named
from fishtui.errors import DataError
from fishtui.families.registry import FAMILIES
from fishtui.settings import Settings
from tests.builders import write_clip
from tests.expecting import failing

CODES = {"no-letters", "html-entities", "time-codes", "table-row", "double-encoded", "utf-16", "decomposed-text"}
CODES |= {"control-characters", "escapes", "placeholder"}

SENTENCES = [
    "Ça va très bien, merci à vous.",
    "Größe und Übermut.",
    "don’t “quote” it",
    "naïve café",
    "Привет, как дела?",
    "今天天气很好",
    "مرحبا كيف حالك",
    "שלום עולם",
    "Tôi không biết nói gì hơn.",
    "Łódź jest piękna",
    "România își țara",
    "it costs 5 €",
    "Σήμερα είναι",
    "日本語です",
]
# Correct text in which a capital letter or a quote comes before another mark.
CORRECT = [
    *("«CAFÉ»", "CAFÉ…", "L'ÉTÉ… CAFÉ…", "Spaß…", "„KÖ“", "»Spaß«", "blessé… blessé—", "É»", "SÃO PAULO", "IRMÃ…"),
    *("à…—", "Über—", "MÄRÄ…", "AÑO…", "TRÈS… TRÈS—", "¿Qué? ¡Sí!", "Æ…Ø…", "22 °C ± 5", "Привет… «да» — нет", "ŻÓŁW"),
    *("联通", "今天天气很好", "SPÓŁKA PÓŁ RÓŻA RÓŻ", "DĹŽKA STĹP", "CĂ…", "ΤΟ ΝΕΟ «ΞΕΝΟ»", "เธอเนื้อเธอ", "я°", "ظ…"),
    *("là—là—", "é…é…", "ÀÇ", "«Ô…»", "VIỆT NAM LÀ…", "Þ…", "Ő—Ű", "√2", "В «кругу»"),
]


def found(text: str) -> dict[str, str]:
    facts = ClipFacts(name="anna/a", speaker="anna", files=("a.wav",), text=text, codes="given")
    return {each.code: each.detail for each in clip_findings(facts, Settings()) if each.code in CODES}


def repaired(tmp_path: Path, code: str, content: str | bytes) -> str:
    """Return a transcript after the repair of a finding."""
    path = write_clip(tmp_path / "anna" / "a1.wav", None).with_suffix(".lab")
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    [(changed, after)] = repair_for(code)(clip_named(tmp_path, "anna/a1"), Settings()).items()
    assert changed == path
    return after.decode()


def encoded_twice(text: str, encoding: str) -> str:
    """Return text whose UTF-8 was read in another encoding; bytes without a character become control characters."""
    shown = [bytes([byte]).decode(encoding, "replace") for byte in text.encode()]
    return "".join(chr(byte) if each == "\ufffd" else each for byte, each in zip(text.encode(), shown, strict=True))


@pytest.mark.parametrize(
    ("code", "texts"),
    [
        ("no-letters", ["...", "_", "…—", "%", "♪♪", "{laughs} ...", "- -", "?!"]),
        ("html-entities", ["Tom &amp; Jerry said &quot;hi&quot;.", "it&#39;s", "a&nbsp;b", "caf&eacute;", "&#x41;"]),
        ("escapes", ["caf\\u00e9", "one line\\n another", "caf%C3%A9", "Hello%20there", "\\xe9t\\xe9"]),
        (
            "placeholder",
            ["nan", "NaN", "None", "N/A", "#N/A", "NULL", "[inaudible]", "(unintelligible)", "[BLANK_AUDIO]"],
        ),
        ("placeholder", ["<unk>", "[Music playing]", " [noise]. "]),
        (
            "time-codes",
            [
                "[00:00.000 --> 00:04.320]  The quick brown fox jumps.",
                "1\n00:00:01,000 --> 00:00:04,000\nHello there",
                "[00:12.34] Hello",
                "[12:30] Hello",
                "[0.00s -> 4.32s] Hello",
                "(00:00:12) Hello",
                "00:00:12 Hello",
                "0:12 Hello",
                "0.000000\t4.320000\tHello",
                "0 3200000 sil",
                "Hello 00:04.320",
            ],
        ),
        ("table-row", ["LJ001-0001|Printing|Printing", "a|b|c", "a\tb", '"a1","Hello there"', "a1.wav;Hello"]),
        ("double-encoded", [encoded_twice(text, "cp1252") for text in SENTENCES]),
        ("decomposed-text", [unicodedata.normalize("NFD", text) for text in ("Größe", "hơn", "그는 괜찮은", "é")]),
    ],
)
def test_text_that_is_not_speech_is_found(code: str, texts: list[str]) -> None:
    """The cases text-not-speech and text-nfd, and others of their kind."""
    for text in texts:
        assert code in found(text), text


@pytest.mark.parametrize(
    "text",
    [
        *SENTENCES,
        *CORRECT,
        "AT&T; R&D and Q&A",
        "It is 10:30 now, and at 12:30:15 sharp it ends.",
        "He (10:30) came. The score is 3:1, then 4:2.",
        "in 2019-2020, from 3.5 - 4.5; wait",
        "٣",
        "x -> y",
        "null",
        "none of them",
        "Nan and naan",
        "It is [inaudible] here.",
        "[laughing]",
        "50%, or 20%ab; 5 % of C:\\new",
        "Hello there.\n",
    ],
)
def test_speech_is_not_taken_for_something_else(text: str) -> None:
    assert found(text) == {}


def test_all_but_composed_letters_are_warnings() -> None:
    assert {code for code in CODES if CHECKS[code].severity != WARNING} == {"decomposed-text"}


@pytest.mark.parametrize(
    ("code", "before", "after"),
    [
        ("html-entities", "Tom &amp; Jerry said &quot;hi&quot;.\n", 'Tom & Jerry said "hi".\n'),
        ("html-entities", "R&amp;amp;D", "R&D"),
        ("time-codes", "[00:00.000 --> 00:04.320]  The quick brown fox.", "The quick brown fox."),
        ("time-codes", "1\n00:00:01,000 --> 00:00:04,000\nHello there\n", "Hello there\n"),
        ("time-codes", "WEBVTT\n\n00:01.000 --> 00:04.000\nHello", "Hello"),
        ("table-row", "LJ001-0001|In the only sense|In the only sense", "In the only sense"),
        ("table-row", "wavs/a1.wav|Hello", "Hello"),
        ("table-row", '"a1","Hello there, you"', "Hello there, you"),
        ("double-encoded", "Ã‡a va trÃ¨s bien, merci Ã\xa0 vous.", "Ça va très bien, merci à vous."),
        ("decomposed-text", "Gro\u0308\u00dfe", "Größe"),
        ("utf-16", "Hello there.\n".encode("utf-16-le"), "Hello there.\n"),
        ("not-utf8", "Größe".encode("utf-16"), "Größe"),
        ("not-utf8", "Größe".encode("utf-16-be"), "Größe"),
        ("byte-order-mark", "Größe".encode("utf-16"), "Größe"),
    ],
)
def test_a_repair_leaves_the_spoken_words(tmp_path: Path, code: str, before: str | bytes, after: str) -> None:
    assert repaired(tmp_path, code, before) == after
    if isinstance(before, str):
        assert code in found(before)
    assert code not in found(after)


@pytest.mark.parametrize(
    ("code", "content", "reason"),
    [
        ("table-row", "a1|anna|Hello there", "unclear-row"),
        ("table-row", "Tom|Jerry", "unclear-row"),
        ("time-codes", "[00:12]", "no-words-left"),
        ("html-entities", "&nbsp;", "no-words-left"),
        ("not-utf8", "Größe".encode("latin-1"), "unknown-encoding"),
    ],
)
def test_an_unsafe_repair_is_refused(tmp_path: Path, code: str, content: str | bytes, reason: str) -> None:
    with failing(reason, DataError):
        repaired(tmp_path, code, content)


@pytest.mark.parametrize("encoding", TYPICAL)
@pytest.mark.parametrize("text", SENTENCES)
def test_letters_are_restored_from_any_encoding(text: str, encoding: str) -> None:
    assert undo_double_encoding(encoded_twice(text, encoding)) == text
    assert undo_double_encoding(encoded_twice(encoded_twice(text, "cp1252"), "cp1252")) == text


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp850", "Un café à la crème"),
        ("cp866", "Привет, как дела?"),
        ("koi8_r", "Привет, как дела?"),
        ("cp1250", "Zażółć gęślą jaźń"),
        ("cp1250", "Příliš žluťoučký kůň"),
        ("cp1250", "Jó napot kívánok"),
        ("iso8859_2", "Zażółć gęślą jaźń"),
        ("cp1253", "Καλημέρα σε όλους"),
        ("cp1255", "שלום עולם"),
        ("cp1256", "مرحبا بالعالم"),
        ("cp874", "สวัสดีครับ"),
        ("gbk", "今天天气很好"),
        ("cp932", "日本"),
    ],
)
def test_letters_are_restored_from_an_encoding_of_the_region(encoding: str, text: str) -> None:
    shown = text.encode().decode(encoding) if encoding in DOUBLE_BYTE else encoded_twice(text, encoding)
    assert found(shown).keys() >= {"double-encoded"}
    assert undo_double_encoding(shown) == text


@pytest.mark.parametrize("encoding", WIDE)
@pytest.mark.parametrize("text", ["Hello there.", "Привет всем", "你好 world, this is", "Grüße"])
def test_wide_characters_without_a_mark_are_recognized(text: str, encoding: str) -> None:
    content = text.encode(encoding)
    assert decode_wide(content) == text
    try:
        shown = content.decode()
    except UnicodeDecodeError:
        return
    assert found(shown).keys() == {"utf-16"}


@given(st.text())
def test_any_text_can_be_judged_and_restoring_ends(text: str) -> None:
    restored = undo_double_encoding(text)
    assert undo_double_encoding(text) == restored
    found(text)


@given(st.text())
def test_every_family_reads_composed_letters(text: str) -> None:
    """The model reads the same, typed composed or stored apart."""
    for family in FAMILIES.values():
        cleaned = family.clean(text)
        assert unicodedata.is_normalized("NFC", cleaned)
        assert unicodedata.is_normalized("NFC", family.clean_for_packing(text))
    for text in SENTENCES:
        for family in FAMILIES.values():
            assert family.clean(unicodedata.normalize("NFD", text)) == family.clean(text)
