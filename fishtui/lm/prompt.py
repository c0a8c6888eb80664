"""Sequences for training and prompts for synthesis, from transcripts and codes.

What synthesis feeds the model is the beginning of what training fed it: for each template,
`synthesis_prompt(…, text_n, utterances before n)` is a prefix of `training_sequence(…, utterances)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from fishtui.errors import DataError
from fishtui.lm.tokenizer import Tokenizer

Template = Literal["interleave", "instruct"]
TEMPLATES = get_args(Template)
Utterance = tuple[str, NDArray[np.integer]]
"""A transcript, and the codes (num_codebooks, frames) of its recording."""
Codes = NDArray[np.int64]

IGNORED = -100


def training_sequence(template: Template, tokenizer: Tokenizer, utterances: Sequence[Utterance]) -> tuple[Codes, Codes]:
    """Inputs and labels, each int64 (1 + num_codebooks, S), of one or more utterances of one speaker.

    Row 0 holds token ids, the others codes. Labels are already shifted by one; they are -100 but at frames and
    at the `<|im_end|>` after them, where label rows from 1 are 0. Texts are taken as they are: clean them before.
    Raises DataError if codes are of another codec.
    """
    blocks = [_frame_block(template, tokenizer, utterance) for utterance in utterances]
    if template == "interleave":
        start = _text_block([tokenizer.id("<|interleave|>")], blocks[0][0].shape[0])
        inputs, labels = (np.concatenate(parts, axis=1) for parts in zip(start, *blocks, strict=True))
        return inputs[:, :-1], labels[:, 1:]
    # The public fine-tuning code shifts each block on its own, so all but the last <|im_end|> of a block are seen.
    inputs = np.concatenate([block[:, :-1] for block, _ in blocks], axis=1)
    labels = np.concatenate([block[:, 1:] for _, block in blocks], axis=1)
    return inputs, labels


def sequence_length(template: Template, tokenizer: Tokenizer, utterance: Utterance) -> int:
    """The length S of `training_sequence` for one utterance. Raises DataError if its codes are of another codec."""
    _check_codes(tokenizer, utterance)
    text, codes = utterance
    block = len(_opening(template, tokenizer, text)) + codes.shape[1] + 1
    return block if template == "interleave" else block - 1


def synthesis_prompt(
    template: Template, tokenizer: Tokenizer, text: str, references: Sequence[Utterance] = (), num_codebooks: int = 10
) -> Codes:
    """What the model continues with the frames of `text`: int64 (1 + num_codebooks, S).

    `references` are utterances of the voice to speak with. Raises DataError if their codes are of another codec.
    """
    blocks = [_frame_block(template, tokenizer, utterance)[0] for utterance in references]
    opening, _ = _text_block(_opening(template, tokenizer, text), 1 + num_codebooks)
    if template == "interleave":
        start, _ = _text_block([tokenizer.id("<|interleave|>")], 1 + num_codebooks)
        return np.concatenate([start, *blocks, opening], axis=1)
    return np.concatenate([*(block[:, :-1] for block in blocks), opening], axis=1)


def _opening(template: Template, tokenizer: Tokenizer, text: str) -> list[int]:
    """Token ids of one clip up to its first frame."""
    if template == "interleave":
        return tokenizer.encode("<|speaker:0|>") + tokenizer.encode(text)
    return [
        *tokenizer.encode("Speak out the provided text."),
        # One string, so that the space can merge with the first word.
        *tokenizer.encode("<|speaker:user|> " + text),
        tokenizer.im_end,
        *tokenizer.encode("<|speaker:assistant|> "),
        tokenizer.id("<|voice|>"),
    ]


def _text_block(ids: list[int], rows: int) -> tuple[Codes, Codes]:
    tokens = np.zeros((rows, len(ids)), dtype=np.int64)
    tokens[0] = ids
    return tokens, np.full_like(tokens, IGNORED)


def _frame_block(template: Template, tokenizer: Tokenizer, utterance: Utterance) -> tuple[Codes, Codes]:
    """One whole utterance and its labels, not shifted."""
    _check_codes(tokenizer, utterance)
    text, codes = utterance
    opening = _text_block(_opening(template, tokenizer, text), 1 + len(codes))
    frames = np.concatenate([codes[:1] + tokenizer.semantic_begin, codes]).astype(np.int64)
    end = np.zeros((1 + len(codes), 1), dtype=np.int64)
    end[0] = tokenizer.im_end
    tokens = np.concatenate([opening[0], frames, end], axis=1)
    return tokens, np.concatenate([opening[1], frames, end], axis=1)


def _check_codes(tokenizer: Tokenizer, utterance: Utterance) -> None:
    text, codes = utterance
    semantic = tokenizer.semantic_end - tokenizer.semantic_begin + 1
    if codes.ndim != 2 or not np.issubdtype(codes.dtype, np.integer):
        raise DataError(f"the codes of {text[:40]!r} are not a table of integers", "Extract the clip again.")
    if codes.size and (codes.min() < 0 or codes[0].max() >= semantic):
        raise DataError(f"the codes of {text[:40]!r} do not lie in 0 … {semantic - 1}", "Extract the clip again.")
