"""The family's tokenizer: byte-pair encoding by tiktoken."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Annotated

import msgspec
import tiktoken

from fishtui.errors import CheckpointError
from fishtui.families.family import Vocabulary
from fishtui.reading import CONFIG, Damaged, guarded, read_bounded, read_json
from fishtui.wording import cannot_read, missing_checkpoint_file

PATTERN = "|".join(
    [
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)",
        r"\p{P}",
        r"[^\r\n\p{L}\p{N}]?\p{L}+",
        r"\p{N}",
        r" ?[^\s\p{L}\p{N}]+[\r\n]*",
        r"\s*[\r\n]+",
        # Probably meant as a lookahead, but the model was trained with this pattern.
        r"\s+(\?!\S)",
        r"\s+",
    ]
)
# tiktoken counts in 32 bits.
Id = Annotated[int, msgspec.Meta(ge=0, lt=1 << 31)]
REMEDY = "Download the checkpoint again with `fishtui download`."


class Tokenizer:
    """Byte-pair encoding, with special tokens that only the templates may use."""

    def __init__(self, ranks: dict[bytes, int], specials: dict[str, int]) -> None:
        """Raises ValueError if `ranks` and `specials` are not a tokenizer of this family."""
        if any(bytes([byte]) not in ranks for byte in range(256)):
            raise ValueError("some bytes have no rank")
        if len(set(ranks.values()) | set(specials.values())) < len(ranks) + len(specials):
            raise ValueError("two tokens have the same id")
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
                raise ValueError(f"the id of <|semantic:{code}|> does not follow the previous one")

    @classmethod
    def read(cls, ranks: Path, specials: Path) -> Tokenizer:
        """Read a file of tokens with their ranks, and a JSON file of special tokens. Raises CheckpointError."""
        for path in (ranks, specials):
            if not path.is_file():
                raise missing_checkpoint_file(path)
        try:
            ids = read_json(specials, dict[str, Id], CONFIG)
        except OSError as error:
            raise cannot_read(specials, error, CheckpointError) from error
        except Damaged as error:
            raise CheckpointError(
                f"{specials}: not special tokens with their ids: {error}", REMEDY, code="damaged-special-tokens"
            ) from error
        try:
            found = _read_ranks(ranks)
            with guarded():
                return cls(found, ids)
        except Damaged as error:
            raise CheckpointError(
                f"{ranks.parent}: invalid tokenizer: {error}", REMEDY, code="wrong-tokenizer"
            ) from error

    @property
    def vocabulary(self) -> Vocabulary:
        return Vocabulary(self.semantic_begin, self.semantic_end, self.im_end, self._encoding.max_token_value)

    def encode(self, text: str) -> list[int]:
        """Return the ids of `text` as plain text; text that looks like a special token is spelled out."""
        return self._encoding.encode_ordinary(text)

    def id(self, special: str) -> int:
        """Return the id of a special token. Raises KeyError."""
        return self._ids[special]


def _read_ranks(path: Path) -> dict[bytes, int]:
    try:
        lines = read_bounded(path, CONFIG).splitlines()
    except OSError as error:
        raise cannot_read(path, error, CheckpointError) from error
    except Damaged as error:
        raise CheckpointError(f"{path}: {error}", REMEDY, code="damaged-tokens") from error
    ranks = {}
    for number, line in enumerate(lines, start=1):
        token, _, rank = line.partition(b" ")
        if not line or token == b"=":
            continue
        try:
            ranks[base64.b64decode(token, validate=True)] = msgspec.convert(int(rank), Id)
        except ValueError as error:
            raise CheckpointError(
                f"{path}:{number}: not a token and its rank: {line[:40]!r}", REMEDY, code="damaged-tokens"
            ) from error
    return ranks
