"""The description of the family."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from fishtui.families.family import Family, Licence, Prompts, Vocabulary
from fishtui.families.s1_mini import MODEL_TYPE
from fishtui.families.s1_mini import text as cleaning

if TYPE_CHECKING:
    from torch import Tensor

    from fishtui.families.s1_mini.tokenizer import Tokenizer
    from fishtui.lm.config import ModelConfig
    from fishtui.lm.sampling import Sampling


class S1Mini(Family):
    """openaudio-s1-mini, and other checkpoints of its type."""

    model_type = MODEL_TYPE
    title = "openaudio-s1-mini"
    licence = Licence(
        "CC BY-NC-SA 4.0",
        "https://creativecommons.org/licenses/by-nc-sa/4.0/",
        (
            "Use is free for purposes that are not commercial.",
            "Derived models have the same licence, and name their source.",
        ),
    )
    repository = "fishaudio/openaudio-s1-mini"
    tokenizer_names = ("tokenizer.tiktoken", "special_tokens.json")
    cleaning_code = ("families/s1_mini/text.py",)
    templates = ("interleave", "instruct")
    older_template = "instruct"

    def weight_names(self, available: Collection[str]) -> tuple[str, ...]:
        return ("model.pth",)

    def read_config(self, path: Path) -> ModelConfig:
        from fishtui.families.s1_mini.config import read_config

        return read_config(path)

    def read_vocabulary(self, folder: Path) -> Vocabulary:
        return self._tokenizer(folder).vocabulary

    def read_weights(self, folder: Path, config: ModelConfig) -> dict[str, Tensor]:
        from fishtui.families.s1_mini.layout import read_weights

        return read_weights(folder / self.weight_names(())[0], config)

    def write_weights(self, tensors: Mapping[str, Tensor], folder: Path, base: Path) -> None:
        from fishtui.families.s1_mini.layout import write_weights

        write_weights(tensors, folder / self.weight_names(())[0])

    def prompts(self, folder: Path, template: str, codebooks: int) -> Prompts:
        from fishtui.families.s1_mini.prompt import S1Prompts

        return S1Prompts(template, self._tokenizer(folder), codebooks)

    def _tokenizer(self, folder: Path) -> Tokenizer:
        from fishtui.families.s1_mini.tokenizer import Tokenizer

        return Tokenizer.read(*(folder / name for name in self.tokenizer_names))

    def sampling(self) -> Sampling:
        from fishtui.lm.sampling import Sampling

        # The residual codebooks have 1,024 entries; the fast transformer's further logits are untrained.
        return Sampling(temperature=0.7, top_p=0.7, repetition_penalty=1.5, penalty_window=16, residual_candidates=1024)

    def clean_for_packing(self, text: str) -> str:
        return cleaning.clean_for_packing(text)

    def clean_for_training(self, text: str) -> str:
        return cleaning.clean_for_training(text)

    def removed(self, text: str) -> list[str]:
        return cleaning.removed(text)

    def simplified(self, text: str) -> list[str]:
        return cleaning.simplified(text)
