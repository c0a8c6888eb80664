"""pack: transcripts and codes of all clips into shards, with a manifest of where each clip went."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from fishtui.checkpoint import CheckpointFolder
from fishtui.codes import Layout, layout_of, read_codes
from fishtui.dataset import Clip, find_clips
from fishtui.errors import DataError, FishtuiError
from fishtui.families.family import Family
from fishtui.files import UNCHANGED
from fishtui.memory import without_collecting
from fishtui.project import Project
from fishtui.runs.ledger import Ledger
from fishtui.runs.reporter import Reporter
from fishtui.settings import PackSettings, Settings
from fishtui.shards.packed import (
    MANIFEST,
    STAGING,
    ManifestEntry,
    claim,
    install,
    previous_validation,
    refuse_foreign,
    refuse_shared,
    write_manifest,
)
from fishtui.shards.split import TRAIN, VALIDATION, choose_validation, content_of
from fishtui.shards.stream import Position, ShardWriter, encode_sentence
from fishtui.speakers import branch_of_clip, distinct_speakers
from fishtui.stages.excluded import Exclusion, admit, drafts_in, excluded
from fishtui.stages.refresh import refresh_catalog
from fishtui.wording import cannot_write
from fishtui.workers import ordered_map, worker_count

MEGABYTE = 1_000_000
# Clips that a worker process receives at once.
CHUNK = 256
# With fewer clips, starting processes takes longer than it saves.
FEW_CLIPS = 10_000

_SpokenClip = tuple[str, Clip]
"""The speaker's name in the shards, and the clip."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """The model to pack for: its family, and the layout of its codes."""

    family: Family
    layout: Layout


@dataclass(frozen=True, slots=True)
class _Sentence:
    """A clip encoded for its shard, with the hash of its codes, or the `problem` that prevents it."""

    clip: str
    speaker: str
    problem: str = ""
    text: str = ""
    frames: int = 0
    encoded: bytes = b""
    content: bytes = b""


def pack(
    project: Project, values: Settings, reporter: Reporter, *, data: Path, output: Path, dry_run: bool = False
) -> Ledger:
    """Pack every clip of `data` that has a transcript and codes into shards in `output`.

    Clips of the project's own dataset that are rejected, have errors or outdated codes are left out. The shards of an
    earlier packing stay until the new ones are complete. Raises FishtuiError if there is nothing to pack,
    MisuseError if `output` has shards of another tool or project.
    """
    refuse_foreign(output)
    refuse_shared(output, project.root)
    if not dry_run:
        refresh_catalog(project, values, reporter, data)
    ledger = Ledger()
    without = excluded(project, values, data, stale_codes=False, drafts=False)
    found = find_clips(data, values.pack.text_extension)
    clips = _with_speakers(_complete_clips(found, without, ledger), data)
    if not clips:
        raise _nothing_to_pack(data, without, ledger)
    if dry_run:
        ledger.done = len(clips)
        return ledger
    claim(output, project.root)
    checkpoint = CheckpointFolder(project.path(values.paths.checkpoint))
    kind = _Kind(checkpoint.family_or_default, layout_of(checkpoint.codec_file))
    try:
        packed = _write_shards(clips, kind, output / STAGING, values.pack, ledger, reporter)
        if not packed:
            raise FishtuiError(
                f"{data}: no clip could be packed",
                f"Fix the clips; the first problem: {ledger.failed[0].reason}.",
                code="nothing-to-pack",
            )
        validation = choose_validation(
            ((sentence.speaker, sentence.clip) for sentence, _ in packed),
            values.pack.validation,
            previous_validation(output),
            {sentence.clip: sentence.content for sentence, _ in packed},
        )
        write_manifest(
            output / STAGING / MANIFEST, (_entry(sentence, position, validation) for sentence, position in packed)
        )
        shards = install(output)
    except OSError as error:
        raise cannot_write(output, error, remedy=UNCHANGED) from error
    finally:
        # Of a packing that failed, perhaps on a full disk.
        shutil.rmtree(output / STAGING, ignore_errors=True)
    drafts = drafts_in(project, values, data)
    ledger.counts = {
        "shards": len(shards),
        "drafts": sum(sentence.clip in drafts for sentence, _ in packed),
        "frames": sum(sentence.frames for sentence, _ in packed),
        "validation": len(validation),
    }
    for path in shards:
        reporter.artifact("shard", path)
    return ledger


@without_collecting()
def _complete_clips(clips: Sequence[Clip], without: Mapping[str, Exclusion], ledger: Ledger) -> list[Clip]:
    """Return the clips with transcript and codes; enter the others in the ledger."""
    complete = []
    for clip in admit(clips, without, ledger):
        if clip.has_text and clip.has_codes:
            complete.append(clip)
        elif clip.files:
            ledger.fail(clip.name, "no codes: run `fishtui extract`" if clip.has_text else "no transcript")
        else:
            ledger.skip(
                clip.name, "transcript without audio or codes" if clip.has_text else "codes without audio or transcript"
            )
    return complete


@without_collecting()
def _with_speakers(clips: Sequence[Clip], data: Path) -> list[_SpokenClip]:
    """Return the clips by speaker and name; speakers of one name in different parts of the dataset stay apart."""
    branches = [branch_of_clip(clip.name) for clip in clips]
    names = distinct_speakers(branches, os.fspath(data))
    # A protobuf string must be UTF-8; a folder's name need not be, and another replacement could equal a second name.
    spoken = [
        (os.fsencode(names[branch]).decode("utf-8", "backslashreplace"), clip)
        for branch, clip in zip(branches, clips, strict=True)
    ]
    return sorted(spoken, key=lambda pair: (pair[0], pair[1].name))


def _nothing_to_pack(data: Path, without: Mapping[str, Exclusion], ledger: Ledger) -> FishtuiError:
    """The error for a dataset without a complete clip; its remedy gives the most frequent reason."""
    if not without:
        return FishtuiError(
            f"{data}: no clip with both transcript and codes",
            "Write the transcripts, and run `fishtui extract`.",
            code="no-complete-clips",
        )
    reason, count = Counter(entry.reason for entry in [*ledger.failed, *ledger.skipped]).most_common(1)[0]
    return FishtuiError(
        f"{data}: no clip can be packed",
        f"Fix or review the clips; {count:,} of {ledger.total:,}: {reason}.",
        code="nothing-to-pack",
    )


def _write_shards(
    clips: list[_SpokenClip], kind: _Kind, staging: Path, settings: PackSettings, ledger: Ledger, reporter: Reporter
) -> list[tuple[_Sentence, Position]]:
    """Write the clips into new shards in `staging`; return them with their positions. Raises OSError."""
    if staging.exists():
        shutil.rmtree(staging)
    staging.mkdir(parents=True)
    writer = ShardWriter(staging, int(settings.shard_size * MEGABYTE))
    packed = []
    for number, sentence in enumerate(_sentences(clips, kind, settings.workers)):
        if sentence.problem:
            ledger.fail(sentence.clip, sentence.problem)
        else:
            position = writer.add(sentence.speaker, sentence.encoded)
            # Without the codes, which may be larger than the memory.
            packed.append((replace(sentence, encoded=b""), position))
            ledger.done += 1
        reporter.progress(number + 1, len(clips))
    writer.close()
    return packed


def _sentences(clips: list[_SpokenClip], kind: _Kind, workers: int) -> Iterator[_Sentence]:
    if len(clips) < FEW_CLIPS or worker_count(workers) == 1:
        yield from map(partial(_read_sentence, kind), clips)
        return
    chunks = [clips[start : start + CHUNK] for start in range(0, len(clips), CHUNK)]
    count = worker_count(workers)
    for sentences in ordered_map(partial(_read_chunk, kind), chunks, count, 2 * count, _crashed):
        yield from sentences


def _crashed(clips: list[_SpokenClip]) -> list[_Sentence]:
    reason = "a worker process crashed while reading this clip or one near it; memory may have run out"
    return [_Sentence(clip.name, speaker, reason) for speaker, clip in clips]


def _read_chunk(kind: _Kind, clips: list[_SpokenClip]) -> list[_Sentence]:
    return [_read_sentence(kind, clip) for clip in clips]


def _read_sentence(kind: _Kind, spoken: _SpokenClip) -> _Sentence:
    speaker, clip = spoken
    try:
        text = kind.family.clean_for_packing(clip.read_transcript())
        if not text.strip():
            raise DataError(
                "the transcript is empty without its {…} and <…>",
                f"Write the spoken words into {clip.transcript.name}.",
                code="empty-transcript",
            )
        codes = read_codes(clip.codes, kind.layout)
    except DataError as error:
        return _Sentence(clip.name, speaker, error.problem)
    return _Sentence(clip.name, speaker, "", text, codes.shape[1], encode_sentence(text, codes), content_of(codes))


def _entry(sentence: _Sentence, position: Position, validation: set[str]) -> ManifestEntry:
    return {
        "clip": sentence.clip,
        "speaker": sentence.speaker,
        "shard": position.shard,
        "message": position.message,
        "sentence": position.sentence,
        "frames": sentence.frames,
        "text": sentence.text,
        "split": VALIDATION if sentence.clip in validation else TRAIN,
    }
