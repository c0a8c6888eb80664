"""The description of the family."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from fishtui.families.family import CONFIG, Family, Prompts, Vocabulary
from fishtui.families.s2_pro import MODEL_TYPE
from fishtui.families.s2_pro import text as cleaning
from fishtui.families.s2_pro.published import HASHES, LICENCE, NOTICES, REVISION

if TYPE_CHECKING:
    from torch import Tensor

    from fishtui.families.s2_pro.tokenizer import Tokenizer
    from fishtui.lm.config import ModelConfig
    from fishtui.lm.sampling import Sampling


class S2Pro(Family):
    """S2-Pro, and other checkpoints of its type and structure."""

    model_type = MODEL_TYPE
    title = "S2-Pro"
    revision = REVISION
    published = HASHES
    licence = LICENCE
    notices = NOTICES
    advice = (
        "compare it with the base before use: Fish Audio advises against fine-tuning models that were trained with"
        " reinforcement learning, as S2-Pro was"
    )
    repository = "fishaudio/s2-pro"
    tokenizer_names = ("tokenizer.json",)
    extra_names = ("tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja", "LICENSE.md")
    cleaning_code = ("families/s1_mini/text.py", "families/s2_pro/text.py")
    templates = ("chat", "chat-untagged")
    # The older tool's own prompt for this model is one that the model never speaks with.
    older_template = "chat"
    has_marks = True
    learns_with_references = True

    def serving_commands(self, folder: Path) -> tuple[str, ...]:
        where = shlex.quote(str(folder))
        return (
            f"vllm serve {where} --omni --port 8091",
            # The file of settings comes with SGLang-Omni's source.
            f"sgl-omni serve --model-path {where} --config examples/configs/s2pro_tts.yaml --port 8000",
        )

    def serving_hint(self, template: str) -> str:
        if template != self.templates[0]:
            return "SGLang-Omni begins each text with <|speaker:0|>, unlike this training; vLLM-Omni does not"
        return "begin each text for vLLM-Omni with <|speaker:0|>, as in training; SGLang-Omni does this itself"

    def weight_names(self, available: Collection[str]) -> tuple[str, ...]:
        from fishtui.tensorfiles.names import weight_names

        return weight_names(available)

    def read_config(self, path: Path) -> ModelConfig:
        from fishtui.families.s2_pro.config import read_config

        return read_config(path)

    def read_vocabulary(self, folder: Path) -> Vocabulary:
        return self._tokenizer(folder).vocabulary

    def _tokenizer(self, folder: Path) -> Tokenizer:
        from fishtui.families.s2_pro.config import read_file
        from fishtui.families.s2_pro.tokenizer import Tokenizer

        tokenizer = Tokenizer.read(folder / self.tokenizer_names[0])
        tokenizer.check(read_file(folder / CONFIG), folder)
        return tokenizer

    def read_weights(self, folder: Path, config: ModelConfig) -> dict[str, Tensor]:
        from fishtui.families.s2_pro.weights import read_weights

        return read_weights(folder, config)

    def write_weights(self, tensors: Mapping[str, Tensor], folder: Path, base: Path) -> None:
        from fishtui.families.s2_pro.weights import write_weights

        write_weights(tensors, folder, base)

    def prompts(self, folder: Path, template: str, codebooks: int) -> Prompts:
        from fishtui.families.s2_pro.prompt import S2Prompts

        return S2Prompts(template, self._tokenizer(folder), codebooks)

    def sampling(self) -> Sampling:
        from fishtui.lm.sampling import RepetitionAware, Sampling

        # The values of the public servers; the second draw is the published code's.
        again = RepetitionAware(window=10, temperature=1.0, top_p=0.9)
        return Sampling(temperature=0.8, top_p=0.8, top_k=30, repetition_aware=again)

    def clean_for_packing(self, text: str) -> str:
        return cleaning.clean_for_packing(text)

    def lost(self, transcript: str, packed: str) -> list[str]:
        return cleaning.lost(transcript, packed)

    def without_speakers(self, text: str) -> str:
        return cleaning.TAG.sub("", text)

    def words(self, text: str) -> str:
        return cleaning.words(text)

    def clean_for_training(self, text: str) -> str:
        return cleaning.clean_for_training(text)

    def removed(self, text: str) -> list[str]:
        return cleaning.removed(text)

    def simplified(self, text: str) -> list[str]:
        return cleaning.simplified(text)
