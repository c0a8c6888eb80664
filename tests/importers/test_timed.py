"""Transcripts with times next to long recordings become clips of their own."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import pytest

from fishtui.catalog import actions
from fishtui.catalog.details import read_details
from fishtui.catalog.lookup import find_rows
from fishtui.catalog.store import Catalog
from fishtui.errors import MisuseError
from fishtui.importers.captions import joined, spoken_text
from fishtui.importers.layouts import choose
from fishtui.importers.source import Understood, understand
from fishtui.importers.subtitles import read_subtitles
from fishtui.project import Project
from fishtui.settings import ScanSettings, Settings
from tests.builders import tone, write_clip
from tests.expecting import failing
from tests.importers.builders import run
from tests.judges.material import SPEECH

SRT = """1
00:00:00,500 --> 00:00:01,000
<i>Good</i> {\\an8}morning.

2
00:00:01,200 --> 00:00:01,600
[Music]

3
00:00:01,700 --> 00:00:02,100
(laughs) Second
line.

4
00:00:02,050 --> 00:00:02,900
Third.

5
00:00:09,000 --> 00:00:08,000
Backwards.
"""


def talk(folder: Path, name: str = "talk.wav", seconds: float = 4.0) -> Path:
    return write_clip(folder / name, None, tone(seconds, 8_000), 8_000)


def understood(source: Path, **options: object) -> Understood:
    return understand(source, data=source.parent / "project" / "data", **options)  # type: ignore[arg-type]


def parts(found: Understood) -> list[tuple[str, float, float]]:
    return [(clip.text, *(round(time, 3) for time in clip.part or (0, 0))) for clip in found.clips]


def omitted(found: Understood) -> list[str]:
    return [entry.reason for entry in found.omitted]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_subtitles_give_words_and_times(tmp_path: Path, encoding: str) -> None:
    talk(tmp_path)
    (tmp_path / "talk.srt").write_bytes(SRT.replace("\n", "\r\n").encode(encoding))
    for source in (tmp_path, tmp_path / "talk.srt"):
        found = understand(source, data=tmp_path / "x" / "data") if source.is_file() else None
        found = found or understand(source, data=tmp_path.parent / "elsewhere" / "data")
        assert found.layout == "subtitles"
        assert parts(found) == [("Good morning.", 0.5, 1.0), ("Second line.", 1.7, 2.05), ("Third.", 2.05, 2.9)]
        assert omitted(found) == ["a note, not speech"]
        assert [entry.reason for entry in found.failed] == ["it ends before it starts"]
        assert all(clip.loose for clip in found.clips)


def test_webvtt_has_voices_and_rolling_captions(tmp_path: Path) -> None:
    talk(tmp_path)
    (tmp_path / "talk.en.vtt").write_text(
        "WEBVTT\nKind: captions\n\nNOTE comment\n\nSTYLE\n::cue { color: red }\n\nid\n"
        "00:00.500 --> 00:01.000 align:start\n<v Anna Bo>Tea &amp; milk</v>\n\n"
        "00:01.100 --> 00:02.000\n<v Anna>One\n<v Bert>Two\n"
    )
    found = understood(tmp_path / "talk.en.vtt")
    assert [(clip.text, clip.speaker) for clip in found.clips] == [("Tea & milk", "Anna Bo")]
    assert omitted(found) == ["several people speak in it"]
    (tmp_path / "talk.en.vtt").write_text(
        "WEBVTT\n\n00:00:00.000 --> 00:00:01.000\n \nso<00:00:00.200><c> we</c><00:00:00.400><c> begin</c>\n\n"
        "00:00:01.000 --> 00:00:01.010\nso we begin\n \n\n"
        "00:00:01.010 --> 00:00:02.000\nso we begin\nwith<00:00:01.200><c> tea</c>\n\n"
        "00:00:02.000 --> 00:00:02.010\nwith tea\n \n"
    )
    assert parts(understood(tmp_path / "talk.en.vtt")) == [("so we begin", 0, 1), ("with tea", 1.01, 2)]


def test_one_transcript_of_a_recording_is_used_and_asked_for(tmp_path: Path) -> None:
    talk(tmp_path / "in")
    for name in ("talk.de.srt", "talk.srt", "talk.en.srt"):
        (tmp_path / "in" / name).write_text(f"1\n00:00:00,500 --> 00:00:01,000\nFrom {name}\n")
    found = understood(tmp_path / "in")
    assert [clip.text for clip in found.clips] == ["From talk.srt"]
    assert len(found.doubts) == 1


def test_results_of_whisper_are_preferred_to_its_other_files(tmp_path: Path) -> None:
    source = tmp_path / "in"
    talk(source)
    segments = [
        {"start": 0.5, "end": 1.5, "text": " One.", "words": [{"word": "One", "start": 0.7, "end": 1.2}]},
        {"start": 1.5, "end": 2.0, "text": " Thanks for watching!", "no_speech_prob": 0.9, "avg_logprob": -1.5},
        {"start": 2.0, "end": 2.5, "text": " ha ha ha", "compression_ratio": 3.0},
        {"start": None, "end": 3.0, "text": " lost"},
        {"start": 3.0, "end": 9.0, "text": " 4 end.", "speaker": "S1", "words": [{"word": "4"}, {"word": "end."}]},
    ]
    (source / "talk.json").write_text(json.dumps({"text": "One.", "segments": segments, "language": "en"}))
    (source / "talk.srt").write_text(SRT)
    (source / "talk.txt").write_text("One.\n")
    (source / "talk.tsv").write_text("start\tend\ttext\n500\t1500\tOne.\n")
    found = understood(source)
    assert (found.layout, parts(found)) == ("whisper", [("One.", 0.7, 1.2), ("4 end.", 3.0, 4.0)])
    assert len(omitted(found)) == 2
    assert len(found.failed) == 1
    assert found.clips[1].speaker == "S1"


@pytest.mark.parametrize(
    "content",
    [
        {"transcription": [{"offsets": {"from": 500, "to": 1500}, "text": " One."}]},
        {"segments": [{"start": 0.5, "end": 1.5, "text": "One."}], "word_segments": []},
        [{"start": 0.5, "end": 1.5, "text": "One."}],
        {"text": "One.", "chunks": [{"timestamp": [0.5, 1.5], "text": "One."}]},
    ],
)
def test_other_results_of_recognition_are_read(tmp_path: Path, content: object) -> None:
    talk(tmp_path)
    (tmp_path / "talk.json").write_text(json.dumps(content, indent=1))
    assert parts(understood(tmp_path / "talk.json")) == [("One.", 0.5, 1.5)]


def test_words_of_a_recognizer_are_drafts(tmp_path: Path) -> None:
    settings = Settings(scan=ScanSettings(workers=1))
    (tmp_path / "in").mkdir()
    shutil.copy(SPEECH / "lj-0.flac", tmp_path / "in" / "talk.flac")
    segments = [{"start": 0.0, "end": 5.0, "text": "One.", "avg_logprob": -0.5}]
    (tmp_path / "in" / "talk.json").write_text(json.dumps({"segments": segments}))
    assert run(tmp_path, tmp_path / "in", speaker="lj", settings=settings).done == 1
    with Catalog(Project(tmp_path), tmp_path / "data") as catalog:
        assert len(find_rows(catalog, "draft:yes")) == 1
        draft = read_details(catalog, 1).recognized.draft
        assert draft is not None
        assert (draft.recognizer, draft.confidence) == ("whisper", pytest.approx(math.exp(-0.5)))
        actions.edit(catalog, settings, 1, "One word.")
        assert find_rows(catalog, "draft:yes") == []
    assert len(run(tmp_path, tmp_path / "in", speaker="lj", settings=settings).skipped) == 1
    with Catalog(Project(tmp_path), tmp_path / "data") as catalog:
        assert find_rows(catalog, "draft:yes") == []


def test_json_lines_are_not_a_result_of_recognition(tmp_path: Path) -> None:
    talk(tmp_path)
    (tmp_path / "manifest.json").write_text(
        '{"text": "One.", "audio_filepath": "talk.wav", "offset": 0.5, "duration": 1}\n'
        '{"text": "Two.", "audio_filepath": "talk.wav", "offset": 1.5, "duration": 1}\n'
    )
    assert choose(tmp_path / "manifest.json", None, {})[0].name == "jsonl"
    assert parts(understood(tmp_path / "manifest.json")) == [("One.", 0.5, 1.5), ("Two.", 1.5, 2.5)]


def test_labels_of_audacity(tmp_path: Path) -> None:
    talk(tmp_path)
    (tmp_path / "talk.txt").write_text(
        "0,500000\t1,250000\tOne.\n\\\t1000,0\t3000,5\n1.5\t1.5\tpoint\n2.0\t2.5\t\n2.5\t3.0\tTwo.\n"
    )
    found = understood(tmp_path / "talk.txt")
    assert (found.layout, parts(found)) == ("audacity", [("One.", 0.5, 1.25), ("Two.", 2.5, 3.0)])
    assert omitted(found) == ["a label of a point", "a label without text"]
    assert not any(clip.loose for clip in found.clips)
    (tmp_path / "talk.txt").write_text("0.5\t1.25\tOne.\nno label\n")
    assert len(understood(tmp_path / "talk.txt").failed) == 1


def grid(*tiers: tuple[str, list[tuple[float, float, str]]]) -> str:
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "0", "4", "<exists>", str(len(tiers))]
    for name, intervals in tiers:
        lines += ['"IntervalTier"', f'"{name}"', "0", "4", str(len(intervals))]
        for start, end, text in intervals:
            lines += [f"{start:g}", f"{end:g}", f'"{text}"']
    return "\n".join(lines) + "\n"


WORDS = [(0.0, 0.5, ""), (0.5, 0.8, "good"), (0.8, 1.2, "day"), (1.2, 2.0, "sil"), (2.0, 2.4, "you"), (2.4, 4.0, "")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_tiers_of_a_textgrid(tmp_path: Path, encoding: str) -> None:
    talk(tmp_path)
    source = tmp_path / "talk.TextGrid"
    phones = ("phones", [(0.0, 4.0, "a")])
    source.write_bytes(grid(("words", WORDS), phones).encode(encoding))
    found = understood(source)
    assert parts(found) == [("good day", 0.5, 1.2), ("you", 2.0, 2.4)]
    assert all(clip.loose for clip in found.clips)
    sentence = ("Sentence", [(0.0, 0.5, ""), (0.5, 1.2, "Good day."), (1.2, 4.0, "<p:>")])
    source.write_bytes(grid(("words", WORDS), sentence, phones, ("gloss", [(0.0, 4.0, "x")])).encode(encoding))
    found = understood(source)
    assert parts(found) == [("Good day.", 0.5, 1.2)]
    assert not found.clips[0].loose
    source.write_bytes(
        grid(("anna", [(0.5, 1.2, "Hi.")]), ("bert", [(1.0, 2.0, "No."), (3, 4, "Yes.")])).encode(encoding)
    )
    found = understood(source)
    assert [(clip.speaker, clip.text) for clip in found.clips] == [("bert", "Yes.")]
    assert omitted(found) == ["it overlaps with another one"] * 2
    assert found.doubts


@pytest.mark.parametrize("name", ["Emma Stone", "Alphonse", "Timothy", "Morales", "Keynotes"])
def test_people_are_not_taken_for_kinds_of_tiers(tmp_path: Path, name: str) -> None:
    talk(tmp_path)
    source = tmp_path / "talk.TextGrid"
    anna = ("Anna", [(0.5, 1.2, "Hi.")])
    other = (name, [(2.0, 3.0, "Yes."), (3.0, 3.5, "No.")])
    phones = [(kind, [(0.0, 4.0, "a")]) for kind in ("Emma phones", "ToneTier", "IPA", "syllables")]
    source.write_text(grid(anna, other, *phones))
    found = understood(source)
    assert [(clip.speaker, clip.text) for clip in found.clips] == [("Anna", "Hi."), (name, "Yes."), (name, "No.")]


LONG_FORM = """File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 4
tiers? <exists>
size = 2
item []:
    item [1]:
        class = "TextTier"
        name = "clicks"
        xmin = 0
        xmax = 4
        points: size = 1
        points [1]:
            number = 1.5
            mark = "x"
    item [2]:
        class = "IntervalTier"
        name = "anna"
        xmin = 0
        xmax = 4
        intervals: size = 2
        intervals [1]:
            xmin = 0.5
            xmax = 1.25e0
            text = "She said ""no"", 3
times."
        intervals [2]:
            xmin = 2
            xmax = 3
            text = "Yes."
"""


def test_the_long_form_of_a_textgrid_and_its_damages(tmp_path: Path) -> None:
    talk(tmp_path)
    source = tmp_path / "talk.TextGrid"
    source.write_text(LONG_FORM)
    assert parts(understood(source)) == [('She said "no", 3 times.', 0.5, 1.25), ("Yes.", 2.0, 3.0)]
    # A line that is missing or added, as an editor or an interrupted copy leaves it, is not a shifted text.
    lines = LONG_FORM.replace("3\ntimes", "3 times").splitlines(keepends=True)
    for number in (5, 6, *range(9, 14), *range(18, len(lines))):
        if "[" in lines[number]:
            continue
        for changed in (
            lines[:number] + lines[number + 1 :],
            [*lines[:number], "7\n", *lines[number:]],
            lines[:number],
        ):
            source.write_text("".join(changed))
            found = understood(source)
            assert (found.clips, len(found.failed)) == ([], 1), (number, changed[number - 1 :])


def test_words_without_spaces_between_them_are_joined(tmp_path: Path) -> None:
    talk(tmp_path)
    source = tmp_path / "talk.TextGrid"
    source.write_text(grid(("words", [(0.5, 0.8, "你"), (0.8, 1.2, "好"), (2.0, 2.4, "OK"), (2.4, 2.6, "la")])))
    assert [clip.text for clip in understood(source).clips] == ["你好", "OK la"]


EAF = """<?xml version="1.0" encoding="UTF-8"?>
<ANNOTATION_DOCUMENT AUTHOR="" DATE="2026-01-01T00:00:00+00:00" FORMAT="3.0" VERSION="3.0"
 xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:noNamespaceSchemaLocation="EAFv3.0.xsd">
<HEADER MEDIA_FILE="" TIME_UNITS="milliseconds">
<MEDIA_DESCRIPTOR MEDIA_URL="file:///C:/Users/x/take%201.wav" MIME_TYPE="audio/x-wav"
 RELATIVE_MEDIA_URL="../../secret/take%201.wav"/></HEADER>
<TIME_ORDER><TIME_SLOT TIME_SLOT_ID="ts1" TIME_VALUE="500"/><TIME_SLOT TIME_SLOT_ID="ts2" TIME_VALUE="1250"/>
<TIME_SLOT TIME_SLOT_ID="ts3"/></TIME_ORDER>
<TIER LINGUISTIC_TYPE_REF="t" PARTICIPANT="Anna" TIER_ID="A@x">
<ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a1" TIME_SLOT_REF1="ts1" TIME_SLOT_REF2="ts2">
<ANNOTATION_VALUE>Good day.</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
<ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a2" TIME_SLOT_REF1="ts2" TIME_SLOT_REF2="ts3">
<ANNOTATION_VALUE>No end.</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION></TIER>
<TIER LINGUISTIC_TYPE_REF="t2" PARENT_REF="A@x" TIER_ID="translation">
<ANNOTATION><REF_ANNOTATION ANNOTATION_ID="a3" ANNOTATION_REF="a1">
<ANNOTATION_VALUE>Guten Tag.</ANNOTATION_VALUE></REF_ANNOTATION></ANNOTATION></TIER>
<LINGUISTIC_TYPE LINGUISTIC_TYPE_ID="t" TIME_ALIGNABLE="true" GRAPHIC_REFERENCES="false"/></ANNOTATION_DOCUMENT>
"""


def test_tiers_of_elan(tmp_path: Path) -> None:
    talk(tmp_path, "take 1.wav")
    (tmp_path / "x.eaf").write_text(EAF)
    found = understood(tmp_path / "x.eaf")
    assert [(clip.text, clip.speaker, clip.part) for clip in found.clips] == [("Good day.", "Anna", (0.5, 1.25))]
    assert found.clips[0].audio == tmp_path / "take 1.wav"
    # An annotation without an end is counted; a translation is not missed, but another text would be.
    assert len(found.failed) == 1
    assert not found.doubts
    (tmp_path / "x.eaf").write_text(EAF.replace("translation", "tx@A"))
    assert understood(tmp_path / "x.eaf").doubts


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    talk(tmp_path)
    (tmp_path / "talk.eaf").write_text(EAF)
    monkeypatch.setattr("fishtui.extras.find_spec", lambda name: None)
    with failing("missing-package", MisuseError):
        understood(tmp_path / "talk.eaf")


@pytest.mark.parametrize(
    ("caption", "words"),
    [
        ("<i>Hi</i>", "Hi"),
        ("{\\an8}Hi\nthere", "Hi there"),
        ("- Hi there.", "Hi there."),
        ("- Hi.\n- Ho.", ""),
        (">> Hi.", "Hi."),
        ("JOHN: Hi.", "Hi."),
        ("At 5:30: go", "At 5:30: go"),
        ("(LAUGHS) Hi", "Hi"),
        ("He (that is, Bo) left", "He (that is, Bo) left"),
        ("(sighs)", ""),
        ("♪ La la ♪", ""),
        ("[Musik]", ""),
        ("【音楽】", ""),
        ("a < b and 5 > 3", "a < b and 5 > 3"),
        ("Tom &amp; Bo", "Tom & Bo"),
        ("...", ""),
        ("Он сказал: привет", "Он сказал: привет"),
        ("他说: 你好", "他说: 你好"),
        ("ИВАН: Привет.", "Привет."),
        ("JOHN: Hi.\nMARY: Ho.", ""),
        ("How are you?\n- Fine.", ""),
        ("-5 degrees", "-5 degrees"),
        ("I *really* do", "I really do"),
        ("*sighs* Well.", "Well."),
        ("the (human race) and (clearly) more", "the (human race) and (clearly) more"),
        ("(door slams) Hi", "Hi"),
        ("&lt;i&gt;Hi&lt;/i&gt;", "Hi"),
        ("<ruby>漢<rp>(</rp><rt>かん</rt><rp>)</rp></ruby>字", "漢字"),
        ("می\u200cخواهم", "می\u200cخواهم"),
    ],
)
def test_captions_keep_only_spoken_words(caption: str, words: str) -> None:
    assert spoken_text(caption)[0] == words


@pytest.mark.parametrize(
    ("name", "content", "expected", "lost"),
    [
        # Identifiers, comments and styles of WebVTT are not spoken; a number may be.
        (
            "x.vtt",
            "WEBVTT\n\nfirst\n00:01.000 --> 00:02.5\nHow many?\n42\n\nNOTE\nhidden\n\nSTYLE\n::cue {}\n\nthe end\n"
            "100:00:03.000 --> 100:00:04.000 line:0\nB\n7\n\nNOTE end",
            [(1, 2.5, "How many? 42"), (360_003, 360_004, "B 7")],
            0,
        ),
        # Lines may lack between captions, and be within them; all ends of lines.
        (
            "x.srt",
            "1\r00:00:01,000 --> 00:00:02,000\rA\r\rand more\r"
            "2\r00:00:03,5 -> 00:00:04,25 X1:4\rB\r9:30 - 10:00\r12\r13\r",
            [(1, 2, "A and more"), (3.5, 4.25, "B 9:30 - 10:00 12 13")],
            0,
        ),
        # Of torn times, and of an arrow within a text, only the neighbours suffer.
        (
            "x.srt",
            "1\n00:00:01,000 --> 00:00:02,000\nA\n\n2\n00:00:0x,000 --> 00:00:04,000\nB\n\n3\n"
            "00:00:05,000 --> 00:00:06,000\nfrom a\n--> b\n\n4\n00:00:07,000 --> 00:00:08,000\nC\n\n"
            "5\nD\n\n6\n00:00:09,00",
            [(1, 2, "A"), (7, 8, "C")],
            4,
        ),
        (
            "x.ass",
            "[Events]\nFormat: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n"
            "Dialogue: 0,0:00:01.00,0:00:02.00,Default,Bo,0,0,0,,{\\i1}Hi{a comment}, you\\Nthere\n",
            [(1, 2, "Hi, you there")],
            0,
        ),
    ],
)
def test_captions_are_read_exactly(tmp_path: Path, name: str, content: str, expected: list[object], lost: int) -> None:
    (tmp_path / name).write_bytes(content.encode())
    found = read_subtitles(tmp_path / name).captions
    valid = [each for each in found if each.start == each.start]
    assert [(each.start, each.end, spoken_text(each.text)[0]) for each in valid] == expected
    assert len(found) - len(valid) == lost


def test_every_caption_and_recording_is_counted(tmp_path: Path) -> None:
    source = tmp_path / "in"
    for name in ("talk.wav", "empty.wav", "unnamed.wav"):
        talk(source, name)
    (source / "talk.srt").write_text("1\n00:00:0x,5 --> 00:00:01,000\nOne\n\n2\n00:00:02,000 --> 00:00:03,000\nTwo\n")
    (source / "empty.srt").write_text("nothing\n")
    found = understood(source)
    assert parts(found) == [("Two", 2.0, 3.0)]
    assert len(found.failed) == 2
    assert found.unnamed == ["empty.wav", "unnamed.wav"]
    assert (tmp_path / "x.json").write_text('{"text": "One."}')
    assert [entry.item for entry in understood(tmp_path / "x.json").failed] == ["x.json"]


def test_the_end_of_a_name_is_a_language_only_if_no_recording_has_it(tmp_path: Path) -> None:
    source = tmp_path / "in"
    for name in ("ep_one", "ep_two", "talk"):
        talk(source / "wavs", f"{name}.wav")
    for name in ("ep_one", "ep_two", "talk_en", "other_one"):
        (source / f"{name}.srt").write_text(f"1\n00:00:01,000 --> 00:00:02,000\n{name}\n")
    found = understood(source)
    assert {(clip.audio.stem, clip.text) for clip in found.clips} == {
        ("ep_one", "ep_one"), ("ep_two", "ep_two"), ("talk", "talk_en"),
    }  # fmt: skip
    assert len(found.failed) == 1
    assert not found.doubts


def test_a_segment_without_times_does_not_disturb_the_others(tmp_path: Path) -> None:
    talk(tmp_path)
    segments = [
        {"start": 3, "end": 3.5, "text": "Three.", "words": [{"word": "Three.", "speaker": "S"}]},
        {"start": None, "end": 2, "text": "lost"},
        {"start": 1, "end": 1.5, "text": "One."},
        {"start": 1.2, "end": 1.6, "text": "Two."},
    ]
    (tmp_path / "talk.json").write_text(json.dumps({"segments": segments}))
    found = understood(tmp_path / "talk.json")
    assert [(clip.text, clip.speaker) for clip in found.clips] == [("Three.", "S")]
    assert omitted(found) == ["it overlaps with another one"] * 2
    assert len(found.failed) == 1


def test_texts_of_neighbours_are_joined() -> None:
    assert joined(["Good", "day."]) == "Good day."
    assert joined(["你好", "世界"]) == "你好世界"
    assert joined(["안녕", "세상"]) == "안녕 세상"
