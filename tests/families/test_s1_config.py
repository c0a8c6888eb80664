import json
from pathlib import Path

import msgspec
import pytest

from fishtui.errors import CheckpointError
from fishtui.families.registry import DEFAULT, family_of
from fishtui.families.s1_mini.config import read_config
from tests.expecting import failing
from tests.golden_data import GOLDEN
from tests.tinymodels.s1 import write_config

PUBLISHED = Path(__file__).parents[1] / "lm" / "config-s1-mini.json"


def changed(tmp_path: Path, **changes) -> Path:
    content = json.loads(PUBLISHED.read_text()) | changes
    path = tmp_path / "config.json"
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not ...}))
    return path


@pytest.mark.parametrize("path", [PUBLISHED, GOLDEN / "checkpoint" / "config.json"], ids=["published", "golden"])
def test_every_value_is_read(path):
    config = msgspec.structs.asdict(read_config(path))
    content = json.loads(path.read_text())
    assert {key: value for key, value in content.items() if key in config} == {
        key: value for key, value in config.items() if key in content
    }


def test_a_written_config_reads_the_same(tmp_path):
    config = read_config(PUBLISHED)
    write_config(config, tmp_path / "config.json")
    assert read_config(tmp_path / "config.json") == config
    assert json.loads((tmp_path / "config.json").read_text())["model_type"] == "dual_ar"


@pytest.mark.parametrize("absent", [None, ...], ids=["null", "absent"])
def test_fast_keys_default_to_the_slow_ones(tmp_path, absent):
    path = changed(tmp_path, fast_dim=absent, fast_head_dim=absent, fast_attention_qk_norm=absent)
    config = read_config(path)
    assert (config.fast_dim, config.fast_head_dim, config.fast_attention_qk_norm) == (1024, 128, True)
    assert read_config(changed(tmp_path, norm_fastlayer_input=absent)).norm_fastlayer_input is False


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"n_layers": 3}, "unknown-config-key", ["'n_layers'"]),
        ({"head_dim": ...}, "missing-config-key", ["'head_dim'"]),
        ({"tie_word_embeddings": ...}, "missing-config-key", ["'tie_word_embeddings'"]),
        ({"dim": "1024"}, "wrong-config-value", ["int", "dim"]),
        ({"norm_eps": None}, "wrong-config-value", ["norm_eps"]),
        ({"n_head": 0}, "wrong-config-value", [">= 1", "n_head"]),
        ({"n_local_heads": 3}, "wrong-config-value", ["n_head", "multiple"]),
        ({"fast_head_dim": 63}, "wrong-config-value", ["fast_head_dim", "odd"]),
    ],
)
def test_a_wrong_key_is_named(tmp_path, changes, code, words):
    with failing(code, CheckpointError) as caught:
        read_config(changed(tmp_path, **changes))
    for word in [str(tmp_path), *words]:
        assert word in caught.value.problem
    assert caught.value.remedy


def test_the_nearest_key_is_suggested(tmp_path):
    with failing("unknown-config-key") as caught:
        read_config(changed(tmp_path, n_layers=3))
    assert "n_layer?" in caught.value.remedy


@pytest.mark.parametrize("kind", ["naive", 3, None])
def test_another_model_type_is_an_error(tmp_path, kind):
    with failing("unknown-model", CheckpointError) as caught:
        family_of(changed(tmp_path, model_type=kind))
    assert repr(kind) in caught.value.problem


def test_a_config_without_a_model_type_is_of_the_default_family(tmp_path):
    assert family_of(changed(tmp_path, model_type=...)) is DEFAULT


@pytest.mark.parametrize("content", [b"", b"[1]", b"{", b"\xff"])
def test_a_file_without_a_config_is_an_error(tmp_path, content):
    (tmp_path / "config.json").write_bytes(content)
    for read in (read_config, family_of):
        with failing("not-json", CheckpointError) as caught:
            read(tmp_path / "config.json")
        assert str(tmp_path / "config.json") in caught.value.problem


def test_a_missing_file_is_an_error(tmp_path):
    for read in (read_config, family_of):
        with failing("no-checkpoint-file", CheckpointError):
            read(tmp_path / "config.json")
