"""Load clips from shards as training examples, and collate them into batches."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import IterableDataset

from fishtui.devices import upload
from fishtui.distributed import Place
from fishtui.errors import DataError, FishtuiError
from fishtui.families.family import Family, Prompts
from fishtui.lm.config import IGNORED, ModelConfig
from fishtui.lm.loss import LabelCounts
from fishtui.shards.packed import read_manifest, shard_paths
from fishtui.shards.split import VALIDATION, choose_validation, content_of, first_held_out, last_held_out
from fishtui.shards.stream import Position, StoredSentence, read_sentences
from fishtui.training.batches import PlannedBatch, PlannedSequence, Row, deal_rows
from fishtui.workers import one_ahead

if TYPE_CHECKING:
    from fishtui.families.family import Tokens, Utterance


@dataclass(frozen=True)
class Example:
    """One clip as the model learns it: `codes` is int16 (codebooks, T), `length` the positions it takes in a row."""

    name: str
    speaker: str
    text: str
    codes: np.ndarray
    length: int


@dataclass(frozen=True)
class Examples:
    """The clips of the shards: split into training and validation, or by name if they are not used.

    `too_long` clips do not fit into a row, `excluded` ones were not wanted, `empty` ones have no frame or no word.
    """

    train: list[Example]
    validation: list[Example]
    too_long: list[str]
    excluded: list[str]
    empty: list[str]

    def to_validate(self, limit: int) -> list[Example]:
        """Return the held-out clips that validations use: at most `limit`, which stay the same as clips are added."""
        if not 0 < limit < len(self.validation):
            return self.validation
        chosen = set(first_held_out((example.name for example in self.validation), limit))
        return [example for example in self.validation if example.name in chosen]

    def fingerprint(self) -> str:
        """SHA-256 of the training examples' names, texts and codes, in their order."""
        digest = hashlib.sha256()
        for example in self.train:
            digest.update(repr((example.name, example.text, example.codes.shape)).encode("utf-8", "surrogateescape"))
            digest.update(example.codes.tobytes())
        return digest.hexdigest()


def load_examples(
    protos: Path,
    family: Family,
    prompts: Prompts,
    config: ModelConfig,
    max_length: int,
    share: float,
    excluded: Collection[str] = (),
) -> Examples:
    """Load every clip of the shards in `protos`, apart from those whose names are in `excluded`.

    The manifest decides which clips are held out for validation; without a manifest, a `share` of them is, by hash.
    If this leaves none of a speaker's usable clips to train on, one that is held out is trained on.
    Raises DataError if the shards are damaged or hold codes of another model, FishtuiError if no clip is left to
    train on.
    """
    paths = shard_paths(protos)
    sentences = list(read_sentences(paths))
    names, validation = _names_and_split(protos, sentences, share)
    examples = Examples([], [], [], [], [])
    usable: list[Example] = []
    for (place, sentence), name in zip(sentences, names, strict=True):
        if name in excluded:
            examples.excluded.append(name)
            continue
        # Shards that were packed for a model of another family keep what this one drops.
        text = family.clean(sentence.text)
        if not sentence.codes.size or not text:
            # Shards of other tools may hold sentences from which nothing can be learned.
            examples.empty.append(name)
            continue
        _check_codes(paths[place.shard], name, sentence, config)
        # One position is spare: a clip adds at most its own sequence's length to a row.
        length = prompts.sequence_length((text, sentence.codes)) + 1
        example = Example(name, sentence.speaker, text, sentence.codes, length)
        if example.length > max_length:
            examples.too_long.append(name)
        else:
            usable.append(example)
    validation -= _last_of_speakers(usable, validation)
    for example in usable:
        (examples.validation if example.name in validation else examples.train).append(example)
    if not examples.train:
        counts = f"{len(examples.too_long)} too long, {len(examples.excluded)} excluded, {len(examples.empty)} empty"
        raise FishtuiError(
            f"{protos}: no clips to train on: {counts}",
            "Add clips, or raise train.max_length.",
            code="no-clips",
        )
    return examples


def _last_of_speakers(usable: Sequence[Example], held_out: Collection[str]) -> set[str]:
    """Return one clip of each speaker of whom all `usable` clips are held out."""
    by_speaker: dict[str, list[str]] = defaultdict(list)
    for example in usable:
        by_speaker[example.speaker].append(example.name)
    return {last_held_out(names) for names in by_speaker.values() if all(name in held_out for name in names)}


def _names_and_split(
    protos: Path, sentences: Sequence[tuple[Position, StoredSentence]], share: float
) -> tuple[list[str], set[str]]:
    """Return each sentence's clip name, and the names held out; without a manifest both follow from the places."""
    manifest = read_manifest(protos)
    if not manifest:
        names = [f"{sentence.speaker}/{place.shard}.{place.message}.{place.sentence}" for place, sentence in sentences]
        speakers = (sentence.speaker for _, sentence in sentences)
        contents = {name: content_of(sentence.codes) for name, (_, sentence) in zip(names, sentences, strict=True)}
        return names, choose_validation(zip(speakers, names, strict=True), share, contents=contents)
    places = [Position(entry["shard"], entry["message"], entry["sentence"]) for entry in manifest]
    if places != [place for place, _ in sentences]:
        raise DataError(
            f"{protos}: the manifest does not match the shards",
            "Pack the clips again with `fishtui pack`.",
            code="manifest-mismatch",
        )
    return [entry["clip"] for entry in manifest], {entry["clip"] for entry in manifest if entry["split"] == VALIDATION}


def _check_codes(path: Path, name: str, sentence: StoredSentence, config: ModelConfig) -> None:
    codes = sentence.codes
    if len(codes) != config.num_codebooks or codes.min(initial=0) < 0 or codes.max(initial=0) >= config.codebook_size:
        raise DataError(
            f"{path}: the codes of {name} do not fit this model's {config.num_codebooks} codebooks of "
            f"{config.codebook_size:,} codes",
            "Run `fishtui extract` and `fishtui pack` with the codec of this model.",
            code="foreign-codes",
        )


@dataclass
class Batch:
    """Rows of sequences: `tokens`, `labels` int64 (B, 1 + codebooks, S); `segments` int64 (B, S), see `DualAR.slow`.

    `positions` is the number of positions without padding, `clips` the number of clips in them; `epoch` and `index`
    are the batch's place in the data. `step_labels` are the labels of all batches of an optimizer step, in all
    processes; None if the batch is a step of its own. Without `counts`, the batch only keeps a process busy that has no
    rows of its own, and contributes nothing to losses and gradients.
    """

    tokens: Tensor
    labels: Tensor
    segments: Tensor
    positions: int
    clips: int
    epoch: int = 0
    index: int = 0
    counts: bool = True
    step_labels: LabelCounts | None = None

    def to(self, device: torch.device) -> Batch:
        """Return the same batch with its tokens on another device; see `losses` for the rest."""
        return replace(self, tokens=upload(self.tokens, device))


def collate(
    rows: Sequence[Row],
    examples: Sequence[Example],
    prompts: Prompts,
    epoch: int = 0,
    index: int = 0,
    counts: bool = True,
    step_labels: LabelCounts | None = None,
) -> Batch:
    """Build a batch from `rows` of sequences of `examples`; see `Batch` for the others."""

    def utterances(*indices: int) -> list[Utterance]:
        return [(examples[index].text, examples[index].codes) for index in indices]

    def build(sequence: PlannedSequence) -> tuple[Tokens, Tokens]:
        references = [] if sequence.reference is None else utterances(sequence.reference)
        return prompts.training_sequence(utterances(*sequence.clips), references)

    built = [[build(sequence) for sequence in row] for row in rows]
    height = len(built[0][0][0])
    width = max(sum(inputs.shape[1] for inputs, _ in row) for row in built)
    tokens = torch.zeros(len(built), height, width, dtype=torch.long)
    tokens[:, 0] = prompts.padding
    labels = torch.full_like(tokens, IGNORED)
    segments = torch.zeros(len(built), width, dtype=torch.long)
    for number, row in enumerate(built):
        start = 0
        for segment, (inputs, targets) in enumerate(row, start=1):
            end = start + inputs.shape[1]
            tokens[number, :, start:end] = torch.from_numpy(inputs)
            labels[number, :, start:end] = torch.from_numpy(targets)
            segments[number, start:end] = segment
            start = end
    clips = sum(len(sequence.clips) for row in rows for sequence in row)
    return Batch(tokens, labels, segments, int((segments > 0).sum()), clips, epoch, index, counts, step_labels)


def count_labels(rows: Iterable[Row], examples: Sequence[Example]) -> LabelCounts:
    """Return the numbers of labels in `rows`: those of each clip's frames, and of the `<|im_end|>` after them."""
    codes = [examples[index].codes for row in rows for sequence in row for index in sequence.clips]
    return LabelCounts(sum(each.shape[1] + 1 for each in codes), sum(each.size for each in codes))


class Batches(IterableDataset):
    """The part of each planned batch that the process at `place` computes, collated when it is read.

    `plan` starts a new iterator over the whole batches, which hold indices of `examples`; `accumulate` of them make an
    optimizer step.
    """

    def __init__(
        self,
        examples: Sequence[Example],
        prompts: Prompts,
        plan: Callable[[], Iterator[PlannedBatch]],
        place: Place,
        accumulate: int = 1,
    ) -> None:
        self._examples = examples
        self._prompts = prompts
        self._plan = plan
        self._place = place
        self._accumulate = accumulate

    def __iter__(self) -> Iterator[Batch]:
        return one_ahead(self._collated())

    def _collated(self) -> Iterator[Batch]:
        plan = self._plan()
        while step := list(islice(plan, self._accumulate)):
            labels = count_labels((row for batch in step for row in batch.rows), self._examples)
            for epoch, index, rows in step:
                mine, counts = deal_rows(rows, self._place.rank, self._place.world)
                yield collate(mine, self._examples, self._prompts, epoch, index, counts, labels)
