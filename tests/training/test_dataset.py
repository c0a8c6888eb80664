from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from fishtui.checkpoint import CheckpointFolder
from fishtui.distributed import Place
from fishtui.families.family import Prompts
from fishtui.lm.config import IGNORED
from fishtui.training.batches import Plan, PlannedBatch, PlannedSequence
from fishtui.training.dataset import Batch, Batches, Example, collate
from tests.tinymodels.s2 import write_tiny as write_s2


@pytest.fixture(scope="module")
def prompts(checkpoint: Path) -> Prompts:
    return CheckpointFolder(checkpoint).prompts("interleave")


@pytest.fixture(scope="module")
def examples(checkpoint: Path, prompts: Prompts) -> list[Example]:
    """Examples of three speakers and several lengths."""
    codebooks = CheckpointFolder(checkpoint).config().num_codebooks
    made = []
    for number in range(15):
        codes = np.full((codebooks, 3 + number % 7), number, np.int16)
        text = f"Clip {number}."
        length = prompts.sequence_length((text, codes)) + 1
        made.append(Example(f"{number}", "abc"[number % 3], text, codes, length))
    return made


def rows_of(batch: Batch) -> list[list[int]]:
    """Return the token ids of each row without padding."""
    return [tokens[0, segments > 0].tolist() for tokens, segments in zip(batch.tokens, batch.segments, strict=True)]


def test_a_row_has_its_sequences_in_segments_and_padding_after_them(examples: list[Example], prompts: Prompts) -> None:
    rows = [[PlannedSequence([0, 3]), PlannedSequence([1])], [PlannedSequence([2])]]
    batch = collate(rows, examples, prompts)
    long, short = batch.segments
    assert torch.equal(long.unique(), torch.tensor([1, 2]))
    assert set(short.tolist()) == {0, 1}
    inputs, labels = prompts.training_sequence([(examples[2].text, examples[2].codes)])
    assert batch.tokens[1, :, : inputs.shape[1]].tolist() == inputs.tolist()
    assert batch.labels[1, :, : inputs.shape[1]].tolist() == labels.tolist()
    assert (batch.tokens[1, 0, inputs.shape[1] :] == prompts.padding).all()
    assert (batch.labels[1, :, inputs.shape[1] :] == IGNORED).all()
    assert (batch.clips, batch.positions) == (4, int((batch.segments > 0).sum()))


def test_the_batches_of_all_processes_together_equal_those_of_one_process(
    examples: list[Example], prompts: Prompts
) -> None:
    plan = Plan(max_length=64, clips_per_sequence=2, batch_size=3, seed=0)

    def batches(place: Place) -> list[Batch]:
        return list(Batches(examples, prompts, lambda: islice(plan.batches_from(examples, 0, 0), 5), place))

    alone = batches(Place())
    parts = [batches(Place(rank, 2)) for rank in range(2)]
    for whole, *shares in zip(alone, *parts, strict=True):
        assert all((share.epoch, share.index) == (whole.epoch, whole.index) for share in shares)
        counted = [row for share in shares if share.counts for row in rows_of(share)]
        assert sorted(counted) == sorted(rows_of(whole))
        assert sum(share.clips for share in shares if share.counts) == whole.clips


@pytest.mark.parametrize("template", ["interleave", "instruct", "chat"])
@pytest.mark.parametrize("accumulate", [1, 3])
def test_each_batch_knows_the_labels_of_its_whole_step(
    template: str, accumulate: int, checkpoint: Path, examples: list[Example], tmp_path: Path
) -> None:
    if template == "chat":
        write_s2(tmp_path)
    prompts = CheckpointFolder(tmp_path if template == "chat" else checkpoint).prompts(template)
    # With references, which are not learned, where the template has them.
    plan = Plan(max_length=256, clips_per_sequence=2, batch_size=2, seed=0, reference_share=0.5)

    def batches(place: Place) -> list[Batch]:
        def planned() -> Iterator[PlannedBatch]:
            return islice(plan.batches_from(examples, 0, 0), 7)

        return list(Batches(examples, prompts, planned, place, accumulate))

    parts = [batches(Place(rank, 2)) for rank in range(2)]
    for start in range(0, len(parts[0]), accumulate):
        step = [batch for part in parts for batch in part[start : start + accumulate]]
        labels = [batch.labels for batch in step if batch.counts]
        tokens = sum(int((each[:, 0] != IGNORED).sum()) for each in labels)
        end = prompts.training_sequence([(examples[0].text, examples[0].codes)])[1][0, -1]
        frames = sum(int(((each[:, 0] != IGNORED) & (each[:, 0] != end)).sum()) for each in labels)
        codebooks = step[0].labels.shape[1] - 1
        assert all(batch.step_labels == (tokens, frames * codebooks) for batch in step)
