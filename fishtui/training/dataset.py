"""Clips from shards, as the examples that training and validation read."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fishtui.errors import DataError, FishtuiError
from fishtui.lm.config import ModelConfig
from fishtui.lm.prompt import IGNORED, Template, sequence_length, training_sequence
from fishtui.lm.text import clean_for_training
from fishtui.lm.tokenizer import Tokenizer
from fishtui.shards.packed import read_manifest, shard_paths
from fishtui.shards.split import VALIDATION, held_out
from fishtui.shards.stream import Placed, StoredSentence, read_sentences


@dataclass(frozen=True)
class Example:
    """One clip to learn from: `codes` is int16 (codebooks, T); `length` the positions that it takes in a row."""

    name: str
    speaker: str
    text: str
    codes: np.ndarray
    length: int


@dataclass(frozen=True)
class Examples:
    """What the shards hold, split, and the names of the clips that are in neither part.

    Those are too long for a row, left out because they are unwanted, or empty: without a frame or without a word.
    """

    train: list[Example]
    validation: list[Example]
    too_long: list[str]
    left_out: list[str]
    empty: list[str]

    def fingerprint(self) -> str:
        """Tells whether the training clips are the same as another time."""
        digest = hashlib.sha256()
        for example in self.train:
            digest.update(repr((example.name, example.text, example.codes.shape)).encode("utf-8", "surrogateescape"))
            digest.update(example.codes.tobytes())
        return digest.hexdigest()


def load_examples(
    protos: Path,
    tokenizer: Tokenizer,
    config: ModelConfig,
    template: Template,
    max_length: int,
    share: float,
    unwanted: Collection[str] = (),
) -> Examples:
    """Every clip of the shards in `protos`, with the manifest's split, or where there is none, one of `share` by hash.

    Clips whose names are `unwanted` are left out.

    Raises DataError if the shards don't fit together or the codes are of another model, FishtuiError if nothing is
    left to train on.
    """
    paths = shard_paths(protos)
    sentences = list(read_sentences(paths))
    names, validation = _names_and_split(protos, sentences, share)
    examples = Examples([], [], [], [], [])
    for (place, sentence), name in zip(sentences, names, strict=True):
        if name in unwanted:
            examples.left_out.append(name)
            continue
        text = clean_for_training(sentence.text)
        if not sentence.codes.size or not text:
            # Shards of other tools may hold such; there is nothing in them to learn from.
            examples.empty.append(name)
            continue
        _check_codes(paths[place.shard], name, sentence, config)
        # One position is spare: a clip adds at most its own sequence's length to a row.
        length = sequence_length(template, tokenizer, (text, sentence.codes)) + 1
        example = Example(name, sentence.speaker, text, sentence.codes, length)
        if example.length > max_length:
            examples.too_long.append(name)
        else:
            (examples.validation if name in validation else examples.train).append(example)
    if not examples.train:
        counts = (
            f"{len(examples.too_long)} too long, {len(examples.validation)} held out, {len(examples.left_out)} left "
            f"out, {len(examples.empty)} empty"
        )
        raise FishtuiError(
            f"{protos} holds no clip to train on: {counts}",
            "Add clips, raise train.max_length, or lower pack.validation.",
        )
    return examples


def _names_and_split(
    protos: Path, sentences: Sequence[tuple[Placed, StoredSentence]], share: float
) -> tuple[list[str], set[str]]:
    """Each sentence's clip name, and those held out; without a manifest, both come from their places."""
    manifest = read_manifest(protos)
    if not manifest:
        names = [f"{sentence.speaker}/{place.shard}.{place.message}.{place.sentence}" for place, sentence in sentences]
        speakers = (sentence.speaker for _, sentence in sentences)
        return names, held_out(zip(speakers, names, strict=True), share)
    places = [Placed(entry["shard"], entry["message"], entry["sentence"]) for entry in manifest]
    if places != [place for place, _ in sentences]:
        raise DataError(f"the manifest of {protos} is not that of its shards", "Pack again with `fishtui pack`.")
    return [entry["clip"] for entry in manifest], {entry["clip"] for entry in manifest if entry["split"] == VALIDATION}


def _check_codes(path: Path, name: str, sentence: StoredSentence, config: ModelConfig) -> None:
    codes = sentence.codes
    if len(codes) != config.num_codebooks or codes.min(initial=0) < 0 or codes.max(initial=0) >= config.codebook_size:
        raise DataError(
            f"{path}: the codes of {name} are not of this model's {config.num_codebooks} codebooks",
            "Extract and pack again.",
        )


@dataclass
class Batch:
    """Rows of sequences: `tokens`, `labels` int64 (B, 1 + codebooks, S); `segments` int64 (B, S), see `DualAR.slow`.

    `positions` counts those that are not padding, `clips` what they hold; `epoch` and `index` say where in the
    data the batch stands. One that does not `count` stands in for rows that there are none of: it has no part in
    losses and gradients.
    """

    tokens: Tensor
    labels: Tensor
    segments: Tensor
    positions: int
    clips: int
    epoch: int = 0
    index: int = 0
    counts: bool = True

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Batch:
        """The same batch on another device."""
        names = ("tokens", "labels", "segments")
        return replace(self, **{name: getattr(self, name).to(device, non_blocking=non_blocking) for name in names})


def collate(
    rows: Sequence[Sequence[Sequence[Example]]],
    tokenizer: Tokenizer,
    template: Template,
    epoch: int = 0,
    index: int = 0,
    counts: bool = True,
) -> Batch:
    """A batch of `rows`, each a list of sequences, each a list of clips of one speaker."""
    built = [
        [training_sequence(template, tokenizer, [(clip.text, clip.codes) for clip in sequence]) for sequence in row]
        for row in rows
    ]
    height = len(built[0][0][0])
    width = max(sum(inputs.shape[1] for inputs, _ in row) for row in built)
    tokens = torch.zeros(len(built), height, width, dtype=torch.long)
    tokens[:, 0] = tokenizer.end_of_text
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
    clips = sum(len(sequence) for row in rows for sequence in row)
    return Batch(tokens, labels, segments, int((segments > 0).sum()), clips, epoch, index, counts)
