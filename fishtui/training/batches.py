"""Which clips stand together: sequences of one speaker, rows of sequences, batches of rows; all from a seed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

# Rows that still wait for a sequence that fits. More would fill rows better and cost time; this loses about 2 %.
OPEN_ROWS = 32


class Sized(Protocol):
    """What planning needs to know of a clip."""

    @property
    def speaker(self) -> str: ...
    @property
    def length(self) -> int: ...


Row = list[list[int]]
"""Sequences, each a list of indices of clips."""


@dataclass(frozen=True)
class Plan:
    """How clips become batches. In each epoch every clip stands in exactly one sequence, in a seeded order."""

    max_length: int
    clips_per_sequence: int
    batch_size: int
    seed: int

    def epoch(self, clips: Sequence[Sized], number: int) -> list[list[Row]]:
        """The batches of an epoch, each a list of rows of at most `max_length` positions."""
        random = np.random.default_rng([self.seed, number])
        sequences = self._sequences(clips, random)
        order = random.permutation(len(sequences))
        rows = pack_rows([sequences[i] for i in order], [clip.length for clip in clips], self.max_length)
        rows = [rows[i] for i in random.permutation(len(rows))]
        return [rows[start : start + self.batch_size] for start in range(0, len(rows), self.batch_size)]

    def _sequences(self, clips: Sequence[Sized], random: np.random.Generator) -> Row:
        by_speaker: dict[str, list[int]] = defaultdict(list)
        for index, clip in enumerate(clips):
            by_speaker[clip.speaker].append(index)
        sequences: Row = []
        for indices in by_speaker.values():
            room, wanted = 0, 0
            for index in random.permutation(indices).tolist():
                length = clips[index].length
                if wanted == 0 or length > room:
                    sequences.append([])
                    room, wanted = self.max_length, int(random.integers(1, self.clips_per_sequence + 1))
                sequences[-1].append(index)
                room, wanted = room - length, wanted - 1
        return sequences


def pack_rows(sequences: Sequence[list[int]], lengths: Sequence[int], max_length: int) -> list[Row]:
    """Put sequences, in order, each into the fullest open row that has room for it."""
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


def dealt(rows: list[Row], rank: int, world: int) -> tuple[list[Row], bool]:
    """The rows of a batch that process `rank` of `world` takes, and whether they count.

    Where there are fewer rows than processes, those that are left without take one that counts for another: all
    must compute when one does.
    """
    mine = rows[rank::world]
    return (mine, True) if mine else (rows[:1], False)


def alone(clips: Sequence[Sized], max_length: int, batch_size: int) -> Iterator[tuple[int, int, list[Row]]]:
    """One epoch in which every clip is a sequence of its own, always in the same batches: for validation."""
    by_length = sorted(range(len(clips)), key=lambda index: -clips[index].length)
    rows = pack_rows([[index] for index in by_length], [clip.length for clip in clips], max_length)
    for index, start in enumerate(range(0, len(rows), batch_size)):
        yield 0, index, rows[start : start + batch_size]


def endless(plan: Plan, clips: Sequence[Sized], epoch: int, index: int) -> Iterator[tuple[int, int, list[Row]]]:
    """All batches from batch `index` of `epoch` on, each with its place: (epoch, index, rows)."""
    while True:
        batches = plan.epoch(clips, epoch)
        for number in range(index, len(batches)):
            yield epoch, number, batches[number]
        epoch, index = epoch + 1, 0
