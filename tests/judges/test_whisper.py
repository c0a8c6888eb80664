"""faster-whisper with a tiny random model: everything but its words is real."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from fishtui.catalog.recognitions import read_recognitions
from fishtui.catalog.store import Catalog
from fishtui.judges import recognizers
from fishtui.judges.registry import Judgement, assess, cache_key
from fishtui.judges.spoken import Spoken, Voice
from fishtui.runs.reporter import Reporter
from fishtui.settings import Settings, TranscribeSettings
from fishtui.stages.recognition import Choice
from fishtui.stages.transcribe import transcribe
from tests.builders import project, write_clip
from tests.expecting import error_in, failing
from tests.forking import fishtui
from tests.hub import download, running_hub
from tests.judges.material import clip, needing, setup


def write_whisper(folder: Path) -> None:
    """Write a random Whisper of one layer, in the layout of faster-whisper."""
    import torch
    from ctranslate2.converters.transformers import WhisperLoader
    from ctranslate2.specs.whisper_spec import WhisperSpec
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import WhisperConfig, WhisperForConditionalGeneration
    from transformers.models.whisper.tokenization_whisper import LANGUAGES

    languages = [f"<|{language}|>" for language in LANGUAGES]
    tasks = ["translate", "transcribe", "startoflm", "startofprev", "nospeech", "notimestamps"]
    times = [f"<|{number * 0.02:.2f}|>" for number in range(1501)]
    special = ["<|endoftext|>", "<|startoftranscript|>", *languages, *(f"<|{task}|>" for task in tasks), *times]
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = [*letters, *special]
    tokenizer = Tokenizer(models.BPE(vocab={letter: number for number, letter in enumerate(letters)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(special)
    tokenizer.save(str(folder / "tokenizer.json"))
    end = tokens.index("<|endoftext|>")
    sizes = {"encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2, "decoder_attention_heads": 2}
    ids = {"eos_token_id": end, "pad_token_id": end, "bos_token_id": end, "decoder_start_token_id": end + 1}
    torch.manual_seed(0)
    config = WhisperConfig(
        vocab_size=len(tokens), d_model=16, encoder_ffn_dim=32, decoder_ffn_dim=32, suppress_tokens=[],
        begin_suppress_tokens=[end], **sizes, **ids,
    )  # fmt: skip
    model = WhisperForConditionalGeneration(config)
    with torch.no_grad():
        # Without this letter as the most probable token, a random model ends every text at its beginning.
        direction = torch.full((16,), 0.5)
        model.model.decoder.embed_tokens.weight[tokens.index("h")] = direction
        model.model.decoder.layer_norm.bias.copy_(2 * direction)
    spec, loader = WhisperSpec(1, 2, 1, 2), WhisperLoader()
    loader.set_encoder(spec.encoder, model.model.encoder)
    loader.set_decoder(spec.decoder, model.model.decoder)
    loader.set_linear(spec.decoder.projection, model.proj_out)
    spec.register_vocabulary(tokens)
    spec.config.suppress_ids, spec.config.suppress_ids_begin, spec.config.alignment_heads = [], [end], []
    spec.config.lang_ids = [tokens.index(language) for language in languages]
    spec.validate()
    spec.optimize(quantization=None)
    spec.save(str(folder))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with such a model in the folder `whisper`."""
    needing("faster_whisper", "jiwer")
    made = tmp_path_factory.mktemp("project")
    (made / "whisper").mkdir()
    write_whisper(made / "whisper")
    return made


def judged(spoken: Spoken, root: Path) -> Judgement:
    return assess("intelligibility", spoken, Voice(), setup(root, recognizer="faster-whisper:./whisper"))


@pytest.mark.parametrize("language", ["en", "zh", "", "xx"])
def test_whisper_is_read_from_a_folder_and_repeatable(language: str, root: Path) -> None:
    spoken = replace(clip("lj-0"), language=language)
    first = judged(spoken, root)
    assert first.figures.keys() >= {"character_errors"}
    assert judged(spoken, root) == first
    recognizer = recognizers.load(setup(root, recognizer="faster-whisper:whisper"), language)
    assert recognizer is not None
    assert recognizer.name == "faster-whisper"
    assert recognizer.version[0].isdigit()


def test_whisper_drafts_a_transcript_with_its_confidence(root: Path, tmp_path: Path) -> None:
    made = project(tmp_path)
    write_clip(made.root / "data/lj/0.wav", None, clip("lj-0").samples, clip("lj-0").rate)
    own = TranscribeSettings(model=str(root / "whisper"), device="cpu", language="en")
    transcribe(made, Settings(transcribe=own), Reporter())
    with Catalog(made, made.root / "data") as catalog:
        (heard,) = read_recognitions(catalog, Choice(made.root, own).identity()).values()
    assert (heard.recognizer, heard.language) == ("faster-whisper", "en")
    assert 0 < (heard.confidence or 0) <= 1
    assert "h" in heard.heard
    assert (made.root / "data/lj/0.lab").read_text() == f"{heard.heard}\n"


def test_whisper_of_a_download_transcribes(root: Path, tmp_path: Path) -> None:
    own = TranscribeSettings(device="cpu", language="en")
    with failing("missing-recognizer"):
        Choice(tmp_path, own).load()
    with running_hub() as hub:
        hub.files = {path.name: path.read_bytes() for path in (root / "whisper").iterdir()}
        result = download(tmp_path, hub.url, "--judge", "transcribe")
    assert result.returncode == 0, result.stderr
    assert "h" in Choice(tmp_path, own).load().hear(clip("lj-0").samples, clip("lj-0").rate).text


def test_a_recognizer_without_weights_on_the_hub_is_not_downloaded(tmp_path: Path) -> None:
    result = fishtui(
        "download", "--judge", "transcribe", "--set", "transcribe.recognizer=server", "--json", cwd=tmp_path
    )
    assert error_in(result.stdout)["code"] == "nothing-to-download"


def test_a_damaged_whisper_is_named_and_has_another_key(root: Path, tmp_path: Path) -> None:
    folder = tmp_path / "whisper"
    folder.mkdir()
    for path in (root / "whisper").iterdir():
        (folder / path.name).write_bytes(path.read_bytes()[: -1000 if path.name == "model.bin" else None])
    with failing("damaged-judge"):
        judged(clip("lj-0"), tmp_path)
    keys = {
        cache_key("intelligibility", setup(each, recognizer="faster-whisper:./whisper")) for each in (root, tmp_path)
    }
    assert len(keys) == 2
