"""Lines to speak: their choice, their identity, and the languages of datasets."""

from __future__ import annotations

import random
import string
import subprocess
import sys
from pathlib import Path

import pytest

from fishtui.errors import MisuseError
from fishtui.evaluation.language import LANGUAGES, guess_language
from fishtui.evaluation.lines import (
    HELD_OUT,
    OWN,
    Line,
    choose_held_out,
    choose_lines,
    read_hard_lines,
    read_own_lines,
)
from fishtui.evaluation.references import SpeakerReference, choose_references
from fishtui.shards.packed import ManifestEntry
from fishtui.shards.split import TRAIN, VALIDATION
from tests.builders import tone, write_clip
from tests.expecting import failing

ENGLISH = "The letters that she wrote to him in spring were all lost"


def entry(clip: str, text: str = ENGLISH, split: str = TRAIN, frames: int = 100) -> ManifestEntry:
    speaker = clip.partition("/")[0]
    return ManifestEntry(
        clip=clip, speaker=speaker, shard=0, message=0, sentence=0, frames=frames, text=text, split=split
    )


def held_out(speakers: str, clips: int) -> list[ManifestEntry]:
    return [entry(f"{name}/{number}", split=VALIDATION) for name in speakers for number in range(clips)]


def test_held_out_clips_are_spread_evenly_over_speakers() -> None:
    chosen = choose_held_out([*held_out("ab", 20), *held_out("c", 2)], 12)
    assert [sum(each["speaker"] == name for each in chosen) for name in "abc"] == [5, 5, 2]
    assert len(choose_held_out(held_out("ab", 2), 12)) == 4
    assert choose_held_out(held_out("ab", 2), 0) == choose_held_out([entry("a/1")]) == []


def test_the_choice_does_not_depend_on_order_and_keeps_to_itself_as_clips_are_added() -> None:
    clips = held_out("abc", 9)
    mixed = list(clips)
    random.Random(3).shuffle(mixed)
    assert choose_held_out(mixed, 7) == choose_held_out(clips, 7)
    before = {each["clip"] for each in choose_held_out(clips, 12)}
    after = {each["clip"] for each in choose_held_out([*clips, *held_out("abc", 10)[9::10]], 12)}
    assert len(before & after) >= 9


def test_names_that_lead_outside_are_not_chosen() -> None:
    assert choose_held_out([entry("../x", split=VALIDATION), entry("/etc/x", split=VALIDATION)]) == []


def test_lines_have_the_references_and_languages_of_their_speakers() -> None:
    entries = [*held_out("a", 3), entry("b/1", "Der Hund und die Katze sind nicht in dem Haus", VALIDATION)]
    found = choose_lines(entries, {"a": SpeakerReference("a/9", "cafe")}, own=["One", "Two", "Two"])
    by_kind = {kind: [line for line in found.lines if line.kind == kind] for kind in (HELD_OUT, OWN)}
    assert [(line.speaker, line.language, line.clip, line.reference) for line in by_kind[HELD_OUT]] == [
        *[("a", "en", f"a/{number}", "a/9") for number in range(3)],
        ("b", "de", "b/1", ""),
    ]
    assert [(line.text, line.speaker) for line in by_kind[OWN]] == [("One", "a"), ("Two", "b"), ("Two", "a")]
    hard = {line.language for line in found.lines if line.kind not in (HELD_OUT, OWN)}
    assert hard == {"en", "de"}
    assert len(found.remarks) == 1
    assert "b" in found.remarks[0]


def test_hard_lines_are_dealt_to_the_speakers_of_a_language() -> None:
    found = choose_lines(held_out("abc", 2), {}, count=0)
    assert [line.speaker for line in found.lines] == ["a", "b", "c", "a", "b", "c", "a"]
    assert [(line.kind, line.text) for line in found.lines] == list(read_hard_lines("en"))


def test_own_lines_can_name_their_speaker() -> None:
    own = ["b| One", "Two", "c|Three", "b|", "a|b|Four"]
    found = choose_lines(held_out("ab", 1), {}, own=own, count=0, hard=False)
    spoken = [(line.speaker, line.text) for line in found.lines]
    assert spoken == [("b", "One"), ("a", "Two"), ("b", "c|Three"), ("a", "b|"), ("a", "b|Four")]


def test_hard_lines_can_be_left_out() -> None:
    entries = held_out("ab", 2)
    with_them, without = (choose_lines(entries, {}, own=["One"], hard=hard) for hard in (True, False))
    assert {line.kind for line in without.lines} == {"held-out", "own"}
    assert {*without.lines} < {*with_them.lines}


def test_an_unknown_language_has_no_hard_lines_and_is_reported() -> None:
    italian = "Il gatto della signora non è nel giardino, ma la porta di casa era aperta quando lo cercava"
    found = choose_lines([entry("a/1", italian, VALIDATION)], {"a": SpeakerReference("a/2", "x")})
    assert [line.kind for line in found.lines] == [HELD_OUT]
    assert len(found.remarks) == 1
    known = choose_lines([entry("a/1", italian, VALIDATION)], {"a": SpeakerReference("a/2", "x")}, language="it")
    assert [line.kind for line in known.lines] == [HELD_OUT]
    assert "it" in known.remarks[0]
    forced = choose_lines([entry("a/1", italian, VALIDATION)], {}, language="ko")
    assert {line.language for line in forced.lines} == {"ko"}
    assert len(forced.lines) > 6


def test_without_held_out_clips_there_are_hard_lines_and_a_remark() -> None:
    found = choose_lines([entry("a/1")], {"a": SpeakerReference("a/1", "x")})
    assert len(found.lines) == len(read_hard_lines("en"))
    assert len(found.remarks) == 1
    empty = choose_lines([], {}, own=["Alone"])
    assert [(line.kind, line.speaker) for line in empty.lines] == [(OWN, "")]


def test_excluded_and_empty_clips_are_not_spoken() -> None:
    entries = [entry("a/1", " ", VALIDATION), entry("a/2", split=VALIDATION), entry("a/3", split=VALIDATION)]
    found = choose_lines(entries, {}, excluded={"a/2"})
    assert [line.clip for line in found.lines if line.kind == HELD_OUT] == ["a/3"]


def test_an_id_depends_on_every_field_and_on_nothing_else() -> None:
    line = Line(kind="own", text="Hello \udc80")
    assert line.id == Line(kind="own", text="Hello \udc80").id
    changed = [
        Line(kind="short", text="Hello \udc80"),
        *[Line(kind="own", text="Hello \udc80", **{name: "x"}) for name in Line.__struct_fields__[2:]],
    ]
    assert len({line.id, *(each.id for each in changed)}) == 1 + len(changed)
    code = "from fishtui.evaluation.lines import Line; print(Line(kind='own', text='Hello').id)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.strip() == Line(kind="own", text="Hello").id


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_language_has_its_kinds_of_hard_lines_and_is_recognized_by_them(language: str) -> None:
    lines = read_hard_lines(language)
    assert [kind for kind, _ in lines] == ["short"] * 3 + ["question", "numbers", "name", "paragraph"]
    texts = [text for _, text in lines]
    assert len(set(texts)) == len(texts)
    assert all(text == text.strip() for text in texts)
    assert sum(letter in string.digits for letter in texts[4]) >= 8
    assert texts[3].endswith(("?", "？", "؟", "。", " ?"))
    words = len(texts[6]) / 2 if language in ("zh", "ja") else len(texts[6].split())
    assert 85 <= words <= 125
    assert guess_language(texts) == guess_language([texts[6]]) == language


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("seven two nine zero four", "en"),
        ("drei null sieben acht", "de"),
        ("Het kind en de hond zijn niet in het huis, maar op de straat voor de deur", ""),
        ("Kot i pies nie są w domu, ale na ulicy, bo nie ma już jej", ""),
        ("Тато й мама їхали до міста, бо її вони не бачили", ""),
        ("این کتاب را می‌گیرم و به خانه می‌روم", ""),
        ("ฉันรักแมว", ""),
        ("12 345", ""),
        ("", ""),
        ("Xyzzy plugh frobnicate", ""),
        ("Hello 안녕 Привет سلام 你好", ""),
        ("Nous l’avons vu: c’est l’ami qui n’était pas à la gare", "fr"),
        ("Eu não sei se ela já está em casa ou no trabalho", "pt"),
        ("No sé si ella ya está en casa o en el trabajo", "es"),
    ],
)
def test_the_language_of_a_text(text: str, language: str) -> None:
    assert guess_language([text]) == language


def test_own_lines_are_the_lines_of_a_text_file(tmp_path: Path) -> None:
    path = tmp_path / "lines.txt"
    assert read_own_lines(path) == []
    path.write_bytes("\ufeffOne\r\n\r\n  Two  \n".encode())
    assert read_own_lines(path) == ["One", "Two"]
    path.write_bytes("Grüße".encode("utf-16"))
    assert read_own_lines(path) == ["Grüße"]


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"caf\xe9", b"x" * (1 << 21)])
def test_other_files_are_refused_as_own_lines(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "lines.txt"
    path.write_bytes(content)
    with failing("cannot-read", MisuseError):
        read_own_lines(path)


def test_a_folder_is_refused_as_own_lines(tmp_path: Path) -> None:
    with failing("cannot-read", MisuseError):
        read_own_lines(tmp_path)


def test_a_reference_is_the_longest_suitable_clip_to_train_on(tmp_path: Path) -> None:
    lengths = {"a/1": 100, "a/2": 200, "a/3": 250, "a/4": 900, "b/1": 900, "b/2": 800, "c/1": 10}
    for name in lengths:
        write_clip(tmp_path / f"{name}.wav", "Words", tone(0.1))
    entries = [entry(name, frames=frames) for name, frames in lengths.items()]
    entries += [entry("a/5", frames=240), entry("a/6", frames=251, split=VALIDATION), entry("../x", frames=240)]
    found = choose_references(entries, tmp_path, ".lab", 21.0, excluded={"a/3"})
    # a/5 has no recording, a/4 is too long, and of b only long clips exist.
    assert {speaker: each.clip for speaker, each in found.items()} == {"a": "a/2", "b": "b/2", "c": "c/1"}
    again = choose_references(reversed(entries), tmp_path, ".lab", 21.0, excluded={"a/3"})
    assert again == found
    (tmp_path / "a/2.lab").write_text("Other words", encoding="utf-8")
    changed = choose_references(entries, tmp_path, ".lab", 21.0, excluded={"a/3"})
    assert changed["a"].clip == "a/2"
    assert changed["a"].hash != found["a"].hash
    assert changed["b"] == found["b"]
