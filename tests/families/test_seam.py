"""Nothing outside the families asks which model it is, or knows the files of one of them."""

from __future__ import annotations

from fishtui.families.registry import FAMILIES
from tests.families.test_second_family import PACKAGE, module_strings

# Files of other models with the same names, the names of the format, and the default folder of the model.
OTHERS = {
    ("settings/sections.py", "openaudio-s1-mini"),
    ("judges/recognizers.py", "tokenizer.json"),
    ("tensorfiles/names.py", "model.safetensors.index.json"),
}


def test_no_other_module_names_a_kind_of_model_or_its_files() -> None:
    names = {
        name
        for family in FAMILIES.values()
        for name in (
            *family.weight_names(()),
            *family.tokenizer_names,
            *family.extra_names,
            family.model_type,
            family.title,
            family.repository,
        )
    }
    found = {
        (path.relative_to(PACKAGE).as_posix(), name)
        for path in PACKAGE.rglob("*.py")
        if not path.is_relative_to(PACKAGE / "families")
        for text in module_strings(path)
        for name in names
        if name in text
    }
    assert found == OTHERS


def test_no_other_module_imports_a_family() -> None:
    folders = [path.name for path in (PACKAGE / "families").iterdir() if (path / "family.py").is_file()]
    assert len(folders) == len(FAMILIES)
    importing = [
        path.name
        for path in PACKAGE.rglob("*.py")
        if not path.is_relative_to(PACKAGE / "families")
        for folder in folders
        if f"families.{folder}" in path.read_text(encoding="utf-8")
    ]
    assert importing == []
