"""Corpora in the layout of their publishers, each with its traps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from fishtui.errors import DataError, MisuseError
from fishtui.importers.layouts import choose
from fishtui.importers.source import understand
from tests.expecting import failing
from tests.importers.builders import failures, imported, recording, run, table


def wav(path: Path, seconds: float) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.zeros(round(seconds * 8_000), "float32"), 8_000)
    return path


def layout_of(source: Path) -> str:
    return choose(source, None, {})[0].name


def test_kaldi_pairs_texts_recordings_and_speakers(tmp_path: Path) -> None:
    """Paths start where the recipe runs; commands are never run."""
    recipe, data = tmp_path / "s5", tmp_path / "s5" / "data" / "train"
    for name in ("a-1", "a-2", "b-1", "b-9"):
        recording(recipe / "downloads" / f"{name}.flac")
    proof = tmp_path / "proof"
    table(
        data / "text",
        "a-1 Good morning, you.",
        "a-2\tWell then.",
        "b-1 Yes.",
        "b-2 No.",
        "b-3 Piped.",
        "b-4",
        "c-1 Who?",
    )
    table(
        data / "wav.scp",
        *(f"{name} downloads/{name}.flac" for name in ("a-1", "a-2", "b-1", "b-9")),
        f"b-3 touch {proof}; sox downloads/b-1.flac -t wav - |",
        *("b-4 downloads/b-1.flac", "c-1 downloads/b-1.flac"),
    )
    table(data / "utt2spk", "a-1 anna", "a-2 anna", "b-1 bert", "b-3 bert")
    assert layout_of(data) == layout_of(recipe) == "kaldi"
    ledger = run(tmp_path, data)
    assert not proof.exists()
    assert imported(tmp_path) == {
        "anna/a-1.flac": "Good morning, you. <a-1.flac>",
        "anna/a-2.flac": "Well then. <a-2.flac>",
        "bert/b-1.flac": "Yes. <b-1.flac>",
    }
    assert list(failures(ledger)) == ["text:4", "text:5", "text:6", "text:7", "wav.scp:4"]
    assert "command" in failures(ledger)["text:5"]


def test_kaldi_segments_are_cut(tmp_path: Path) -> None:
    data = tmp_path / "data"
    wav(data / "talk.wav", 10)
    table(data / "wav.scp", f"talk {data / 'talk.wav'}")
    table(data / "text", "t-1 One.", "t-2 Two.", "t-3 Three.", "t-4 Four.")
    table(data / "segments", "t-1 talk 0.5 2.0", "t-2 talk 4 -1", "t-3 talk 9 12", "t-4 other 1 2")
    ledger = run(tmp_path, data, data=tmp_path / "out", speaker="anna")
    written = {path.stem: soundfile.info(path).duration for path in (tmp_path / "out").rglob("*.wav")}
    assert written == {"talk_00000500_00002000": 1.5, "talk_00004000_00010000": 6.0}
    assert set(failures(ledger)) == {"text:4", "text:3"}


def test_kaldi_traps(tmp_path: Path) -> None:
    for name in ("train", "train_sp"):
        table(tmp_path / "in" / name / "text", "1 One.", "2 Two.", "3 Three.")
        table(tmp_path / "in" / name / "wav.scp", "1 1.wav", "2 2.wav", "3 3.wav")
        table(tmp_path / "in" / name / "utt2spk", "1 1", "2 2", "3 3")
        for number in "123":
            recording(tmp_path / "in" / name / f"{number}.wav")
    with failing("several-tables", MisuseError):
        run(tmp_path, tmp_path / "in")
    found = understand(tmp_path / "in" / "train", data=tmp_path / "data")
    assert ["utt2spk" in doubt for doubt in found.doubts] == [True]
    table(tmp_path / "in" / "train" / "text", "1 One.", "1 Two.")
    with failing("bad-line", DataError):
        run(tmp_path, tmp_path / "in" / "train")


def test_aishell_has_speakers_and_no_blanks_between_characters(tmp_path: Path) -> None:
    corpus = tmp_path / "data_aishell"
    for part, speaker, stem in [("train", "S0002", "W0122"), ("dev", "S0724", "W0121"), ("test", "S0764", "W0121")]:
        recording(corpus / "wav" / part / speaker / f"BAC009{speaker}{stem}.wav")
    recording(corpus / "wav" / "train" / "S0002" / "BAC009S0002W0999.wav")
    table(
        corpus / "transcript" / "aishell_transcript_v0.8.txt",
        "BAC009S0002W0122 而 对 楼市 成交 抑制 作用 最 大 的 限 购",
        "BAC009S0724W0121 广州市 iphone 手机",
        "BAC009S0764W0121 甚至 出现",
        "BAC009S0765W0121 没有 录音",
    )
    assert layout_of(corpus) == "aishell"
    ledger = run(tmp_path, corpus)
    assert imported(tmp_path) == {
        "S0002/BAC009S0002W0122.wav": "而对楼市成交抑制作用最大的限购 <BAC009S0002W0122.wav>",
        "S0724/BAC009S0724W0121.wav": "广州市 iphone 手机 <BAC009S0724W0121.wav>",
        "S0764/BAC009S0764W0121.wav": "甚至出现 <BAC009S0764W0121.wav>",
    }
    assert set(failures(ledger)) == {
        "wav/train/S0002/BAC009S0002W0999.wav",
        "transcript/aishell_transcript_v0.8.txt:4",
    }


def test_aishell_3_has_pronunciations_between_its_words(tmp_path: Path) -> None:
    corpus = tmp_path / "data_aishell3"
    recording(corpus / "train" / "wav" / "SSB0005" / "SSB00050001.wav")
    table(corpus / "train" / "content.txt", "SSB00050001.wav\t广 guang3 州 zhou1 女 nv3 大 da4")
    assert run(tmp_path, corpus).done == 1
    assert imported(tmp_path) == {"SSB0005/SSB00050001.wav": "广州女大 <SSB00050001.wav>"}


def test_jsut_is_one_speaker_in_many_folders(tmp_path: Path) -> None:
    corpus = tmp_path / "jsut_ver1.1"
    for part in ("basic5000", "loanword128"):
        recording(corpus / part / "wav" / f"{part.upper()}_0001.wav")
        table(corpus / part / "transcript_utf8.txt", f"{part.upper()}_0001:水を:マレーシアから。", "no text")
    assert layout_of(corpus) == layout_of(corpus / "basic5000") == "jsut"
    ledger = run(tmp_path, corpus)
    assert imported(tmp_path) == {
        "jsut_ver1.1/BASIC5000_0001.wav": "水を:マレーシアから。 <BASIC5000_0001.wav>",
        "jsut_ver1.1/LOANWORD128_0001.wav": "水を:マレーシアから。 <LOANWORD128_0001.wav>",
    }
    assert list(failures(ledger)) == ["basic5000/transcript_utf8.txt:2", "loanword128/transcript_utf8.txt:2"]


def test_jvs_repeats_names_for_each_speaker_and_has_labels_of_phonemes(tmp_path: Path) -> None:
    corpus = tmp_path / "jvs_ver1"
    for speaker in ("jvs001", "jvs002"):
        part = corpus / speaker / "parallel100"
        recording(part / "wav24kHz16bit" / "VOICEACTRESS100_001.wav", speaker)
        recording(part / "lab" / "VOICEACTRESS100_001.lab", "0.0 0.1 pau")
        table(part / "transcripts_utf8.txt", f"VOICEACTRESS100_001:また、{speaker}。")
    run(tmp_path, corpus)
    assert imported(tmp_path) == {
        f"{speaker}/VOICEACTRESS100_001.wav": f"また、{speaker}。 <{speaker}>" for speaker in ("jvs001", "jvs002")
    }


@pytest.mark.parametrize("part", ["", "train"])
def test_mls_names_speakers_in_its_recordings(tmp_path: Path, part: str) -> None:
    corpus = tmp_path / "mls_german"
    for folder, stem in (("train", "3330_3486_000007"), ("train", "3330_9000_000001"), ("dev", "10148_10119_000000")):
        speaker, book, _ = stem.split("_")
        recording(corpus / folder / "audio" / speaker / book / f"{stem}.opus")
    table(corpus / "train" / "transcripts.txt", "3330_3486_000007\tich spreche", "3330_9000_000001\tund ich")
    table(corpus / "train" / "segments.txt", "3330_3486_000007\thttps://example.org/a.mp3\t1.0\t2.0")
    table(corpus / "dev" / "transcripts.txt", "10148_10119_000000\ter auch")
    assert layout_of(corpus / part) == "mls"
    run(tmp_path, corpus / part)
    assert sorted(imported(tmp_path)) == sorted(
        ["3330/3330_3486_000007.opus", "3330/3330_9000_000001.opus"] + ["10148/10148_10119_000000.opus"] * (not part)
    )


def test_m_ailabs_has_readers_with_several_books(tmp_path: Path) -> None:
    books = tmp_path / "de_DE" / "by_book"
    for book in ("female/eva_k/kammmacher", "female/eva_k/toten_seelen", "mix/alle"):
        recording(books / book / "wavs" / "a_0001.wav", book)
        table(books / book / "metadata.csv", f"a_0001|{book}, 1833.|{book}, achtzehnhundert.")
    found = understand(tmp_path / "de_DE", data=tmp_path / "data")
    assert (found.layout, len(found.doubts)) == ("mailabs", 1)
    assert {(clip.speaker, clip.text.partition(", ")[2]) for clip in found.clips} == {
        ("eva_k", "achtzehnhundert."),
        ("alle", "achtzehnhundert."),
    }


@pytest.mark.parametrize(
    "part", ["", "female", "female/eva_k", "female/eva_k/toten_seelen", "female/eva_k/toten_seelen/metadata.csv"]
)
def test_a_part_of_m_ailabs_has_the_same_reader(tmp_path: Path, part: str) -> None:
    book = tmp_path / "de_DE" / "by_book" / "female" / "eva_k" / "toten_seelen"
    recording(book / "wavs" / "a_0001.wav", "a")
    table(book / "metadata.csv", "a_0001|1833.|achtzehnhundert.")
    found = understand(tmp_path / "de_DE" / "by_book" / part, data=tmp_path / "data")
    assert [clip.speaker for clip in found.clips] == ["eva_k"]
    run(tmp_path, tmp_path / "de_DE" / "by_book" / part)
    assert list(imported(tmp_path)) == ["eva_k/a_0001.wav"]


def test_css10_is_a_table_in_a_text_file(tmp_path: Path) -> None:
    corpus = tmp_path / "german"
    for number in range(3):
        wav(corpus / "meisterfloh" / f"meisterfloh_{number:04}.wav", 1 + number)
    table(
        corpus / "transcript.txt",
        *(
            f"meisterfloh/meisterfloh_{n:04}.wav|Es war 18{n} Tage.|Es waren viele Tage, {n}.|{1 + n:.2f}"
            for n in range(3)
        ),
    )
    found = understand(corpus, data=tmp_path / "data")
    assert (found.layout, len(found.clips), found.clips[0].text) == ("rows", 3, "Es waren viele Tage, 0.")
    assert dict(found.columns)["duration"] == "column 4"
    assert found.doubts == []


def test_libritts_takes_the_normalized_text_and_the_reader_as_speaker(tmp_path: Path) -> None:
    for reader, book in (("84", "121123"), ("174", "50561")):
        stem = tmp_path / "in" / "LibriTTS" / "dev-clean" / reader / book / f"{reader}_{book}_000007_000001"
        recording(stem.with_suffix(".wav"))
        stem.with_suffix(".normalized.txt").write_text(f"Mister {reader}.")
        stem.with_suffix(".original.txt").write_text(f"Mr. {reader}.")
        table(stem.with_name(f"{reader}_{book}.trans.tsv"), f"{stem.name}\tMr. {reader}.\tMister {reader}.")
    run(tmp_path, tmp_path / "in" / "LibriTTS", accepts_guesses=False)
    assert {name.split("/")[0]: text.partition(" <")[0] for name, text in imported(tmp_path).items()} == {
        "84": "Mister 84.",
        "174": "Mister 174.",
    }


def test_kss_is_one_speaker_with_numbers_as_words(tmp_path: Path) -> None:
    lines = [f"{book}/{book}_0000.wav|그는 3명|그는 세명|그는 세명|3.5|He {book}" for book in (1, 2)]
    source = table(tmp_path / "in" / "transcript.v.1.4.txt", *lines)
    for book in (1, 2):
        recording(tmp_path / "in" / str(book) / f"{book}_0000.wav")
    run(tmp_path, source.parent, accepts_guesses=False)
    assert imported(tmp_path) == {
        "kss/1_0000.wav": "그는 세명 <1_0000.wav>",
        "kss/2_0000.wav": "그는 세명 <2_0000.wav>",
    }


def test_lists_of_piper_and_gpt_sovits_keep_speakers(tmp_path: Path) -> None:
    for number in range(4):
        recording(tmp_path / "piper" / "wav" / f"{number}.wav")
        recording(tmp_path / "slicer_opt" / f"vocal.wav_{number}.wav")
    piper = table(
        tmp_path / "piper" / "metadata.csv",
        *(f"{number}|{'anna' if number % 2 else 'bert'}|Sentence number {number}, spoken." for number in range(4)),
    )
    run(tmp_path, piper, accepts_guesses=False)
    assert sorted(name.split("/")[0] for name in imported(tmp_path)) == ["anna", "anna", "bert", "bert"]
    listed = table(
        tmp_path / "logs" / "voice.list",
        *(
            f"D:\\GPT-SoVITS\\output\\slicer_opt\\vocal.wav_{number}.wav|carl|ZH|你好，世界{number}。"
            for number in range(4)
        ),
    )
    run(tmp_path, listed, audio_root=tmp_path / "slicer_opt", accepts_guesses=False)
    assert len([name for name in imported(tmp_path) if name.startswith("carl/")]) == 4
