"""The family's tokenizer: byte-pair encoding by the `tokenizers` package."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tokenizers

from fishtui.errors import CheckpointError
from fishtui.families.family import Vocabulary, read_json
from fishtui.families.s2_pro.config import Config
from fishtui.reading import Damaged, guarded

REMEDY = "Download the checkpoint again with `fishtui download`."
NEEDED = ("<|im_start|>", "<|im_end|>", "<|pad|>", "<|voice|>", "<|semantic:0|>")


class Tokenizer:
    """Two encodings of text: one for templates, with the added tokens, and one without them for texts of users."""

    def __init__(self, content: Mapping[str, Any]) -> None:
        """Take the content of a `tokenizer.json`. Raises ValueError, or errors of any kind for damaged content."""
        added = {str(token["content"]): int(token["id"]) for token in content["added_tokens"]}
        for name in NEEDED:
            if name not in added:
                raise ValueError(f"the token {name} is missing")
        if len(set(added.values())) < len(added):
            raise ValueError("two tokens have the same id")
        self._ids = added
        self._template = _encoding(content)
        # Without special tokens only, other added ones such as <think> would remain.
        self._plain = _encoding({**content, "added_tokens": []})
        self.padding = added["<|pad|>"]
        codes = sum(name.startswith("<|semantic:") for name in added)
        begin = added["<|semantic:0|>"]
        for code in range(codes):
            if added.get(f"<|semantic:{code}|>") != begin + code:
                raise ValueError(f"the id of <|semantic:{code}|> does not follow the previous one")
        highest = max(*added.values(), self._plain.get_vocab_size() - 1)
        self.vocabulary = Vocabulary(begin, begin + codes - 1, added["<|im_end|>"], highest)

    @classmethod
    def read(cls, path: Path) -> Tokenizer:
        """Read a `tokenizer.json`. Raises CheckpointError."""
        content = read_json(path)
        try:
            with guarded():
                return cls(content)
        except Damaged as error:
            raise CheckpointError(f"{path}: invalid tokenizer: {error}", REMEDY, code="wrong-tokenizer") from error

    def check(self, config: Config, folder: Path) -> None:
        """Raise CheckpointError unless the ids are those in the config of the checkpoint `folder`."""
        for key, name, wanted in (
            ("eos_token_id", "<|im_end|>", config.eos_token_id),
            ("pad_token_id", "<|pad|>", config.pad_token_id),
            ("audio_pad_token_id", "<|audio_pad|>", config.audio_pad_token_id),
            ("semantic_start_token_id", "<|semantic:0|>", config.semantic_start_token_id),
            (
                "semantic_end_token_id",
                f"<|semantic:{config.audio_decoder_config.vocab_size - 1}|>",
                config.semantic_end_token_id,
            ),
        ):
            if self._ids.get(name) != wanted:
                raise CheckpointError(
                    f"{folder}: {name} has the id {self._ids.get(name)} in the tokenizer, {key} is {wanted}",
                    "Check that all files come from the same model.",
                    code="token-ids-mismatch",
                )

    def encode(self, text: str) -> list[int]:
        """Return the ids of `text` as plain text; text that looks like an added token is spelled out."""
        return self._plain.encode(_valid(text), add_special_tokens=False).ids

    def encode_template(self, text: str) -> list[int]:
        """Return the ids of a part of a template, in which added tokens are recognised."""
        return self._template.encode(_valid(text), add_special_tokens=False).ids


def _encoding(content: Mapping[str, Any]) -> tokenizers.Tokenizer:
    encoding = tokenizers.Tokenizer.from_str(json.dumps(content))
    encoding.no_truncation()
    encoding.no_padding()
    return encoding


def _valid(text: str) -> str:
    """Return `text` with pairs of surrogates joined and lone ones replaced: the package refuses them."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
