"""The checkpoint folder: its files, for models of every family. Importing this module loads no torch."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from fishtui.codec.config import sizes_file
from fishtui.errors import CheckpointError
from fishtui.families.family import CONFIG, Family, Prompts, Vocabulary
from fishtui.families.registry import DEFAULT, FAMILIES, family_of
from fishtui.files import hash_file, write_text
from fishtui.reading import Damaged, PathText, read_json
from fishtui.wording import missing_checkpoint_file

if TYPE_CHECKING:
    from torch import Tensor

    from fishtui.lm.config import ModelConfig

CODEC = "codec.pth"
# Written by merge.
RECORD = "merge.json"
# A model with this file has random weights on purpose.
UNTRAINED = "UNTRAINED"


class MergeRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of a merge's record that are read again: the adapter and its step, and the template of prompts."""

    adapter: PathText = ""
    template: str = ""
    step: Annotated[int, msgspec.Meta(ge=0)] | None = None


@dataclass(frozen=True)
class CheckpointFolder:
    """A folder that holds a model's config, weights and tokenizer, and a codec."""

    path: Path

    @property
    def family(self) -> Family:
        """The family of the model. Raises CheckpointError if the config is missing, damaged or of an unknown model."""
        return family_of(self.config_file)

    @property
    def family_or_default(self) -> Family:
        """The family of the model, or the default one if the folder has no valid config yet."""
        try:
            return self.family
        except CheckpointError:
            return DEFAULT

    @property
    def kind(self) -> str:
        """A name of the family, that of the default one if the folder has no valid config yet."""
        return self.family_or_default.model_type

    @property
    def title(self) -> str:
        """The name of the model for people; empty if the folder has no valid config."""
        try:
            return self.family.title
        except CheckpointError:
            return ""

    @property
    def config_file(self) -> Path:
        return self.path / CONFIG

    @property
    def codec_file(self) -> Path:
        return self.path / CODEC

    @property
    def record_file(self) -> Path:
        """The record of a merge; it exists in merged checkpoints only."""
        return self.path / RECORD

    @property
    def is_untrained(self) -> bool:
        """True if a file in the folder states that the weights are random, on purpose."""
        return (self.path / UNTRAINED).exists()

    @property
    def weight_files(self) -> list[Path]:
        """The files that hold the model's weights."""
        return [self.path / name for name in self._weight_names(self.family_or_default)]

    @property
    def model_files(self) -> list[Path]:
        """All files that the model needs: config, weights and tokenizer."""
        family = self.family_or_default
        return [self.path / name for name in (CONFIG, *self._weight_names(family), *family.tokenizer_names)]

    @property
    def codec_files(self) -> list[Path]:
        """The codec, and the file of its sizes, which published codecs do without."""
        return codec_files(self.codec_file)

    @property
    def files(self) -> list[Path]:
        """All files of model and codec, and the record of a merge."""
        return [*self.model_files, *self.codec_files, self.record_file]

    def _weight_names(self, family: Family) -> tuple[str, ...]:
        return family.weight_names(os.listdir(self.path) if self.path.is_dir() else ())

    def missing(self) -> list[Path]:
        """Return the files that loading the model and the codec needs and that are absent."""
        return [path for path in (*self.model_files, self.codec_file) if not path.is_file()]

    def check(self, template: str | None = None) -> None:
        """Raise CheckpointError if the folder or one of its files is missing, or the config or template is wrong."""
        self.config()
        self.check_files()
        if missing := self.missing():
            raise missing_checkpoint_file(missing[0])
        self.check_template(template or self.template())

    def check_files(self) -> None:
        """Raise CheckpointError if a file of the model is missing; another family's file in its place is named."""
        missing = [path for path in self.model_files if not path.is_file()]
        if not missing:
            return
        own, available = self.family_or_default, os.listdir(self.path) if self.path.is_dir() else ()
        for family in FAMILIES.values():
            names = (*family.weight_names(available), *family.tokenizer_names)
            others = [name for name in names if name in available and self.path / name not in self.model_files]
            if others:
                raise CheckpointError(
                    f"{self.path}: {CONFIG} belongs to {own.title}, but {others[0]} to {family.title},"
                    f" and {missing[0].name} is missing",
                    "Keep each model in a folder of its own; download it completely with `fishtui download`.",
                    code="mixed-models",
                )
        raise missing_checkpoint_file(missing[0])

    def check_template(self, template: str) -> None:
        """Raise CheckpointError unless the model has this prompt template."""
        if template not in self.family.templates:
            raise CheckpointError(
                f"{self.path}: the model has no prompt template {template!r}",
                f"Use {' or '.join(self.family.templates)}.",
                code="unknown-template",
            )

    def config(self) -> ModelConfig:
        """Read the model's config. Raises CheckpointError."""
        return self.family.read_config(self.config_file)

    def vocabulary(self) -> Vocabulary:
        """Read the tokenizer's ids. Raises CheckpointError."""
        return self.family.read_vocabulary(self.path)

    def template(self) -> str:
        """Return the prompt template that a merge recorded, or the published model's. Raises CheckpointError."""
        templates = self.family.templates
        if not self.record_file.exists():
            return templates[0]
        try:
            template = read_json(self.record_file, MergeRecord).template
            if template not in templates:
                raise Damaged(f"unknown template {template!r}")
            return template
        except (Damaged, OSError) as error:
            raise CheckpointError(
                f"{self.record_file}: not a merge record: {error}",
                "Merge again with `fishtui merge`.",
                code="damaged-merge-record",
            ) from error

    @property
    def usual_template(self) -> str:
        """The template that `template` returns, the family's first one if the folder is not valid."""
        try:
            return self.template()
        except CheckpointError:
            return self.family_or_default.templates[0]

    def prompts(self, template: str) -> Prompts:
        """Return the prompts of a template, with this checkpoint's tokenizer. Raises CheckpointError."""
        self.check_template(template)
        return self.family.prompts(self.path, template, self.config().num_codebooks)

    def tensors(self) -> dict[str, Tensor]:
        """Read the model's weights, memory-mapped, under the parameter names of `DualAR`. Raises CheckpointError."""
        return self.family.read_weights(self.path, self.config())

    def write_tensors(self, tensors: Mapping[str, Tensor], base: CheckpointFolder) -> None:
        """Write weights, named as `DualAR` names them, in the layout of `base`."""
        base.family.write_weights(tensors, self.path, base.path)

    def write_record(self, record: Mapping[str, Any]) -> None:
        """Write the record of a merge. Raises FishtuiError."""
        write_text(self.record_file, json.dumps(record, indent=1) + "\n")

    def sha256(self, hash_of: Callable[[Path], str] = hash_file) -> str:
        """Return the SHA-256 of the weights; for several files, that of their hashes in order. Raises OSError.

        `hash_of` returns the SHA-256 of a file.
        """
        hashes = [hash_of(path) for path in self.weight_files]
        return hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()

    def copy_companions(self, to: Path, changes: str = "", codec: bool = True) -> None:
        """Copy the files that a merge leaves unchanged: config, tokenizer, extras and, if `codec`, the codec.

        The codec is linked where the file system can. Notices that the licence requires name the `changes`. Raises
        OSError.
        """
        family = self.family
        for name in (CONFIG, *family.tokenizer_names):
            shutil.copyfile(self.path / name, to / name)
        for name in family.extra_names:
            if (self.path / name).exists():
                shutil.copyfile(self.path / name, to / name)
        for name, text in family.notices.items():
            (to / name).write_text(text.replace("{changes}", changes), encoding="utf-8")
        for source in self.codec_files if codec else ():
            if source.exists():
                _link_or_copy(source, to / source.name)


def codec_files(codec: Path) -> list[Path]:
    """Return the codec's file and the file next to it that holds its sizes, if it is not of the published sizes."""
    return [codec, sizes_file(codec)]


def family_in(repository: str, available: Collection[str]) -> Family:
    """Return the family whose files are all among the `available` file names of a repository.

    Raises CheckpointError if the repository is not a checkpoint of any family.
    """
    for family in FAMILIES.values():
        if all(name in available for name in _needed(family, available)):
            return family
    missing = [name for name in _needed(DEFAULT, available) if name not in available]
    raise CheckpointError(
        f"{repository}: not a checkpoint: no {', '.join(missing)}",
        f"Download a published checkpoint: {' or '.join(family.repository for family in FAMILIES.values())}.",
        code="no-checkpoint-in-repository",
    )


def files_to_download(repository: str, available: Collection[str]) -> list[str]:
    """Return those of the `available` file names of a repository that make up a checkpoint. Raises CheckpointError."""
    family = family_in(repository, available)
    extras = (*family.extra_names, sizes_file(Path(CODEC)).name)
    return [*_needed(family, available), *(name for name in extras if name in available)]


def _needed(family: Family, available: Collection[str]) -> tuple[str, ...]:
    return (CONFIG, *family.weight_names(available), CODEC, *family.tokenizer_names)


def _link_or_copy(source: Path, target: Path) -> None:
    target.unlink(missing_ok=True)
    try:
        os.link(source.resolve(), target)
    except OSError:
        # Another file system, or one without hard links.
        shutil.copyfile(source, target)
