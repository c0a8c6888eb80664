from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishtui.checks.facts import ClipFacts
from fishtui.checks.runner import clip_findings
from fishtui.checks.text import characters, script_of
from fishtui.settings import Settings


def found(text: str) -> dict[str, str]:
    facts = ClipFacts(name="anna/a", speaker="anna", files=("a.wav",), text=text, codes="given")
    return {finding.code: finding.detail for finding in clip_findings(facts, Settings())}


@pytest.mark.parametrize(
    ("code", "bad", "detail", "good"),
    [
        ("control-characters", "Hello\x1b[2J.", "U+001B", "Hello\tthere.\n"),
        ("control-characters", "one\u200btwo", "U+200B", "می\u200cخواهم"),
        ("control-characters", "caf\ufffd", "U+FFFD", "café"),
        ("control-characters", "\x00\x01\x02\x03\x04", "U+0000, U+0001, U+0002, …", "क्\u200dष"),
        ("bidi-override", "abc\u202edef", "U+202E", "مرحبا (abc) عالم"),
        ("bidi-override", "\u2067abc\u2069", "U+2067, U+2069", "שלום abc"),
        ("reserved-token", "a <|im_end|> b", "<|im_end|>", "a <| im end |> b"),
        ("reserved-token", "<|semantic:12|>", "<|semantic:12|>", "a < b | c > d"),
        ("altered-text", "well {laughs} yes", "{laughs}", "well (laughs) yes"),
        ("altered-text", "a <b>c</b>", "<b>, </b>", "a < c, and c is small"),
        ("altered-text", "fine 😀", "😀", "fine ☺"),
        ("altered-text", "{x} <y>", "{x}, <y>", "<|im_end|>"),
        ("simplified-text", "it’s, well,, fine", "’, ,,", "it's, well, fine"),
        ("digits", "Room 12, floor 3", "12, 3", "Room twelve"),
        ("digits", "و١٢ قلمًا", "١٢", "اثنا عشر"),
        ("digits", "half is ½", "½", "十二"),
        ("digits", "take {12}3", "3", "take {12} three"),
        ("symbols", "5 % of $", "%, $", "five per cent!"),
        ("symbols", "a & b @ c", "&, @", "“a”, b; c – d… (e)"),
        ("symbols", "a_b", "_", "a-b"),
        ("symbols", "love ❤", "❤", "¿Qué? 「はい」、！"),
    ],
)
def test_a_finding_and_its_near_miss(code: str, bad: str, detail: str, good: str) -> None:
    assert found(bad)[code] == detail
    assert code not in found(good)


def test_plain_sentences_have_no_findings() -> None:
    for text in (
        "Isn't it “fine”, Mr. O'Neil? Yes — it is…\n",
        "مرحبًا، كيف حالك اليوم؟",
        "今天的天气很好，我们去公园走走吧。",
        "मैं ठीक हूँ।",
        "Größe: „schön“ – naïve!",
    ):
        assert found(text) == {}


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("Hello, Größe, 123!", "Latin"),
        ("مرحبًا abc عالم", "Arabic"),
        ("今天很好。", "Han"),
        ("今日は良い天気です", "Japanese"),
        ("東京タワー", "Japanese"),
        ("안녕하세요", "Hangul"),
        ("Привет, мир", "Cyrillic"),
        ("Ｈｅｌｌｏ", "Latin"),
        ("{Hello} мир", "Cyrillic"),
        ("12, 34!", ""),
        ("", ""),
    ],
)
def test_the_script_is_that_of_most_letters(text: str, script: str) -> None:
    assert script_of(text) == script


@pytest.mark.parametrize(
    ("text", "count"),
    [("It's 12.", 5), ("{laughs} ha", 2), ("你好，吗？", 3), ("cafe\u0301", 4), ("مرحبًا", 5), ("…", 0), ("", 0)],
)
def test_spoken_characters_are_letters_and_digits(text: str, count: int) -> None:
    assert characters(text) == count


@given(st.text())
def test_any_text_can_be_checked(text: str) -> None:
    for detail in found(text).values():
        assert 0 < len(detail) <= 120
    assert characters(text) >= 0
    script_of(text)


def test_details_stay_short() -> None:
    assert len(found("{" + "x" * 5000 + "}")["altered-text"]) == 30
