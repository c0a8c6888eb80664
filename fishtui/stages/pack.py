"""pack: transcripts and codes of all clips into shards, with a manifest of where each clip went."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fishtui.codes import read_codes
from fishtui.dataset import Clip, find_clips
from fishtui.errors import DataError, FishtuiError
from fishtui.files import UNCHANGED
from fishtui.lm.text import clean_for_packing
from fishtui.project import Project
from fishtui.runs.ledger import Ledger
from fishtui.runs.reporter import Reporter
from fishtui.settings import Settings
from fishtui.shards.packed import MANIFEST, STAGING, ManifestEntry, held_out_before, install, write_manifest
from fishtui.shards.split import TRAIN, VALIDATION, held_out
from fishtui.shards.stream import Placed, ShardWriter, encode_sentence
from fishtui.stages.excluded import admit, excluded
from fishtui.stages.refresh import refresh_catalog
from fishtui.wording import cannot_write
from fishtui.workers import ordered_map, worker_count

MEGABYTE = 1_000_000
# Clips that a worker process is handed at once.
CHUNK = 256
# Below this, starting processes costs more than it saves.
FEW_CLIPS = 4 * CHUNK


@dataclass(frozen=True)
class _Sentence:
    """A clip ready for its shard, or what is wrong with it."""

    clip: str
    speaker: str
    problem: str = ""
    text: str = ""
    frames: int = 0
    encoded: bytes = b""


def pack(
    project: Project, values: Settings, reporter: Reporter, *, data: Path, output: Path, dry_run: bool = False
) -> Ledger:
    """Pack every clip of `data` that has a transcript and codes into shards in `output`.

    Of the project's own dataset clips that are rejected, have errors or stale codes are left out. The shards of an
    earlier packing stand until the new ones are complete. Raises FishtuiError if there is nothing to pack.
    """
    settings = values.pack
    ledger = Ledger()
    complete: list[Clip] = []
    if not dry_run:
        refresh_catalog(project, values, reporter, data)
    without = excluded(project, values, data, stale_codes=False)
    for clip in admit(find_clips(data, settings.text_extension), without, ledger):
        if clip.has_text and clip.has_codes:
            complete.append(clip)
        elif clip.files:
            ledger.fail(clip.name, "no codes: run `fishtui extract`" if clip.has_text else "no transcript")
        else:
            ledger.skip(
                clip.name, "transcript without audio or codes" if clip.has_text else "codes without audio or transcript"
            )
    if not complete and without:
        reason, count = Counter(entry.reason for entry in [*ledger.failed, *ledger.skipped]).most_common(1)[0]
        raise FishtuiError(f"no clip of {data} could be packed", f"{count:,} of {ledger.total:,}: {reason}.")
    if not complete:
        raise FishtuiError(
            f"{data} holds no clip with both transcript and codes",
            "Write the transcripts, and make codes with `fishtui extract`.",
        )
    if dry_run:
        ledger.done = len(complete)
        return ledger
    complete.sort(key=lambda clip: (clip.speaker, clip.name))

    staging = output / STAGING
    writer = ShardWriter(staging, int(settings.shard_size * MEGABYTE))
    placed: list[tuple[_Sentence, Placed]] = []
    try:
        if staging.exists():
            shutil.rmtree(staging)
        staging.mkdir(parents=True)
        for number, sentence in enumerate(_sentences(complete, settings.workers)):
            if sentence.problem:
                ledger.fail(sentence.clip, sentence.problem)
            else:
                placed.append((sentence, writer.add(sentence.speaker, sentence.encoded)))
                ledger.done += 1
            reporter.progress(number + 1, len(complete))
        writer.close()
        if not placed:
            raise FishtuiError(f"no clip of {data} could be packed", f"The first fault: {ledger.failed[0].reason}.")
        validation = held_out(
            ((sentence.speaker, sentence.clip) for sentence, _ in placed), settings.validation, held_out_before(output)
        )
        write_manifest(staging / MANIFEST, (_entry(sentence, place, validation) for sentence, place in placed))
        shards = install(output)
    except OSError as error:
        raise cannot_write(output, error, remedy=UNCHANGED) from error

    ledger.counts = {
        "shards": len(shards),
        "frames": sum(sentence.frames for sentence, _ in placed),
        "validation": len(validation),
    }
    for path in shards:
        reporter.artifact("shard", path)
    return ledger


def _sentences(clips: list[Clip], workers: int) -> Iterator[_Sentence]:
    if len(clips) < FEW_CLIPS or worker_count(workers) == 1:
        yield from map(_read_sentence, clips)
        return
    chunks = [clips[start : start + CHUNK] for start in range(0, len(clips), CHUNK)]
    count = worker_count(workers)
    for sentences in ordered_map(_read_chunk, chunks, count, 2 * count, _died):
        yield from sentences


def _died(clips: list[Clip]) -> list[_Sentence]:
    reason = "reading it, or a clip beside it, ended the process that did: memory may have run out"
    return [_Sentence(clip.name, clip.speaker, reason) for clip in clips]


def _read_chunk(clips: list[Clip]) -> list[_Sentence]:
    return [_read_sentence(clip) for clip in clips]


def _read_sentence(clip: Clip) -> _Sentence:
    # A name that isn't UTF-8 can't stand in a protobuf string as it is.
    speaker = os.fsencode(clip.speaker).decode("utf-8", "replace")
    try:
        text = clean_for_packing(clip.read_transcript())
        if not text.strip():
            raise DataError("nothing is left of the transcript without its {…} and <…>")
        codes = read_codes(clip.codes)
    except DataError as error:
        return _Sentence(clip.name, speaker, error.problem)
    return _Sentence(clip.name, speaker, "", text, codes.shape[1], encode_sentence(text, codes))


def _entry(sentence: _Sentence, place: Placed, validation: set[str]) -> ManifestEntry:
    return {
        "clip": sentence.clip,
        "speaker": sentence.speaker,
        "shard": place.shard,
        "message": place.message,
        "sentence": place.sentence,
        "frames": sentence.frames,
        "text": sentence.text,
        "split": VALIDATION if sentence.clip in validation else TRAIN,
    }
