from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from fishtui.errors import MisuseError
from fishtui.settings import SettingError, Settings, known, load, schema
from fishtui.settings.file import template
from tests.expecting import failing


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "fishtui.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_later_sources_override_earlier_ones_and_are_recorded(tmp_path: Path) -> None:
    path = write(tmp_path, "[train]\nbatch_size = 2\nseed = 3\nmax_steps = 5\n")
    environment = {"FISHTUI_TRAIN_SEED": "4", "FISHTUI_TRAIN_MAX_STEPS": "6"}
    loaded = load(path, environment, ["train.max_steps=7"])
    assert (loaded.values.train.batch_size, loaded.values.train.seed, loaded.values.train.max_steps) == (2, 4, 7)
    assert loaded.sources == {
        "train.batch_size": "fishtui.toml",
        "train.seed": "$FISHTUI_TRAIN_SEED",
        "train.max_steps": "--set",
    }


def test_without_a_file_all_settings_have_their_defaults(tmp_path: Path) -> None:
    loaded = load(tmp_path / "none.toml", {})
    assert loaded.values == Settings()
    assert not loaded.sources


@pytest.mark.parametrize(
    ("text", "code", "named", "remedy"),
    [
        ("[train]\nbatchsize = 2\n", "unknown-setting", "train.batchsize", "train.batch_size"),
        ("[trian]\nseed = 2\n", "unknown-section", "[trian]", "train"),
        ("[train]\nbatch_size = 0\n", "bad-setting", "train.batch_size = 0", ""),
        ('[train]\nbatch_size = "4"\n', "bad-setting", "train.batch_size = '4'", ""),
        ("[train]\nlora = 8\n", "bad-setting", "train.lora", ""),
        ("seed = 1\n", "no-section", "seed", "[train]"),
        ("[train\n", "bad-settings-file", "fishtui.toml", ""),
    ],
)
def test_an_invalid_settings_file_is_reported_with_a_remedy(
    tmp_path: Path, text: str, code: str, named: str, remedy: str
) -> None:
    with failing(code, MisuseError) as caught:
        load(write(tmp_path, text), {})
    assert named in caught.value.problem
    assert remedy in caught.value.remedy
    assert caught.value.exit_status == 2


@pytest.mark.parametrize(
    ("override", "code"),
    [
        ("train.seed", "no-value"),
        ("train.sed=1", "unknown-setting"),
        ("train.seed=x", "bad-setting"),
        ("extract.device=gpu", "bad-setting"),
        ("train.learning_rate=nan", "bad-setting"),
    ],
)
def test_an_invalid_override_is_refused(tmp_path: Path, override: str, code: str) -> None:
    with failing(code, MisuseError):
        load(tmp_path / "none.toml", {}, [override])


def test_a_setting_error_has_name_value_and_reason(tmp_path: Path) -> None:
    with pytest.raises(SettingError) as caught:
        load(tmp_path / "none.toml", {}, ["extract.device=gpu"])
    error = caught.value
    assert (error.name, error.value) == ("extract.device", "gpu")
    assert error.problem == f"extract.device = 'gpu': {error.reason}"
    with pytest.raises(SettingError) as caught:
        load(tmp_path / "none.toml", {}, ["extract.devise=gpu"])
    assert (caught.value.name, caught.value.value) == ("extract.devise", "gpu")


def test_lists_are_written_with_commas(tmp_path: Path) -> None:
    loaded = load(tmp_path / "none.toml", {}, ["train.targets=attention, mlp"])
    assert loaded.values.train.targets == ("attention", "mlp")


def test_the_template_names_every_setting_at_its_default(tmp_path: Path) -> None:
    uncommented = "\n".join(line.removeprefix("# ") if " = " in line else line for line in template().splitlines())
    content = tomllib.loads(uncommented)
    assert {f"{section}.{key}" for section, table in content.items() for key in table} == known().keys()
    assert load(write(tmp_path, uncommented), {}).values == Settings()
    assert load(write(tmp_path, template()), {}).sources == {}


def test_every_setting_has_help() -> None:
    assert [each.name for each in known().values() if not each.help] == []


def test_the_published_schema_matches_the_code() -> None:
    published = Path(__file__).parent.parent / "schemas" / "settings.schema.json"
    assert json.loads(published.read_text(encoding="utf-8")) == json.loads(json.dumps(schema()))
