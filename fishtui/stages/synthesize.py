"""synthesize: text to speech with a base, merged or adapted checkpoint."""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from fishtui.audio.decode import SAMPLE_RATE
from fishtui.audio.encode import write_audio
from fishtui.audio.outputs import output_format
from fishtui.audio.resample import Filter
from fishtui.checkpoint import CheckpointFolder
from fishtui.errors import FishtuiError
from fishtui.project import Project
from fishtui.runs.ledger import Ledger
from fishtui.runs.reporter import Reporter
from fishtui.settings import SynthesizeSettings
from fishtui.speech import Voice
from fishtui.training.adapter import read_adapter
from fishtui.training.lora import LoraSpec
from fishtui.training.proof import apply_adapter
from fishtui.wording import counted


@dataclass(frozen=True)
class Request:
    """The speech to make: `texts`, in the voice of `references` with their transcripts, into the file `output`.

    Several texts go into `output` with a number before its extension. `preset` gives the rank and alpha of an adapter
    that does not record them. `resampler` is the filter that the training clips were resampled with. `template`
    replaces the prompt template that the checkpoint or adapter was trained with.
    """

    checkpoint: Path
    texts: Sequence[str]
    output: Path
    preset: LoraSpec
    adapter: Path | None = None
    references: Sequence[tuple[Path, str]] = ()
    resampler: Filter = "best"
    template: str | None = None

    def path(self, number: int) -> Path:
        """Return the file of the text at index `number`."""
        return self.output if len(self.texts) == 1 else self.output.with_stem(f"{self.output.stem}-{number + 1:03d}")


def synthesize(
    project: Project, settings: SynthesizeSettings, reporter: Reporter, request: Request, *, dry_run: bool = False
) -> Ledger:
    """Synthesize the texts of a request as 44.1 kHz files, in the format of their extension.

    Raises FishtuiError if the checkpoint or a reference is not readable, or the format is unknown; a text without
    speech fails in the ledger.
    """
    output_format(request.output)
    if dry_run:
        CheckpointFolder(request.checkpoint).config()
        return Ledger(unit="texts", done=len(request.texts))
    voice = _load(settings, request)
    clips = [voice.reference(path, text) for path, text in request.references]
    if not clips:
        reporter.warning(
            "no reference: without long training the voice is the model's own; give a recording with --reference"
        )
    _report_composed(request, reporter)
    sampling = replace(
        voice.sampling,
        temperature=settings.temperature,
        top_p=settings.top_p,
        repetition_penalty=settings.repetition_penalty,
    )
    ledger = Ledger(unit="texts")
    spoken = elapsed = 0.0
    for number, text in enumerate(request.texts):
        started = time.perf_counter()
        try:
            # Each text has the same seed, so that it sounds the same alone and in a list.
            frames = voice.frames(text, clips, sampling, settings.max_seconds, settings.seed, settings.compile)
            waveform = voice.decode(frames)
        except FishtuiError as error:
            ledger.fail(text[:60], error.problem)
            continue
        elapsed += time.perf_counter() - started
        path = request.path(number)
        write_audio(path, waveform, SAMPLE_RATE, *output_format(path))
        spoken += len(waveform) / SAMPLE_RATE
        ledger.done += 1
        reporter.artifact("speech", path)
        speed = f"{spoken / elapsed:.2f} s of audio per second"
        reporter.progress(number + 1, len(request.texts), unit="texts", note=speed)
    ledger.counts = {"seconds": round(spoken, 3), "seconds_per_second": round(spoken / elapsed, 3) if elapsed else 0.0}
    return ledger


def _report_composed(request: Request, reporter: Reporter) -> None:
    """Report texts whose letters and accents are separate characters: the model reads them joined."""
    texts = [*request.texts, *(text for _, text in request.references)]
    if composed := [text for text in texts if not unicodedata.is_normalized("NFC", text)]:
        reporter.note(f"joined letters with their accents, as in training, in {counted(len(composed), 'text')}")


def _load(settings: SynthesizeSettings, request: Request) -> Voice:
    """Load the checkpoint with its adapter, so that a damaged one fails before the first text."""
    voice = Voice(request.checkpoint, device=settings.device, precision=settings.precision, resampler=request.resampler)
    model = voice.model
    if request.adapter is not None:
        change = read_adapter(request.adapter, request.preset, voice.checkpoint.family.templates[0])
        change.check_fits({name: value.shape for name, value in model.state_dict().items()})
        apply_adapter(model, change)
        model.to(device=voice.device, dtype=voice.precision)
        voice.template = change.template
    voice.template = request.template or voice.template
    voice.load()
    return voice
