"""The interface of a model family. Describing a family imports no numpy and no torch; its methods do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from fishtui.errors import CheckpointError
from fishtui.reading import CONFIG as LARGEST
from fishtui.reading import Damaged, check_depth
from fishtui.reading import read_json as guarded_json
from fishtui.wording import cannot_read, missing_checkpoint_file

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from fishtui.lm.config import ModelConfig
    from fishtui.lm.sampling import Sampling

    Utterance = tuple[str, NDArray[np.integer]]
    """A transcript, and the codes (codebooks, frames) of its recording."""
    Tokens = NDArray[np.int64]
    """One position per column: a token id in row 0, the codes of a frame or zeros in the rows below."""


CONFIG = "config.json"
"""The file of every checkpoint that names the family and holds the sizes of the model."""


@dataclass(frozen=True)
class Vocabulary:
    """The token ids that the network, the loss and generation need."""

    semantic_begin: int
    """The token of code 0 = 0; the tokens of the codes that follow have consecutive ids."""
    semantic_end: int
    """The last of these tokens."""
    im_end: int
    """The token that ends speech."""
    highest: int
    """The highest id of any token."""


@dataclass(frozen=True)
class Licence:
    """The licence of a published model, as its users must know it."""

    name: str
    address: str
    """Where its text is published."""
    terms: tuple[str, ...]
    """What it permits and asks for, a sentence each."""
    must_be_accepted: bool = False
    """True if the model is downloaded only after the terms were shown and accepted."""


class Prompts(Protocol):
    """Token sequences in one prompt template, for the tokenizer of one checkpoint. Texts are cleaned before."""

    padding: int
    """The token that fills a row of a batch after its last sequence."""

    def training_sequence(
        self, utterances: Sequence[Utterance], references: Sequence[Utterance] = ()
    ) -> tuple[Tokens, Tokens]:
        """Return inputs and labels, each int64 (1 + codebooks, S), of one or more utterances of one speaker.

        Labels are shifted by one and are -100 at positions without a loss. `references` are other utterances of the
        speaker, given before without a loss; only a family that `learns_with_references` takes them. Raises
        DataError for codes of another codec.
        """

    def sequence_length(self, utterance: Utterance) -> int:
        """Return the length S of `training_sequence` for one utterance. Raises DataError for codes of another codec."""

    def messages(self, text: str) -> list[str]:
        """Split a cleaned text into the messages that the model answers in turn."""

    def of_one_voice(self, text: str, references: Sequence[Utterance]) -> list[Utterance]:
        """Return references that are marked as those of the voice that speaks `text`, unless several voices do."""

    def synthesis_prompt(
        self, messages: Sequence[str], answers: Sequence[NDArray[np.integer]], references: Sequence[Utterance]
    ) -> Tokens:
        """Return the int64 (1 + codebooks, S) that the model continues with the frames of the last message.

        `answers` are the codes of the messages before it; `references` are utterances of the voices to speak with.
        Raises DataError for codes of another codec.
        """


class Family(ABC):
    """One kind of language model: its files, config, tokenizer, prompts, text cleaning and sampling.

    The network, the loss and generation are shared and parametric (`fishtui.lm`); so is the codec.
    """

    model_type: ClassVar[str]
    """The `model_type` in the model's config, which identifies the family."""
    title: ClassVar[str]
    """The name of the model, for people."""
    repository: ClassVar[str]
    """The published checkpoint, as OWNER/NAME on the Hugging Face hub."""
    revision: ClassVar[str] = "main"
    """The branch, tag or commit of the published checkpoint."""
    published: ClassVar[Mapping[str, str]] = {}
    """SHA-256 of files of the published checkpoint, at this revision."""
    licence: ClassVar[Licence]
    """The licence of the published checkpoint."""
    advice: ClassVar[str] = ""
    """What to know about the quality of fine-tuned models, a sentence."""
    tokenizer_names: ClassVar[tuple[str, ...]]
    """Files that the tokenizer needs."""
    extra_names: ClassVar[tuple[str, ...]] = ()
    """Other files that belong to a checkpoint and are copied if they exist, such as a licence."""
    notices: ClassVar[Mapping[str, str]] = {}
    """Text files, by name, that the licence requires in a derived checkpoint; `{changes}` means what was done."""
    cleaning_code: ClassVar[tuple[str, ...]]
    """Modules of fishtui that text cleaning depends on, by their paths within the package."""
    templates: ClassVar[tuple[str, ...]]
    """Prompt templates; the first is the published model's own."""
    older_template: ClassVar[str]
    """The template of adapters that the older public tool trained."""
    has_marks: ClassVar[bool] = False
    """True if transcripts may have marks, such as tags of speakers, that other families drop."""
    learns_with_references: ClassVar[bool] = False
    """True if a prompt with references is not one that continues earlier utterances, so that both need training."""

    def serving_commands(self, folder: Path) -> tuple[str, ...]:
        """Return the commands of other programs that serve a checkpoint folder of this family, if there are any."""
        return ()

    def serving_hint(self, template: str) -> str:
        """Return what texts for these programs need after training with a template, a clause; empty for nothing."""
        return ""

    @abstractmethod
    def weight_names(self, available: Collection[str]) -> tuple[str, ...]:
        """Return the names of the files that hold the weights, index included, given those in the folder or the hub."""

    @abstractmethod
    def read_config(self, path: Path) -> ModelConfig:
        """Read a config file. Raises CheckpointError that names the key that is unknown, missing or wrong."""

    @abstractmethod
    def read_vocabulary(self, folder: Path) -> Vocabulary:
        """Read the token ids from the tokenizer's files in `folder`. Raises CheckpointError."""

    @abstractmethod
    def read_weights(self, folder: Path, config: ModelConfig) -> dict[str, Tensor]:
        """Read the weights, memory-mapped, under the parameter names of `DualAR`. Raises CheckpointError."""

    @abstractmethod
    def write_weights(self, tensors: Mapping[str, Tensor], folder: Path, base: Path) -> None:
        """Write tensors, named as `DualAR` names them, into `folder` in the layout of the checkpoint folder `base`."""

    @abstractmethod
    def prompts(self, folder: Path, template: str, codebooks: int) -> Prompts:
        """Return the prompts of one of `templates`, with the tokenizer in `folder`. Raises CheckpointError."""

    @abstractmethod
    def sampling(self) -> Sampling:
        """Return the sampling parameters that the published model is used with."""

    @abstractmethod
    def clean_for_packing(self, text: str) -> str:
        """Return a transcript as it is stored in a shard."""

    def lost(self, transcript: str, packed: str) -> list[str]:
        """Return the marks of a transcript that its text in a shard should have and has not."""
        return []

    @abstractmethod
    def clean_for_training(self, text: str) -> str:
        """Return a text from a shard as the model reads it."""

    def words(self, text: str) -> str:
        """Return what is spoken of a text: without marks that only the model reads."""
        return text

    def without_speakers(self, text: str) -> str:
        """Return a cleaned text without the tags of its speakers."""
        return text

    def clean(self, text: str) -> str:
        """Return a transcript as the model reads it: cleaned for packing, then for training."""
        return self.clean_for_training(self.clean_for_packing(text))

    @abstractmethod
    def removed(self, text: str) -> list[str]:
        """Return the parts of a transcript that cleaning drops."""

    @abstractmethod
    def simplified(self, text: str) -> list[str]:
        """Return the parts of a transcript that cleaning replaces by a plainer spelling."""


def read_json(path: Path) -> dict[str, Any]:
    """Read a checkpoint's JSON file, which holds an object. Raises CheckpointError."""
    try:
        content = guarded_json(path, dict[str, Any], LARGEST)
        check_depth(content)
        return content
    except FileNotFoundError as error:
        raise missing_checkpoint_file(path) from error
    except OSError as error:
        raise cannot_read(path, error, CheckpointError) from error
    except Damaged as error:
        raise CheckpointError(
            f"{path}: not a JSON object: {error}", "Download the file again with `fishtui download`.", code="not-json"
        ) from error
