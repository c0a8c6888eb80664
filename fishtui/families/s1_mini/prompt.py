"""Sequences for training and prompts for synthesis, from transcripts and codes.

A synthesis prompt is the beginning of what training showed the model: for each template,
`synthesis_prompt(…, text_n, utterances before n)` is a prefix of `training_sequence(…, utterances)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fishtui.families.frames import check_codes, frames
from fishtui.families.s1_mini.tokenizer import Tokenizer
from fishtui.lm.config import IGNORED

if TYPE_CHECKING:
    from fishtui.families.family import Tokens, Utterance


class S1Prompts:
    """The prompts of one template and tokenizer; see `families.family.Prompts`."""

    def __init__(self, template: str, tokenizer: Tokenizer, codebooks: int) -> None:
        self.padding = tokenizer.end_of_text
        self._template = template
        self._tokenizer = tokenizer
        self._codebooks = codebooks

    def training_sequence(
        self, utterances: Sequence[Utterance], references: Sequence[Utterance] = ()
    ) -> tuple[Tokens, Tokens]:
        return training_sequence(self._template, self._tokenizer, utterances)

    def sequence_length(self, utterance: Utterance) -> int:
        return sequence_length(self._template, self._tokenizer, utterance)

    def messages(self, text: str) -> list[str]:
        return [text]

    def of_one_voice(self, text: str, references: Sequence[Utterance]) -> list[Utterance]:
        return list(references)

    def synthesis_prompt(
        self, messages: Sequence[str], answers: Sequence[NDArray[np.integer]], references: Sequence[Utterance]
    ) -> Tokens:
        spoken = [*references, *zip(messages, answers, strict=False)]
        return synthesis_prompt(self._template, self._tokenizer, messages[-1], spoken, self._codebooks)


def training_sequence(template: str, tokenizer: Tokenizer, utterances: Sequence[Utterance]) -> tuple[Tokens, Tokens]:
    """Return inputs and labels, each int64 (1 + num_codebooks, S), of one or more utterances of one speaker.

    Row 0 holds token ids, the others codes. Labels are already shifted by one. They are -100 except at frames and
    at the `<|im_end|>` after them, where label rows from 1 are 0. Clean the texts before.
    Raises DataError if codes are of another codec.
    """
    blocks = [_frame_block(template, tokenizer, utterance) for utterance in utterances]
    if template == "interleave":
        start = _text_block([tokenizer.id("<|interleave|>")], blocks[0][0].shape[0])
        inputs, labels = (np.concatenate(parts, axis=1) for parts in zip(start, *blocks, strict=True))
        return inputs[:, :-1], labels[:, 1:]
    # The public fine-tuning code shifts each block separately, so the model never reads a block's last <|im_end|>.
    inputs = np.concatenate([block[:, :-1] for block, _ in blocks], axis=1)
    labels = np.concatenate([block[:, 1:] for _, block in blocks], axis=1)
    return inputs, labels


def sequence_length(template: str, tokenizer: Tokenizer, utterance: Utterance) -> int:
    """Return the length S of `training_sequence` for one utterance.

    Raises DataError if its codes are of another codec.
    """
    _check(tokenizer, utterance)
    text, codes = utterance
    block = len(_opening(template, tokenizer, text)) + codes.shape[1] + 1
    return block if template == "interleave" else block - 1


def synthesis_prompt(
    template: str, tokenizer: Tokenizer, text: str, references: Sequence[Utterance] = (), num_codebooks: int = 10
) -> Tokens:
    """Return the int64 (1 + num_codebooks, S) that the model continues with the frames of `text`.

    `references` are utterances of the voice to speak with. Raises DataError if their codes are of another codec.
    """
    blocks = [_frame_block(template, tokenizer, utterance)[0] for utterance in references]
    opening, _ = _text_block(_opening(template, tokenizer, text), 1 + num_codebooks)
    if template == "interleave":
        start, _ = _text_block([tokenizer.id("<|interleave|>")], 1 + num_codebooks)
        return np.concatenate([start, *blocks, opening], axis=1)
    return np.concatenate([*(block[:, :-1] for block in blocks), opening], axis=1)


def _opening(template: str, tokenizer: Tokenizer, text: str) -> list[int]:
    """Return the token ids of one utterance up to its first frame."""
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


def _text_block(ids: list[int], rows: int) -> tuple[Tokens, Tokens]:
    tokens = np.zeros((rows, len(ids)), dtype=np.int64)
    tokens[0] = ids
    return tokens, np.full_like(tokens, IGNORED)


def _frame_block(template: str, tokenizer: Tokenizer, utterance: Utterance) -> tuple[Tokens, Tokens]:
    """Return one whole utterance and its labels, not shifted."""
    _check(tokenizer, utterance)
    text, codes = utterance
    opening = _text_block(_opening(template, tokenizer, text), 1 + len(codes))
    spoken = frames(codes, tokenizer.semantic_begin)
    end = np.zeros((1 + len(codes), 1), dtype=np.int64)
    end[0] = tokenizer.im_end
    tokens = np.concatenate([opening[0], spoken, end], axis=1)
    return tokens, np.concatenate([opening[1], spoken, end], axis=1)


def _check(tokenizer: Tokenizer, utterance: Utterance) -> None:
    check_codes(utterance, tokenizer.semantic_end - tokenizer.semantic_begin + 1)
