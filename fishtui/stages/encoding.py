"""Compute the codes of recordings: decode and resample each file, then run the codec over batches.

Codes follow from this module and the others in `CODE`: if their code changes, codes on disk are out of date.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fishtui import distributed
from fishtui.audio.decode import mix, read_audio
from fishtui.audio.recording import Recording, open_recording
from fishtui.audio.resample import Filter, resample, resample_blocks, resampled_length
from fishtui.distributed import Place
from fishtui.errors import DataError
from fishtui.files import FileState, state_of
from fishtui.settings import ExtractSettings
from fishtui.wording import reason_of
from fishtui.workers import ordered_map

if TYPE_CHECKING:
    import torch

    from fishtui.codec.model import Codec

CODE = (
    *("stages/encoding.py", "audio/decode.py", "audio/recording.py", "audio/libav.py", "audio/formats"),
    *("audio/resample.py", "codec", "nn.py"),
)
# Batches that are decoded before the model needs them.
BATCHES_AHEAD = 2
# Longer recordings are never in memory whole: a minute takes up to 23 MB, and several copies of it exist at a time.
LONG_SECONDS = 300.0
UNREAD = FileState(0, 0, 0, 0)
TOO_LONG = "too long for this machine's memory; split the recording"


@dataclass(frozen=True)
class EncodeTask:
    """An audio file to encode, its approximate length, the codec's sample rate, and the filter to resample it with."""

    clip: str
    audio: Path
    codes: Path
    seconds: float
    rate: int
    filter: Filter


@dataclass(frozen=True)
class DecodedClip:
    """A recording at the codec's sample rate, float32 of shape (samples,), or the problem with its file.

    `samples` is None for a long recording, which was decoded to its end once, and is decoded again to encode it.
    """

    task: EncodeTask
    problem: str = ""
    length: int = 0
    samples: np.ndarray | None = None
    sha256: str = ""
    state: FileState = UNREAD


def decode_batches(tasks: Sequence[EncodeTask], settings: ExtractSettings, workers: int) -> Iterator[list[DecodedClip]]:
    """Yield decoded recordings in batches of similar length, decoded by `workers` processes.

    The longest come first, so that memory either runs out in the first batches or not at all.
    """
    plan = list(plan_batches([each.seconds for each in tasks], settings.batch_size, settings.batch_seconds))
    in_order = [tasks[index] for batch in plan for index in batch]
    ahead = BATCHES_AHEAD * max((len(batch) for batch in plan), default=1)
    # Long recordings are batches of their own, and fewer of them fit into memory.
    budget = BATCHES_AHEAD * settings.batch_seconds
    decoded = ordered_map(_decode, in_order, workers, ahead, _crashed, attrgetter("seconds"), budget)
    for batch in plan:
        yield [next(decoded) for _ in batch]


def plan_batches(seconds: Sequence[float], size: int, budget: float) -> Iterator[list[int]]:
    """Yield the indices of clips in batches of at most `size` clips and `budget` seconds, including padding.

    A clip longer than the budget is a batch of its own.
    """
    batch: list[int] = []
    for index in sorted(range(len(seconds)), key=lambda index: -seconds[index]):
        # Clips come longest first, so the first of a batch sets the padded length of all.
        if batch and (len(batch) == size or seconds[batch[0]] * (len(batch) + 1) > budget):
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def _decode(task: EncodeTask) -> DecodedClip:
    try:
        if task.seconds > LONG_SECONDS:
            return _decode_long(task)
        state = state_of(task.audio.stat())
        audio = read_audio(task.audio, mixed=True)
        samples = resample(audio.mono(), audio.rate, task.rate, task.filter)
    except DataError as error:
        return DecodedClip(task, error.problem)
    except OSError as error:
        return DecodedClip(task, f"cannot read: {reason_of(error)}")
    except (MemoryError, RuntimeError, ValueError) as error:
        return DecodedClip(task, f"cannot decode or resample: {reason_of(error)}")
    return DecodedClip(task, "", len(samples), samples, audio.sha256, state)


def _decode_long(task: EncodeTask) -> DecodedClip:
    """Decode a recording to its end, and keep only its length: a file that crashes the decoder does so here."""
    with task.audio.open("rb", buffering=0) as handle:
        state = state_of(os.fstat(handle.fileno()))
        sha256 = hashlib.file_digest(handle, "sha256").hexdigest()
        recording = Recording(handle)
        frames = sum(len(block) for block in recording.blocks())
    length = resampled_length(frames, recording.header.rate, task.rate)
    return DecodedClip(task, "", length, None, sha256, state)


def _read_again(item: DecodedClip) -> Iterator[np.ndarray]:
    """Yield a long recording at the codec's rate in blocks (samples,). Raises DataError if its file has changed."""
    task = item.task
    with open_recording(task.audio) as recording:
        mixed = (mix(block) for block in recording.blocks())
        yield from resample_blocks(mixed, recording.header.rate, task.rate, task.filter)
        if state_of(task.audio.stat()) != item.state:
            raise DataError("it changed while it was read", "Extract its codes again.", code="changed")


def _crashed(task: EncodeTask) -> DecodedClip:
    return DecodedClip(task, "the decoder crashed: the file is damaged, or memory ran out")


class Encoder:
    """Runs the codec over batches; if a batch does not fit into memory, over halves of it."""

    def __init__(self, codec: Codec) -> None:
        self.halved = 0
        """The number of batches that were halved."""
        self._codec = codec

    @property
    def device(self) -> torch.device:
        """The device of the codec."""
        return next(self._codec.parameters()).device

    def encode(self, batch: Sequence[DecodedClip]) -> list[np.ndarray | str]:
        """Return the codes (codebooks, T) of each recording, or the problem with it."""
        short = iter(self._encode_together([item for item in batch if item.samples is not None]))
        return [self._encode_long(item) if item.samples is None else next(short) for item in batch]

    def _encode_long(self, item: DecodedClip) -> np.ndarray | str:
        import torch

        from fishtui.devices import out_of_memory

        try:
            return self._codec.encode_blocks(torch.from_numpy(block) for block in _read_again(item)).cpu().numpy()
        except DataError as error:
            return error.problem
        except (MemoryError, RuntimeError) as error:
            if not out_of_memory(error):
                raise
        torch.cuda.empty_cache()
        return TOO_LONG

    def _encode_together(self, batch: Sequence[DecodedClip]) -> list[np.ndarray | str]:
        """Encode recordings that are in memory; if they do not fit into the device's, then halves of the batch."""
        if not batch:
            return []
        import torch

        from fishtui.devices import out_of_memory

        try:
            return self._encode(batch)
        except (MemoryError, RuntimeError) as error:
            if not out_of_memory(error):
                raise
        # Outside the handler, because the exception's frames hold the tensors of the failed attempt.
        torch.cuda.empty_cache()
        if len(batch) == 1:
            return [TOO_LONG]
        self.halved += 1
        middle = len(batch) // 2
        return self._encode_together(batch[:middle]) + self._encode_together(batch[middle:])

    def _encode(self, batch: Sequence[DecodedClip]) -> list[np.ndarray | str]:
        import torch

        from fishtui.devices import upload

        lengths = [item.length for item in batch]
        audio = torch.zeros(len(batch), 1, max(lengths))
        for row, item in enumerate(batch):
            audio[row, 0, : item.length] = torch.from_numpy(item.samples)
        codes = self._codec.encode(upload(audio, self.device), torch.tensor(lengths)).cpu().numpy()
        return [codes[row, :, : self._codec.frames(length)] for row, length in enumerate(lengths)]


def load_encoder(checkpoint: Path, settings: ExtractSettings, place: Place) -> Encoder:
    """Load the codec in the file `checkpoint` on this process's device. Raises CheckpointError, MisuseError."""
    import torch

    from fishtui.codec.load import load_codec
    from fishtui.devices import allow_tf32, keep_freed_memory

    allow_tf32(settings.precision == "tf32")
    dtype = torch.bfloat16 if settings.precision == "bfloat16" else torch.float32
    device = distributed.choose_own_device(settings.device, place)
    if device.type == "cpu":
        keep_freed_memory()
    codec = load_codec(checkpoint, device, dtype, decodes=False)
    return Encoder(codec)
