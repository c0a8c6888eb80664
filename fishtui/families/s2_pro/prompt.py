"""Chats for training and synthesis, from transcripts and codes.

Each part of a chat is encoded by itself, so that no token spans two parts. A synthesis prompt is the beginning of what
training showed the model.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fishtui.families.frames import check_codes, frames
from fishtui.families.s2_pro.text import FIRST, TAG, turns
from fishtui.families.s2_pro.tokenizer import Tokenizer
from fishtui.lm.config import IGNORED

if TYPE_CHECKING:
    from fishtui.families.family import Tokens, Utterance

TEMPLATES = ("chat", "chat-untagged")
"""In the second one, a text without a speaker tag stays without."""

SYSTEM, USER, ASSISTANT = "<|im_start|>system\n", "<|im_start|>user\n", "<|im_start|>assistant\n<|voice|>"
TASK = "convert the provided text to speech"
TASK_WITH_REFERENCE = f"{TASK} reference to the following:\n\nText:\n"
SPEECH = "\n\nSpeech:\n"
END, BREAK = "<|im_end|>", "\n"
# The longest message: more turns or bytes begin another one.
MOST_TURNS = 5
MOST_BYTES = 300

Part = tuple["Tokens", bool]
"""Positions (1 + codebooks, S), and True if they are learned."""


class S2Prompts:
    """The prompts of one template and tokenizer; see `families.family.Prompts`."""

    def __init__(self, template: str, tokenizer: Tokenizer, codebooks: int) -> None:
        self.padding = tokenizer.padding
        self._is_tagging = template == TEMPLATES[0]
        self._tokenizer = tokenizer
        self._codebooks = codebooks
        fixed = (SYSTEM, USER, ASSISTANT, TASK, TASK_WITH_REFERENCE, SPEECH, END, BREAK, END + BREAK)
        self._fixed = {part: self._block(tokenizer.encode_template(part)) for part in fixed}

    def training_sequence(
        self, utterances: Sequence[Utterance], references: Sequence[Utterance] = ()
    ) -> tuple[Tokens, Tokens]:
        text = "\n".join(text for text, _ in utterances)
        return self.chat(utterances, self.of_one_voice(text, references))

    def sequence_length(self, utterance: Utterance) -> int:
        return self.training_sequence([utterance])[0].shape[1]

    def messages(self, text: str) -> list[str]:
        groups: list[list[str]] = []
        for turn in self._turns(text):
            if groups and len(groups[-1]) < MOST_TURNS and _bytes(*groups[-1], turn) <= MOST_BYTES:
                groups[-1].append(turn)
            else:
                groups.append([turn])
        return ["\n".join(group) for group in groups]

    def of_one_voice(self, text: str, references: Sequence[Utterance]) -> list[Utterance]:
        voices = set(TAG.findall(text)) or {FIRST}
        if len(voices) > 1:
            return list(references)
        # Otherwise their tags would count the references, as if each were another voice.
        [tag] = voices
        return [(words if TAG.search(words) else tag + words, codes) for words, codes in references]

    def synthesis_prompt(
        self, messages: Sequence[str], answers: Sequence[NDArray[np.integer]], references: Sequence[Utterance]
    ) -> Tokens:
        parts = [*self._system(references)]
        for message, answer in zip(messages, answers, strict=False):
            parts += [*self._user(message), (self._frames((message, answer)), True), (self._fixed[END + BREAK], False)]
        parts += self._user(messages[-1])
        return np.concatenate([tokens for tokens, _ in parts], axis=1)

    def chat(self, turns: Sequence[Utterance], references: Sequence[Utterance]) -> tuple[Tokens, Tokens]:
        """Return inputs and labels, each int64 (1 + codebooks, S), of a chat that answers each of `turns`.

        `references` are given before, and are not learned. Raises DataError for codes of another codec.
        """
        parts = [*self._system(references)]
        for utterance in turns:
            parts += [*self._user("\n".join(self._turns(utterance[0]))), (self._frames(utterance), True)]
            parts += [(self._fixed[END], True), (self._fixed[BREAK], False)]
        parts.pop()
        tokens = np.concatenate([part for part, _ in parts], axis=1)
        labels = np.concatenate([part if learned else np.full_like(part, IGNORED) for part, learned in parts], axis=1)
        labels[1:, labels[0] == self._tokenizer.vocabulary.im_end] = IGNORED
        return tokens[:, :-1], labels[:, 1:]

    def _turns(self, text: str) -> list[str]:
        if self._is_tagging and not TAG.search(text):
            text = FIRST + text
        return turns(text)

    def _system(self, references: Sequence[Utterance]) -> Iterator[Part]:
        yield self._fixed[SYSTEM], False
        if references:
            yield self._fixed[TASK_WITH_REFERENCE], False
            texts = (
                text if TAG.search(text) else f"<|speaker:{index}|>{text}" for index, (text, _) in enumerate(references)
            )
            yield self._text("\n".join(texts)), False
            yield self._fixed[SPEECH], False
            for reference in references:
                yield self._frames(reference), False
        else:
            yield self._fixed[TASK], False
        yield self._fixed[END + BREAK], False

    def _user(self, text: str) -> Iterator[Part]:
        yield self._fixed[USER], False
        yield self._text(text), False
        yield self._fixed[END + BREAK], False
        yield self._fixed[ASSISTANT], False

    def _text(self, text: str) -> Tokens:
        return self._block(self._tokenizer.encode(text))

    def _block(self, ids: Sequence[int]) -> Tokens:
        tokens = np.zeros((1 + self._codebooks, len(ids)), dtype=np.int64)
        tokens[0] = ids
        return tokens

    def _frames(self, utterance: Utterance) -> Tokens:
        vocabulary = self._tokenizer.vocabulary
        check_codes(utterance, vocabulary.semantic_end - vocabulary.semantic_begin + 1, self._codebooks)
        return frames(utterance[1], vocabulary.semantic_begin)


def _bytes(*turns: str) -> int:
    return sum(len(turn.encode("utf-8", "surrogatepass")) for turn in turns)
