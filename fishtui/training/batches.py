"""Plan which examples share a sequence, a row and a batch, from a seed.

A sequence learns examples of one speaker, a row is filled with whole sequences, and a batch is a number of rows. No
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
# Random clips of a speaker among which a reference is searched for.
TRIES = 8


class Sized(Protocol):
    """The properties of an example that planning depends on; `length` is in positions of a row."""

    @property
    def speaker(self) -> str: ...
    @property
    def length(self) -> int: ...


class PlannedSequence(NamedTuple):
    """Examples of one speaker, by their indices: `clips`, each to be learned, after a `reference` if there is one."""

    clips: list[int]
    reference: int | None = None

    def length(self, examples: Sequence[Sized]) -> int:
        """Return the positions that it takes at most."""
        given = () if self.reference is None else (self.reference,)
        return sum(examples[index].length for index in (*self.clips, *given))


Row = list[PlannedSequence]


class PlannedBatch(NamedTuple):
    """The rows of a batch, and its place in the data: batch `number` of `epoch`, both from 0."""

    epoch: int
    number: int
    rows: list[Row]


@dataclass(frozen=True)
class Plan:
    """A seeded order of batches; in each epoch every example is learned in exactly one sequence.

    About `reference_share` of the sequences begin with another example of their speaker.
    """

    max_length: int
    clips_per_sequence: int
    batch_size: int
    seed: int
    reference_share: float = 0.0

    def epoch(self, examples: Sequence[Sized], number: int) -> list[list[Row]]:
        """Return the batches of an epoch, each a list of rows of at most `max_length` positions."""
        random = np.random.default_rng([self.seed, number])
        sequences = self._sequences(examples, random)
        order = random.permutation(len(sequences))
        rows = pack_rows([sequences[i] for i in order], examples, self.max_length)
        rows = [rows[i] for i in random.permutation(len(rows))]
        return [rows[start : start + self.batch_size] for start in range(0, len(rows), self.batch_size)]

    def batches_from(self, examples: Sequence[Sized], epoch: int, index: int) -> Iterator[PlannedBatch]:
        """Yield batches without end, starting with batch `index` of `epoch`."""
        while True:
            batches = self.epoch(examples, epoch)
            for number in range(index, len(batches)):
                yield PlannedBatch(epoch, number, batches[number])
            epoch, index = epoch + 1, 0

    def _sequences(self, examples: Sequence[Sized], random: np.random.Generator) -> list[PlannedSequence]:
        by_speaker: dict[str, list[int]] = defaultdict(list)
        for index, example in enumerate(examples):
            by_speaker[example.speaker].append(index)
        sequences: list[PlannedSequence] = []
        for indices in by_speaker.values():
            own: list[list[int]] = []
            room, wanted = 0, 0
            for index in random.permutation(indices).tolist():
                length = examples[index].length
                if wanted == 0 or length > room:
                    own.append([])
                    room, wanted = self.max_length, int(random.integers(1, self.clips_per_sequence + 1))
                own[-1].append(index)
                room, wanted = room - length, wanted - 1
            sequences += [self._with_reference(clips, indices, examples, random) for clips in own]
        return sequences

    def _with_reference(
        self, clips: list[int], speaker: Sequence[int], examples: Sequence[Sized], random: np.random.Generator
    ) -> PlannedSequence:
        """Give the sequence of `clips` another one of the `speaker`, if it is its turn and one is found that fits."""
        if self.reference_share and random.random() < self.reference_share:
            room = self.max_length - PlannedSequence(clips).length(examples)
            for index in random.choice(speaker, TRIES).tolist():
                if index not in clips and examples[index].length <= room:
                    return PlannedSequence(clips, index)
        return PlannedSequence(clips)


def plan_validation(examples: Sequence[Sized], max_length: int, batch_size: int) -> Iterator[PlannedBatch]:
    """Yield one epoch in which every example is a sequence of its own, always in the same batches."""
    by_length = sorted(range(len(examples)), key=lambda index: -examples[index].length)
    rows = pack_rows([PlannedSequence([index]) for index in by_length], examples, max_length)
    for index, start in enumerate(range(0, len(rows), batch_size)):
        yield PlannedBatch(0, index, rows[start : start + batch_size])


def pack_rows(sequences: Sequence[PlannedSequence], examples: Sequence[Sized], max_length: int) -> list[Row]:
    """Put the sequences, in order, each into the fullest open row that has room for it."""
    rows: list[Row] = []
    rooms: list[tuple[int, int]] = []
    for sequence in sequences:
        length = sequence.length(examples)
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
