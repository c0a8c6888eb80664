from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from fishtui.judges.ctc import CtcConfig, CtcNetwork, load_network, save_network
from fishtui.judges.intelligibility import compared
from fishtui.judges.normalization import is_unspaced, normalized
from fishtui.judges.registry import assess
from fishtui.judges.spoken import Spoken, Voice
from tests.expecting import failing
from tests.judges.material import clip, each_odd, joined, needing, noise, odd, setup


@pytest.mark.parametrize(
    ("language", "text", "other"),
    [
        ("en", "Nineteen eighty-four!", "1984"),
        ("en", "One, two – three.", "123"),
        ("en", "I won't go, it's 21.", "i will not go it is twenty one"),
        ("en-GB", "Mr. Smith", "mister smith"),
        ("de", "Größe: „Straße“", "größe strasse"),
        ("fr", "L’été", "l'été"),
        ("es", "¿Qué?", "qué"),
        ("ar", "مَرْحَبًا", "مرحبا"),
        ("zh", "你好，世界。", "你好世界"),
        ("ja", "ガギグ", "ｶﾞｷﾞｸﾞ"),
        ("", "One two", "one TWO"),
    ],
)
def test_spellings_of_the_same_words_are_equal(language: str, text: str, other: str) -> None:
    assert normalized(text, language).replace(" ", "") == normalized(other, language).replace(" ", "")


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("en", "207", "two zero seven"),
        ("de", "Mädchen", "mädchen"),
        ("ru", "Ёлка", "ёлка"),
        ("hi", "हिन्दी", "हिन्दी"),
        ("ko", "안녕, 하세요", "안녕 하세요"),
        ("en", "…?!", ""),
    ],
)
def test_letters_and_their_signs_are_kept(language: str, text: str, expected: str) -> None:
    assert normalized(text, language) == expected


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [*[("你好", "", True), ("hello 你", "", False), ("hello", "zh-CN", True), ("안녕", "", False), ("", "", False)]],
)
def test_languages_without_spaces(text: str, language: str, expected: bool) -> None:
    assert is_unspaced(text, language) is expected


def rates(text: str, heard: str, language: str = "en") -> dict[str, float]:
    needing("jiwer")
    return dict(compared(text, heard, language).figures)


def test_error_rates_of_known_cases() -> None:
    assert rates("One, two, three!", "1 2 3") == {"word_errors": 0.0, "character_errors": 0.0}
    assert rates("three four", "tree fore")["word_errors"] == 100
    assert rates("three four", "tree fore")["character_errors"] == pytest.approx(100 * 3 / 9)
    assert rates("a cat sat here", "a bat sat here")["word_errors"] == 25
    assert rates("hello there", "") == {"word_errors": 100.0, "character_errors": 100.0}
    assert rates("hello", "well " * 50 + "hello")["word_errors"] == 100
    assert rates("你好世界", "你好", "zh") == {"character_errors": 50.0}
    assert rates("…", "hello") == {}


def failures(text: str, heard: str, language: str = "en") -> list[str]:
    needing("jiwer")
    return [failure.code for failure in compared(text, heard, language).failures]


def test_missing_and_added_words_at_the_end_are_failures() -> None:
    text = "the ships left the harbour at dawn"
    assert failures(text, text) == []
    assert failures(text, "the ships left the") == ["stopped-early"]
    assert failures(text, f"{text} and so did they all") == ["speech-after-text"]
    assert failures(text, f"{text} and so") == []
    assert failures(text, "") == []
    assert failures(text, "nothing of this text at all and much more words than it has") == []
    assert failures("这是一个很长的句子用来测试", "这是一个很", "zh") == ["stopped-early"]


def heard(spoken: Spoken, recognizer: str = "pocketsphinx", root: Path = Path("/nonexistent")) -> dict[str, float]:
    return dict(assess("intelligibility", spoken, Voice(), setup(root, recognizer=recognizer)).figures)


def test_pocketsphinx_hears_the_text_and_not_another_one() -> None:
    needing("pocketsphinx", "jiwer")
    spoken = clip("lj-1")
    assert heard(spoken)["word_errors"] < 40
    assert heard(replace(spoken, text="Seventeen ships left the harbour at dawn."))["word_errors"] > 80
    assert heard(noise(spoken.text))["word_errors"] > 80
    assert heard(joined(spoken, 0.2, spoken, 0.2, spoken))["word_errors"] > 80


def test_pocketsphinx_judges_english_only() -> None:
    needing("pocketsphinx", "jiwer")
    assert heard(replace(clip("lj-0"), language="de")) == {}
    assert heard(replace(clip("lj-0"), language="en_US")).keys() == {"word_errors", "character_errors"}


@each_odd
def test_odd_sound_is_judged(name: str) -> None:
    needing("pocketsphinx", "jiwer")
    assert all(0 <= value <= 100 for value in heard(odd(name)).values())


WORDS = {"low": 300.0, "high": 1200.0}


def tones(words: list[str], rate: int = 8_000) -> np.ndarray:
    times = np.arange(rate // 4) / rate
    gap = np.zeros(rate // 8)
    parts = [part for word in words for part in (np.sin(2 * np.pi * WORDS[word] * times), gap)]
    return (0.1 * np.concatenate([gap, *parts])).astype(np.float32)


@pytest.fixture(scope="module")
def network() -> CtcNetwork:
    """A recognizer that was trained on two tones, as if they were words."""
    torch.manual_seed(0)
    random = np.random.default_rng(0)
    made = CtcNetwork(CtcConfig(tuple(WORDS), width=16, dilations=(1, 2), dropout=0.0))
    optimizer = torch.optim.AdamW(made.parameters(), 1e-2)
    for _ in range(80):
        words = list(random.choice(list(WORDS), 4))
        samples = tones(words)
        samples += random.normal(0, 0.003, len(samples)).astype(np.float32)
        scores = made(made.features(samples)[None]).log_softmax(-1).transpose(0, 1)
        target = torch.tensor([[made.config.words.index(word) for word in words]])
        lengths = torch.tensor([len(scores)]), torch.tensor([4])
        loss = functional.ctc_loss(scores, target, *lengths, blank=2)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return made


def test_a_recognizer_from_a_file_hears_its_words(network: CtcNetwork, tmp_path: Path) -> None:
    needing("jiwer")
    save_network(network, tmp_path / "tones.bin", {"license": "none"})
    words = ["high", "low", "low", "high", "high"]
    for rate in (8_000, 44_100):
        spoken = Spoken(tones(words, rate), rate, " ".join(words), "en")
        assert heard(spoken, "ctc:tones.bin", tmp_path)["word_errors"] == 0
        assert heard(replace(spoken, text="low high low high low"), "ctc:tones.bin", tmp_path)["word_errors"] > 40


@pytest.mark.parametrize("spoil", ["cut", "empty", "zeros", "other"])
def test_a_damaged_recognizer_is_named(network: CtcNetwork, tmp_path: Path, spoil: str) -> None:
    path = tmp_path / "tones.bin"
    save_network(network, path)
    content = path.read_bytes()
    path.write_bytes(
        {
            "cut": content[:-100],
            "empty": b"",
            "zeros": bytes(len(content)),
            "other": content.replace(b"width", b"wider"),
        }[spoil]
    )
    with failing("damaged-judge"):
        load_network(path)
