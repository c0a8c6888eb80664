"""Speech from Python: encode recordings, decode codes, and speak texts with a checkpoint."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from numpy.typing import NDArray

from fishtui.audio.decode import mix, read_audio
from fishtui.audio.recording import open_recording
from fishtui.audio.resample import Filter, resample, resample_blocks
from fishtui.checkpoint import CheckpointFolder
from fishtui.codec.load import load_codec
from fishtui.codec.model import Codec
from fishtui.codes import check_codec, read_codes
from fishtui.dataset import CODES_EXTENSION
from fishtui.devices import allow_tf32, choose_device, choose_precision, is_small, one_thread
from fishtui.errors import DataError, FishtuiError, MisuseError
from fishtui.lm.model import DualAR
from fishtui.lm.sampling import Sampling
from fishtui.load import load_model
from fishtui.sentences import ROWS, SEED, Codes, Limits, Line, Parts, Sentences, Speech
from fishtui.wording import clock, shortened

if TYPE_CHECKING:
    from fishtui.families.family import Prompts, Utterance

Waveform = NDArray[np.float32]
"""Mono samples from -1 to 1, of shape (samples,)."""
Recording = Path | str | Waveform | Codes
"""An audio file, a `.npy` file of codes, mono samples at the voice's sample rate, or codes."""

# In seconds; longer recordings are read in parts.
LONG_SECONDS = 300.0
# Louder than any recording, and quieter than integers that were converted to floats.
LARGEST_SAMPLE = 100.0


class Voice:
    """A checkpoint's language model and codec; each is loaded when it is first used.

    `device` is `auto`, `cpu`, `cuda` or `cuda:N`; `precision`, of the language model, is `auto`, `float32` or
    `bfloat16`. `resampler` is the filter that brings recordings to the codec's sample rate.
    """

    def __init__(
        self, folder: Path | str, *, device: str = "auto", precision: str = "auto", resampler: Filter = "best"
    ) -> None:
        """Raises MisuseError if the device is not available, CheckpointError if the folder has no valid config."""
        self.checkpoint = CheckpointFolder(Path(folder))
        self.device = choose_device(device)
        self.precision = choose_precision(precision, self.device)
        self.resampler = resampler
        self.sampling: Sampling = self.checkpoint.family.sampling()
        """The default parameters of `speak`."""
        self.template = self.checkpoint.template()
        """The prompt template of `speak`: by default the one that the checkpoint was trained with."""
        self._prompts: dict[str, Prompts] = {}

    @cached_property
    def model(self) -> DualAR:
        """The language model. Raises CheckpointError."""
        return load_model(self.checkpoint.path, self.device, self.precision)

    @cached_property
    def codec(self) -> Codec:
        """The codec, in float32. Raises CheckpointError."""
        allow_tf32(False)
        codec = load_codec(self.checkpoint.codec_file, self.device)
        sizes = self.checkpoint.config()
        check_codec(codec.config, sizes.num_codebooks, sizes.codebook_size, self.checkpoint.codec_file)
        return codec

    def load(self) -> None:
        """Load model, codec and tokenizer now. Raises CheckpointError if any of them is damaged."""
        _ = self.model, self.codec, self.prompts

    @property
    def prompts(self) -> Prompts:
        """The prompts of the template. Raises CheckpointError."""
        if self.template not in self._prompts:
            self._prompts[self.template] = self.checkpoint.prompts(self.template)
        return self._prompts[self.template]

    @property
    def sample_rate(self) -> int:
        """Samples per second of waveforms."""
        return self.codec.sample_rate

    def encode(self, recording: Recording, rate: int | None = None) -> Codes:
        """Return the codes (codebooks, frames) of a recording; `rate` is the sample rate of samples, in Hz.

        Raises DataError if a file is not readable, MisuseError for samples of another rate, shape or scale.
        """
        if isinstance(recording, str | Path):
            return self._encode_file(Path(recording), rate)
        array = np.asarray(recording)
        if np.issubdtype(array.dtype, np.integer) and array.ndim == 2:
            return self._checked(cast(Codes, array))
        return self._encode(self._as_samples(array, rate))

    def _encode(self, samples: Waveform) -> Codes:
        with torch.inference_mode(), one_thread(is_small(self.codec)):
            return self.codec.encode(torch.from_numpy(samples)[None, None].to(self.device))[0].cpu().numpy()

    def _encode_file(self, path: Path, rate: int | None = None, longest: float = math.inf) -> Codes:
        """Encode a file of at most `longest` seconds, of which little is in memory at a time if it is long."""
        try:
            if path.suffix == CODES_EXTENSION:
                return read_codes(path, self.codec.config.codebook_sizes)
            with open_recording(path) as recording:
                found = recording.header
                self._check_rate(rate, found.rate)
                if found.seconds > longest:
                    raise MisuseError(
                        f"{path}: a reference of {clock(found.seconds)}, of which the model holds {clock(longest)}",
                        "Cut 10 to 30 seconds from it, with their transcript.",
                        code="reference-too-long",
                    )
                if found.seconds > LONG_SECONDS:
                    mixed = (mix(block) for block in recording.blocks())
                    blocks = resample_blocks(mixed, found.rate, self.sample_rate, self.resampler)
                    with one_thread(is_small(self.codec)):
                        return self.codec.encode_blocks(map(torch.from_numpy, blocks)).cpu().numpy()
            audio = read_audio(path, mixed=True)
        except DataError as error:
            raise DataError(f"{path}: {error.problem}", error.remedy, code="bad-recording") from error
        return self._encode(resample(audio.mono(), audio.rate, self.sample_rate, self.resampler))

    def decode(self, codes: Codes) -> Waveform:
        """Return the waveform (samples,), float32, of codes (codebooks, frames). Raises MisuseError otherwise."""
        self._checked(codes)
        with torch.inference_mode(), one_thread(is_small(self.codec)):
            frames = torch.from_numpy(np.asarray(codes, dtype=np.int64))[None].to(self.device)
            return self.codec.decode(frames)[0, 0].float().cpu().numpy()

    def reference(self, recording: Recording, transcript: str) -> Utterance:
        """Return a reference as a `Line` takes it.

        Raises DataError, MisuseError as `encode` does, and MisuseError, code `reference-too-long`, for a file that is
        longer than the model's context: it is not decoded.
        """
        text = self._cleaned(transcript, "the transcript of a reference")
        if not isinstance(recording, str | Path):
            return text, self.encode(recording)
        longest = self.checkpoint.config().max_seq_len * self.codec.frame_length / self.codec.sample_rate
        return text, self._encode_file(Path(recording), longest=longest)

    def _as_samples(self, array: np.ndarray, rate: int | None) -> Waveform:
        if not np.issubdtype(array.dtype, np.floating) or array.ndim != 1 or not len(array):
            raise MisuseError(
                f"an array of {array.dtype} and shape {array.shape}: not samples or codes",
                "Give mono samples as floats (samples,), or codes as integers (codebooks, frames).",
                code="not-a-recording",
            )
        self._check_rate(rate, self.sample_rate)
        highest = float(np.abs(array).max())
        if not highest <= LARGEST_SAMPLE:
            raise MisuseError(
                f"samples up to {highest:,.0f}: full scale is 1.0",
                "Divide samples of 16 bits by 32,768, and remove values that are not finite.",
                code="wrong-scale",
            )
        return array.astype(np.float32)

    def _check_rate(self, rate: int | None, needed: int) -> None:
        if rate not in (None, needed):
            raise MisuseError(
                f"samples at {rate:,} Hz: the recording or the codec has {needed:,} Hz",
                "Resample them, or give the path of the recording without a rate.",
                code="wrong-sample-rate",
            )

    def _checked(self, codes: Codes) -> Codes:
        codebooks = len(self.codec.config.codebook_sizes)
        codes = np.asarray(codes)
        shaped = codes.ndim == 2 and codes.shape[0] == codebooks and codes.shape[1] > 0
        if not shaped or not np.issubdtype(codes.dtype, np.integer) or (codes < 0).any():
            raise MisuseError(
                f"an array of {codes.dtype} and shape {codes.shape}: not codes",
                f"Give codes as integers from 0 on, of shape ({codebooks}, frames).",
                code="not-codes",
            )
        return codes

    def _cleaned(self, text: str, what: str) -> str:
        """Return a text as the model reads it. Raises DataError if cleaning leaves no letter or digit."""
        family = self.checkpoint.family
        cleaned = family.clean(text)
        if not any(map(str.isalnum, family.without_speakers(cleaned))):
            raise DataError(
                f"{what} has nothing to speak: {shortened(text)!r}",
                "Write words; punctuation, {…}, <…> and emoji are not spoken.",
                code="nothing-to-speak",
            )
        return cleaned

    def speak(
        self,
        text: str,
        references: Sequence[tuple[Recording, str]] = (),
        *,
        sampling: Sampling | None = None,
        max_seconds: float = Limits.seconds,
        seconds_per_character: float = Limits.per_character,
        seed: int = SEED,
        compile: bool = False,
    ) -> Waveform:
        """Return the waveform of `text`, in the voice of `references`: recordings with their transcripts.

        Without references the voice is the model's own. Equal arguments give equal speech. It ends at the latest after
        `max_seconds`, and 3 seconds + `seconds_per_character` for each character of the text. `compile` captures the
        work of a frame as a CUDA graph. Raises DataError if a reference is not readable, a text has nothing to speak
        or the model returns no speech, MisuseError if text and references exceed what the model can hold.
        """
        clips = [self.reference(recording, transcript) for recording, transcript in references]
        limits = Limits(max_seconds, seconds_per_character)
        lines = [Line(text, clips, seed)]
        _, speech = next(self.speak_lines(lines, sampling=sampling, limits=limits, compile=compile))
        if isinstance(speech, FishtuiError):
            raise speech
        return self.decode(speech.codes)

    def speak_lines(
        self,
        lines: Iterable[Line],
        *,
        sampling: Sampling | None = None,
        limits: Limits | None = None,
        rows: int = ROWS,
        compile: bool = False,
        on_step: Callable[[Mapping[int, int]], None] = lambda frames: None,
        parts: Parts | None = None,
    ) -> Iterator[tuple[int, Speech | FishtuiError]]:
        """Yield the index of each line and its codes, or its error, in the order in which they end; see `speak`.

        Up to `rows` lines are spoken at once, as many as their caches fit into the memory. The speech of each is that
        of the line alone, except that products of other shapes are rounded otherwise: in float32 this hardly ever
        changes a frame, in bfloat16 it can. After each frame, `on_step` is called with the number of frames so far of
        each line in work, by its index. `parts` keeps what was spoken, for a process that continues later.
        """
        frame_rate = self.codec.sample_rate / self.codec.frame_length
        return Sentences(
            self.model,
            self.prompts,
            lambda text: self._cleaned(text, "the text"),
            frame_rate,
            sampling or self.sampling,
            limits or Limits(),
            rows=rows,
            compile=compile,
            on_step=on_step,
            parts=parts,
        ).run(lines)
