"""A second model family: other file names, tensor names, tokenizer, prompts, padding, cleaning and sampling."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from fishtui.families.family import CONFIG, Family, Licence, Prompts, Vocabulary, read_json
from fishtui.lm.config import ModelConfig
from fishtui.lm.model import DualAR
from fishtui.lm.sampling import Sampling

if TYPE_CHECKING:
    from fishtui.families.family import Tokens, Utterance

WEIGHTS = "weights.safetensors"
TOKENS = "tokens.json"
PREFIX = "text_model."
PAD, START, END, SEMANTIC = 256, 257, 258, 300


class Toy(Family):
    model_type = "toy"
    title = "Toy"
    licence = Licence("Toy licence", "https://example.org", ())
    repository = "nobody/toy"
    tokenizer_names = (TOKENS,)
    cleaning_code = ()
    extra_names = ("LICENSE.md",)
    notices: ClassVar = {"Notice": "A toy."}
    templates = ("toy",)
    older_template = "toy"

    def weight_names(self, available: Collection[str]) -> tuple[str, ...]:
        return (WEIGHTS,)

    def read_config(self, path: Path) -> ModelConfig:
        return ModelConfig(**read_json(path)["text_config"])

    def read_vocabulary(self, folder: Path) -> Vocabulary:
        ids = read_json(folder / TOKENS)
        return Vocabulary(ids["semantic"], ids["semantic"] + ids["count"] - 1, ids["end"], ids["semantic"] + 4095)

    def read_weights(self, folder: Path, config: ModelConfig) -> dict[str, Tensor]:
        return {name.removeprefix(PREFIX): value for name, value in load_file(folder / WEIGHTS).items()}

    def write_weights(self, tensors: Mapping[str, Tensor], folder: Path, base: Path) -> None:
        save_file({PREFIX + name: value.contiguous() for name, value in tensors.items()}, folder / WEIGHTS)

    def write_tiny(self, folder: Path) -> None:
        sizes = {
            "vocab_size": SEMANTIC + 4096, "num_codebooks": 10, "codebook_size": 4096, "max_seq_len": 512,
            "rope_base": 10_000.0, "norm_eps": 1e-6, "scale_codebook_embeddings": True, "tie_word_embeddings": True,
            "norm_fastlayer_input": True, "dim": 32, "n_layer": 1, "n_head": 2, "n_local_heads": 1, "head_dim": 16,
            "intermediate_size": 48, "attention_qkv_bias": False, "attention_o_bias": False,
            "attention_qk_norm": True, "fast_dim": 32, "n_fast_layer": 1, "fast_n_head": 2, "fast_n_local_heads": 1,
            "fast_head_dim": 16, "fast_intermediate_size": 48, "fast_attention_qkv_bias": False,
            "fast_attention_o_bias": False, "fast_attention_qk_norm": False,
        }  # fmt: skip
        folder.mkdir(parents=True, exist_ok=True)
        (folder / CONFIG).write_text(json.dumps({"model_type": self.model_type, "text_config": sizes}))
        (folder / TOKENS).write_text(json.dumps({"semantic": SEMANTIC, "count": 4096, "end": END}))
        (folder / "LICENSE.md").write_text("Terms.")
        model = DualAR(self.read_config(folder / CONFIG), semantic_begin=SEMANTIC, im_end=END)
        for parameter in model.parameters():
            if parameter.ndim > 1:
                torch.nn.init.normal_(parameter, std=0.1)
        self.write_weights(model.state_dict(), folder, folder)

    def prompts(self, folder: Path, template: str, codebooks: int) -> Prompts:
        return ToyPrompts(codebooks)

    def sampling(self) -> Sampling:
        return Sampling(temperature=1.0, top_p=0.9, repetition_penalty=1.0, penalty_window=1, residual_candidates=4096)

    def clean_for_packing(self, text: str) -> str:
        return text.upper()

    def clean_for_training(self, text: str) -> str:
        return text.strip()

    def removed(self, text: str) -> list[str]:
        return []

    def simplified(self, text: str) -> list[str]:
        return []


class ToyPrompts:
    """References first, then START, text and frames of each message; `|` separates messages."""

    padding = PAD

    def __init__(self, codebooks: int) -> None:
        self.rows = 1 + codebooks

    def text(self, text: str) -> Tokens:
        tokens = np.zeros((self.rows, 1 + len(text.encode())), dtype=np.int64)
        tokens[0] = [START, *text.encode()]
        return tokens

    def frames(self, codes: np.ndarray) -> Tokens:
        end = np.zeros((self.rows, 1), dtype=np.int64)
        end[0] = END
        return np.concatenate([np.concatenate([codes[:1] + SEMANTIC, codes]), end], axis=1).astype(np.int64)

    def training_sequence(
        self, utterances: Sequence[Utterance], references: Sequence[Utterance] = ()
    ) -> tuple[Tokens, Tokens]:
        parts = [part for text, codes in utterances for part in (self.text(text), self.frames(codes))]
        tokens = np.concatenate(parts, axis=1)
        learned = np.concatenate(
            [np.full_like(part, -100) if number % 2 == 0 else part for number, part in enumerate(parts)], axis=1
        )
        return tokens[:, :-1], learned[:, 1:]

    def sequence_length(self, utterance: Utterance) -> int:
        return self.training_sequence([utterance])[0].shape[1]

    def of_one_voice(self, text: str, references: Sequence[Utterance]) -> list[Utterance]:
        return list(references)

    def messages(self, text: str) -> list[str]:
        return text.split("|")

    def synthesis_prompt(
        self, messages: Sequence[str], answers: Sequence[np.ndarray], references: Sequence[Utterance]
    ) -> Tokens:
        spoken = [*references, *zip(messages, answers, strict=False)]
        parts = [part for text, codes in spoken for part in (self.text(text), self.frames(codes))]
        return np.concatenate([*parts, self.text(messages[-1])], axis=1)
