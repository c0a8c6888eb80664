"""Text to token ids."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path

import msgspec
import tiktoken

from fishtui.errors import CheckpointError

PATTERN = "|".join(
    [
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)",
        r"\p{P}",
        r"[^\r\n\p{L}\p{N}]?\p{L}+",
        r"\p{N}",
        r" ?[^\s\p{L}\p{N}]+[\r\n]*",
        r"\s*[\r\n]+",
        # A lookahead was surely meant; the model was trained with what is written.
        r"\s+(\?!\S)",
        r"\s+",
    ]
)
REMEDY = "Take tokenizer.tiktoken and special_tokens.json from the published checkpoint."


class Tokenizer:
    """Byte-pair encoding, with special tokens that only the templates may use.

    `semantic_begin` … `semantic_end` (inclusive) are the ids of code 0 = 0, 1, ….
    """

    def __init__(self, ranks: dict[bytes, int], specials: dict[str, int]) -> None:
        """Raises ValueError if `ranks` and `specials` can't be a tokenizer of this model."""
        if any(bytes([byte]) not in ranks for byte in range(256)):
            raise ValueError("there are bytes without a rank")
        if len(set(ranks.values()) | set(specials.values())) < len(ranks) + len(specials):
            raise ValueError("two tokens have one id")
        for name in ("<|end_of_text|>", "<|im_end|>", "<|voice|>", "<|interleave|>", "<|semantic:0|>"):
            if name not in specials:
                raise ValueError(f"the special token {name} is missing")
        self._ids = specials
        self._encoding = tiktoken.Encoding("openaudio", pat_str=PATTERN, mergeable_ranks=ranks, special_tokens=specials)
        self.end_of_text = specials["<|end_of_text|>"]
        self.im_end = specials["<|im_end|>"]
        self.semantic_begin = specials["<|semantic:0|>"]
        n_semantic = sum(name.startswith("<|semantic:") for name in specials)
        self.semantic_end = self.semantic_begin + n_semantic - 1
        for code in range(n_semantic):
            if specials.get(f"<|semantic:{code}|>") != self.semantic_begin + code:
                raise ValueError(f"the id of <|semantic:{code}|> does not follow the one before it")

    @classmethod
    def read(cls, folder: Path) -> Tokenizer:
        """Read `tokenizer.tiktoken` and `special_tokens.json` in `folder`; raises CheckpointError."""
        ranks_path, specials_path = folder / "tokenizer.tiktoken", folder / "special_tokens.json"
        for path in (ranks_path, specials_path):
            if not path.is_file():
                raise CheckpointError(f"{path} does not exist", "Fetch the checkpoint with `fishtui download`.")
        try:
            specials = msgspec.json.decode(specials_path.read_bytes(), type=dict[str, int])
        except (OSError, msgspec.DecodeError) as error:
            raise CheckpointError(f"{specials_path} can't be read: {error}", REMEDY) from error
        try:
            return cls(_read_ranks(ranks_path), specials)
        except ValueError as error:
            raise CheckpointError(f"the tokenizer in {folder} can't be used: {error}", REMEDY) from error

    @property
    def highest(self) -> int:
        """The highest id that there is."""
        return self._encoding.max_token_value

    def encode(self, text: str) -> list[int]:
        """Ids of `text` as plain text: what looks like a special token is spelled out."""
        return self._encoding.encode_ordinary(text)

    def encode_special(self, text: str) -> list[int]:
        """Ids of `text`, special tokens recognised: for text of our own, never for a user's."""
        return self._encoding.encode(text, allowed_special="all")

    def id(self, special: str) -> int:
        """The id of a special token; raises KeyError."""
        return self._ids[special]


def _read_ranks(path: Path) -> dict[bytes, int]:
    try:
        lines = path.read_text("ascii").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{path} can't be read: {error}", REMEDY) from error
    ranks = {}
    for number, line in enumerate(lines, start=1):
        token, _, rank = line.partition(" ")
        if not line or token == "=":
            continue
        try:
            ranks[base64.b64decode(token, validate=True)] = int(rank)
        except (binascii.Error, ValueError) as error:
            raise CheckpointError(
                f"{path}, line {number}, is not a token and its rank: {line[:40]!r}", REMEDY
            ) from error
    return ranks
