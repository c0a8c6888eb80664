"""Changes of single settings in a file that users edit too."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from fishtui.errors import MisuseError
from fishtui.settings import known, load
from fishtui.settings.file import change, template
from tests.expecting import failing


def test_setting_a_value_replaces_its_commented_line_and_unsetting_restores_it(tmp_path: Path) -> None:
    file = tmp_path / "fishtui.toml"
    file.write_text(template(), encoding="utf-8")
    change(file, "train.batch_size", "8")
    change(file, "paths.data", "voices")
    lines = file.read_text(encoding="utf-8").splitlines()
    differing = [(was, now) for was, now in zip(template().splitlines(), lines, strict=True) if was != now]
    assert [now.partition("  #")[0].rstrip() for _, now in differing] == ['data = "voices"', "batch_size = 8"]
    assert all(was.partition("  # ")[2] == now.partition("  # ")[2] for was, now in differing)
    change(file, "train.batch_size", "16")
    assert load(file, {}).values.train.batch_size == 16
    change(file, "train.batch_size", None)
    change(file, "paths.data", None)
    assert file.read_text(encoding="utf-8") == template()


def test_lines_and_comments_of_the_user_are_kept(tmp_path: Path) -> None:
    file = tmp_path / "fishtui.toml"
    file.write_text("# mine\n[train]\nmax_steps = 5  # few\n# batch_size is for later\n", encoding="utf-8")
    change(file, "train.batch_size", "3")
    change(file, "extract.workers", "2")
    loaded = load(file, {}).values
    assert (loaded.train.max_steps, loaded.train.batch_size, loaded.extract.workers) == (5, 3, 2)
    text = file.read_text(encoding="utf-8")
    assert text.startswith("# mine\n[train]\nmax_steps = 5  # few\n# batch_size is for later\n")
    change(file, "train.max_steps", None)
    assert load(file, {}).values.train.max_steps == known()["train.max_steps"].default


def test_a_byte_order_mark_is_not_part_of_the_settings(tmp_path: Path) -> None:
    """The case toml-bom."""
    file = tmp_path / "fishtui.toml"
    file.write_bytes(b"\xef\xbb\xbf[train]\r\nmax_steps = 3\r\n")
    assert load(file, {}).values.train.max_steps == 3
    change(file, "train.batch_size", "5")
    change(file, "train.max_steps", None)
    assert set(load(file, {}).sources) == {"train.batch_size"}


def test_a_settings_file_in_another_encoding_is_reported(tmp_path: Path) -> None:
    file = tmp_path / "fishtui.toml"
    for encoding in ("utf-16", "latin-1"):
        file.write_bytes("[run]\ntext = 'Grüße'\n".encode(encoding))
        with failing("bad-settings-file", MisuseError):
            load(file, {})
        with failing("bad-settings-file", MisuseError):
            change(file, "train.max_steps", "3")


# A valid value for each setting that takes the preset's or the model's own when it is unset.
UNSET = {
    "train.dropout": 0.5,
    "synthesize.temperature": 0.5,
    "synthesize.top_p": 0.5,
    "synthesize.top_k": 5,
    "synthesize.repetition_penalty": 1.5,
}


def test_each_setting_without_a_default_has_a_value_in_these_tests() -> None:
    assert set(UNSET) == {name for name, setting in known().items() if setting.default is None}


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(sorted(known())), st.booleans()), max_size=12), st.booleans())
def test_the_file_contains_exactly_the_values_that_are_set(
    tmp_path_factory, changes: list[tuple[str, bool]], commented: bool
) -> None:
    file = tmp_path_factory.mktemp("settings") / "fishtui.toml"
    if commented:
        file.write_text(template(), encoding="utf-8")
    wanted: dict[str, bool] = {}
    for name, is_set in changes:
        default = known()[name].default
        shown = " ".join(default) if isinstance(default, tuple) else str(UNSET.get(name, default))
        change(file, name, shown if is_set else None)
        wanted[name] = is_set
    assert set(load(file, {}).sources) == {name for name, is_set in wanted.items() if is_set}
