import json
from pathlib import Path

import msgspec
import pytest

from fishtui.errors import CheckpointError
from fishtui.lm.config import ModelConfig
from tests.golden_data import GOLDEN

PUBLISHED = Path(__file__).parent / "config-s1-mini.json"


def changed(tmp_path: Path, **changes) -> Path:
    content = json.loads(PUBLISHED.read_text()) | changes
    path = tmp_path / "config.json"
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not ...}))
    return path


@pytest.mark.parametrize("path", [PUBLISHED, GOLDEN / "checkpoint" / "config.json"], ids=["published", "golden"])
def test_every_value_is_read(path):
    config = msgspec.structs.asdict(ModelConfig.read(path))
    content = json.loads(path.read_text())
    assert {key: value for key, value in content.items() if key in config} == {
        key: value for key, value in config.items() if key in content
    }


def test_what_is_written_reads_the_same(tmp_path):
    config = ModelConfig.read(PUBLISHED)
    config.write(tmp_path / "config.json")
    assert ModelConfig.read(tmp_path / "config.json") == config
    assert json.loads((tmp_path / "config.json").read_text())["model_type"] == "dual_ar"


@pytest.mark.parametrize("absent", [None, ...], ids=["null", "absent"])
def test_fast_keys_default_to_the_slow_ones(tmp_path, absent):
    path = changed(tmp_path, fast_dim=absent, fast_head_dim=absent, fast_attention_qk_norm=absent)
    config = ModelConfig.read(path)
    assert (config.fast_dim, config.fast_head_dim, config.fast_attention_qk_norm) == (1024, 128, True)
    assert ModelConfig.read(changed(tmp_path, norm_fastlayer_input=absent)).norm_fastlayer_input is False


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"n_layers": 3}, ["unknown", "'n_layers'", "'n_layer'"]),
        ({"head_dim": ...}, ["lacks", "'head_dim'"]),
        ({"tie_word_embeddings": ...}, ["lacks", "'tie_word_embeddings'"]),
        ({"dim": "1024"}, ["int", "dim"]),
        ({"norm_eps": None}, ["norm_eps"]),
        ({"n_head": 0}, [">= 1", "n_head"]),
        ({"n_local_heads": 3}, ["n_head", "multiple"]),
        ({"fast_head_dim": 63}, ["fast_head_dim", "odd"]),
        ({"model_type": "naive"}, ["'naive'", "'dual_ar'"]),
    ],
)
def test_a_wrong_key_is_named(tmp_path, changes, words):
    with pytest.raises(CheckpointError) as caught:
        ModelConfig.read(changed(tmp_path, **changes))
    for word in [str(tmp_path), *words]:
        assert word in caught.value.problem
    assert caught.value.remedy


@pytest.mark.parametrize("content", [b"", b"[1]", b"{", b"\xff"])
def test_a_file_that_is_no_config_is_an_error(tmp_path, content):
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"config\.json"):
        ModelConfig.read(tmp_path / "config.json")


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(CheckpointError, match="does not exist"):
        ModelConfig.read(tmp_path / "config.json")
