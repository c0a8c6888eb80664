"""Plan which examples share a sequence, a row and a batch, from a seed.

A sequence holds examples of one speaker, a row is filled with whole sequences, and a batch is a number of rows. No
example is cut and each is in exactly one sequence per epoch. The price is padding: about 2 % of the positions, where
cutting sequences to fill every row would waste none but show the model fragments of clips.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

# Rows that may wait for a sequence that fits. More rows would leave less padding and take longer to search.
OPEN_ROWS = 32


class Sized(Protocol):
    """The properties of an example that planning depends on; `length` is in positions of a row."""

    @property
    def speaker(self) -> str: ...
    @property
    def length(self) -> int: ...


Row = list[list[int]]
"""Sequences, each a list of indices of examples."""


class PlannedBatch(NamedTuple):
    """The rows of a batch, and its place in the data: batch `number` of `epoch`, both from 0."""

    epoch: int
    number: int
    rows: list[Row]


@dataclass(frozen=True)
class Plan:
    """A seeded order of batches; in each epoch every example is in exactly one sequence."""

    max_length: int
    clips_per_sequence: int
    batch_size: int
    seed: int

    def epoch(self, examples: Sequence[Sized], number: int) -> list[list[Row]]:
        """Return the batches of an epoch, each a list of rows of at most `max_length` positions."""
        random = np.random.default_rng([self.seed, number])
        sequences = self._sequences(examples, random)
        order = random.permutation(len(sequences))
        rows = pack_rows([sequences[i] for i in order], [example.length for example in examples], self.max_length)
        rows = [rows[i] for i in random.permutation(len(rows))]
        return [rows[start : start + self.batch_size] for start in range(0, len(rows), self.batch_size)]

    def batches_from(self, examples: Sequence[Sized], epoch: int, index: int) -> Iterator[PlannedBatch]:
        """Yield batches without end, starting with batch `index` of `epoch`."""
        while True:
            batches = self.epoch(examples, epoch)
            for number in range(index, len(batches)):
                yield PlannedBatch(epoch, number, batches[number])
            epoch, index = epoch + 1, 0

    def _sequences(self, examples: Sequence[Sized], random: np.random.Generator) -> Row:
        by_speaker: dict[str, list[int]] = defaultdict(list)
        for index, example in enumerate(examples):
            by_speaker[example.speaker].append(index)
        sequences: Row = []
        for indices in by_speaker.values():
            room, wanted = 0, 0
            for index in random.permutation(indices).tolist():
                length = examples[index].length
                if wanted == 0 or length > room:
                    sequences.append([])
                    room, wanted = self.max_length, int(random.integers(1, self.clips_per_sequence + 1))
                sequences[-1].append(index)
                room, wanted = room - length, wanted - 1
        return sequences


def plan_validation(examples: Sequence[Sized], max_length: int, batch_size: int) -> Iterator[PlannedBatch]:
    """Yield one epoch in which every example is a sequence of its own, always in the same batches."""
    by_length = sorted(range(len(examples)), key=lambda index: -examples[index].length)
    rows = pack_rows([[index] for index in by_length], [example.length for example in examples], max_length)
    for index, start in enumerate(range(0, len(rows), batch_size)):
        yield PlannedBatch(0, index, rows[start : start + batch_size])


def pack_rows(sequences: Sequence[list[int]], lengths: Sequence[int], max_length: int) -> list[Row]:
    """Put the sequences, in order, each into the fullest open row that has room for it."""
    rows: list[Row] = []
    rooms: list[tuple[int, int]] = []
    for sequence in sequences:
        length = sum(lengths[index] for index in sequence)
        fitting = [place for place, (room, _) in enumerate(rooms) if room >= length]
        if fitting:
            place = min(fitting, key=lambda place: rooms[place])
            room, row = rooms[place]
            rows[row].append(sequence)
            rooms[place] = (room - length, row)
        else:
            if len(rooms) == OPEN_ROWS:
                rooms.remove(min(rooms))
            rows.append([sequence])
            rooms.append((max_length - length, len(rows) - 1))
    return rows


def deal_rows(rows: list[Row], rank: int, world: int) -> tuple[list[Row], bool]:
    """Return the rows of a batch that process `rank` of `world` computes, and whether they count.

    If there are fewer rows than processes, each process without one repeats the first row, and that does not count:
    every process must compute a step when one does.
    """
    mine = rows[rank::world]
    return (mine, True) if mine else (rows[:1], False)
