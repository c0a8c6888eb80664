from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fishtui.errors import CheckpointError
from fishtui.families.registry import family_of
from fishtui.families.s2_pro.config import read_config
from fishtui.families.s2_pro.layout import flat_name, stored_name
from tests.expecting import failing
from tests.golden_data import OFFICIAL_S2

PUBLISHED = OFFICIAL_S2 / "config.json"


def changed(folder: Path, section: str = "", **changes: Any) -> Path:
    content = json.loads(PUBLISHED.read_text())
    target = content[section] if section else content
    target.update(changes)
    for key in [key for key, value in changes.items() if value is ...]:
        del target[key]
    path = folder / "config.json"
    path.write_text(json.dumps(content))
    return path


def test_the_published_config_is_read() -> None:
    config = read_config(PUBLISHED)
    assert family_of(PUBLISHED).model_type == "fish_qwen3_omni"
    assert (config.n_layer, config.dim, config.head_dim, config.vocab_size) == (36, 2560, 128, 155776)
    assert (config.n_fast_layer, config.fast_dim, config.codebook_size, config.num_codebooks) == (4, 2560, 4096, 10)
    assert (config.attention_qk_norm, config.fast_attention_qk_norm) == (True, False)
    assert (config.tie_word_embeddings, config.scale_codebook_embeddings, config.norm_fastlayer_input) == (True,) * 3


@pytest.mark.parametrize(
    ("section", "changes", "code", "word"),
    [
        ("text_config", {"use_moe": True}, "unsupported-model", "use_moe"),
        ("audio_decoder_config", {"use_moe": True}, "unsupported-model", "use_moe"),
        ("text_config", {"tie_word_embeddings": False}, "unsupported-model", "tie_word_embeddings"),
        ("audio_decoder_config", {"tie_word_embeddings": True}, "unsupported-model", "tie_word_embeddings"),
        ("audio_decoder_config", {"dim": 1280}, "unsupported-model", "dim"),
        ("audio_decoder_config", {"text_dim": 1280}, "unsupported-model", "text_dim"),
        ("text_config", {"head_dim": ...}, "missing-config-key", "head_dim"),
        ("", {"audio_decoder_config": ...}, "missing-config-key", "audio_decoder_config"),
        ("text_config", {"n_layer": "36"}, "wrong-config-value", "n_layer"),
        ("text_config", {"n_layer": 10**9}, "wrong-config-value", "n_layer"),
        ("text_config", {"n_local_heads": 5}, "wrong-config-value", "n_head"),
        ("", {"semantic_end_token_id": 155774}, "wrong-config-value", "semantic"),
        ("", {"text_config": None}, "wrong-config-value", "text_config"),
    ],
)
def test_a_wrong_or_unsupported_value_is_named(
    section: str, changes: dict[str, Any], code: str, word: str, tmp_path: Path
) -> None:
    with failing(code, CheckpointError) as caught:
        read_config(changed(tmp_path, section, **changes))
    assert str(tmp_path) in caught.value.problem
    assert word in caught.value.problem


def test_keys_that_change_nothing_are_accepted(tmp_path: Path) -> None:
    path = changed(tmp_path, "text_config", dropout=0.3, router_gamma=None, anything={"a": [1]}, use_moe=...)
    assert read_config(path) == read_config(PUBLISHED)


def test_names_of_tensors_are_translated_both_ways() -> None:
    names = {
        "audio_decoder.codebook_embeddings.weight": "codebook_embeddings.weight",
        "audio_decoder.layers.0.attention.wqkv.weight": "fast_layers.0.attention.wqkv.weight",
        "audio_decoder.output.weight": "fast_output.weight",
        "text_model.model.layers.3.ffn_norm.weight": "layers.3.ffn_norm.weight",
    }
    assert {name: flat_name(name) for name in names} == names
    assert {stored_name(flat): flat for flat in names.values()} == names
