"""synthesize: text to speech with a base, merged or adapted checkpoint."""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from fishtui.audio.encode import write_audio
from fishtui.audio.outputs import output_format
from fishtui.audio.resample import Filter
from fishtui.bases import model_sha256
from fishtui.checkpoint import CheckpointFolder
from fishtui.errors import FishtuiError
from fishtui.files import exclusive
from fishtui.project import Project
from fishtui.results.speechfiles import SpeechFiles
from fishtui.runs.ledger import Ledger
from fishtui.runs.reporter import Reporter
from fishtui.sentences import Limits, Line
from fishtui.settings import SynthesizeSettings
from fishtui.speech import Voice
from fishtui.stages.spokenparts import SpokenParts
from fishtui.training.preset import LoraSpec
from fishtui.training.voice import load_voice, sampling_of
from fishtui.wording import counted

# The role of a file of speech among a run's artifacts.
SPEECH = "speech"
UNENDING = (
    "the model did not stop; use another seed or checkpoint, or raise synthesize.max_seconds or "
    "synthesize.seconds_per_character"
)
FULL = "text and references fill the model's context; use shorter references, or a shorter text"


@dataclass(frozen=True)
class Request:
    """The speech to make: `texts`, in the voice of `references` with their transcripts, into `files`.

    `preset` gives the rank and alpha of an adapter that does not record them. `resampler` is the filter that the
    training clips were resampled with. `template` replaces the prompt template that the checkpoint or adapter was
    trained with.
    """

    checkpoint: Path
    texts: Sequence[str]
    files: SpeechFiles
    preset: LoraSpec
    adapter: Path | None = None
    references: Sequence[tuple[Path, str]] = ()
    resampler: Filter = "best"
    template: str | None = None


def synthesize(
    project: Project, settings: SynthesizeSettings, reporter: Reporter, request: Request, *, dry_run: bool = False
) -> Ledger:
    """Synthesize the texts of a request as 44.1 kHz files, in the format of their extension.

    Several are spoken at once. Each file is written when its sentence ends, and reported once it is complete, so that
    those of a stopped run are known; what it spoke of others is kept until the same call is repeated. Raises
    FishtuiError if the checkpoint or a reference is not readable, the format is unknown or a file exists that must not
    be replaced; a text without speech fails in the ledger.
    """
    output_format(request.files.first)
    request.files.check()
    if dry_run:
        CheckpointFolder(request.checkpoint).config()
        return Ledger(unit="texts", done=len(request.texts))
    voice = _load(project, settings, request, reporter)
    clips = [voice.reference(path, text) for path, text in request.references]
    if not clips:
        reporter.warning(
            "no reference: without long training the voice is the model's own; give a recording with --reference"
        )
    _report_composed(request, reporter)
    sampling = sampling_of(voice.sampling, settings)
    if settings.repetition_penalty is not None and sampling.repetition_penalty != settings.repetition_penalty:
        reporter.note("synthesize.repetition_penalty has no effect on this model, which has its own rule")
    ledger = Ledger(unit="texts")
    files, total = request.files, len(request.texts)
    meter = _Meter(reporter, voice, total)
    meter({0: 0})
    # Each text has the same seed, so that it sounds the same alone and in a list.
    lines = [Line(text, clips, settings.seed) for text in request.texts]
    limits = Limits(settings.max_seconds, settings.seconds_per_character)
    use = (sampling, limits, voice.template, str(voice.device), str(voice.precision), settings.compile)
    parts = SpokenParts(project.speech, lines, CheckpointFolder(request.checkpoint), request.adapter, *use)
    spoken = voice.speak_lines(
        lines, sampling=sampling, limits=limits, compile=settings.compile, on_step=meter, parts=parts
    )
    for number, speech in spoken:
        text = request.texts[number][:60]
        try:
            if isinstance(speech, FishtuiError):
                raise speech
            waveform = voice.decode(speech.codes)
        except FishtuiError as error:
            ledger.fail(text, error.problem)
            meter.ended(0.0)
            continue
        seconds = len(waveform) / voice.sample_rate
        files = _write(project, reporter, files, number, waveform, voice.sample_rate, is_first=not ledger.done)
        ledger.done += 1
        meter.ended(seconds)
        if not speech.stopped:
            ledger.counts["cut"] = ledger.counts.get("cut", 0) + 1
            remedy = FULL if speech.is_full else UNENDING
            reporter.warning(f"cut after {seconds:.1f} s: {remedy}", item=text)
    parts.remove()
    pace = meter.spoken / (time.perf_counter() - meter.started)
    reporter.progress(total, total, "texts", f"{meter.spoken:.1f} s spoken, {pace:.2f} s of audio per second")
    ledger.counts |= {"seconds": round(meter.spoken, 3), "seconds_per_second": round(pace, 3)}
    return ledger


class _Meter:
    """Reports the sentences in work, their frames so far, and the seconds spoken in all."""

    def __init__(self, reporter: Reporter, voice: Voice, total: int) -> None:
        self._reporter = reporter
        self._frame_seconds = voice.codec.frame_length / voice.codec.sample_rate
        self._total = total
        self._ended = 0
        self.spoken = 0.0
        self.started = time.perf_counter()

    def ended(self, seconds: float) -> None:
        """Count a sentence as ended, with the seconds spoken."""
        self._ended += 1
        self.spoken += seconds

    def __call__(self, frames: Mapping[int, int]) -> None:
        """Report the frames so far of each sentence in work, by its index."""
        count = sum(frames.values())
        spoken = self.spoken + count * self._frame_seconds
        at_once = f"{len(frames)} at once: " if len(frames) > 1 else ""
        note = f"{at_once}{count:,} frames, {spoken:.1f} s spoken"
        self._reporter.progress(self._ended, self._total, "texts", note)


def _write(
    project: Project,
    reporter: Reporter,
    files: SpeechFiles,
    number: int,
    waveform: np.ndarray,
    rate: int,
    *,
    is_first: bool,
) -> SpeechFiles:
    """Write the speech of the text at index `number`; return the files, with another number if the name was taken.

    One process at a time chooses a name and writes, so that two never choose the same.
    """
    with exclusive(project.lock("speech"), "writing speech", wait=True):
        # A file that appeared after the start is not replaced either, and the new speech is not lost.
        is_taken = files.existing != "replace" and files.paths[number].exists()
        if is_taken or (is_first and files.existing == "number"):
            files = files.unused()
        path = files.paths[number]
        write_audio(path, waveform, rate, *output_format(path))
        reporter.artifact(SPEECH, path)
    return files


def _report_composed(request: Request, reporter: Reporter) -> None:
    """Report texts whose letters and accents are separate characters: the model reads them joined."""
    texts = [*request.texts, *(text for _, text in request.references)]
    if composed := [text for text in texts if not unicodedata.is_normalized("NFC", text)]:
        reporter.note(f"joined letters with their accents, as in training, in {counted(len(composed), 'text')}")


def _load(project: Project, settings: SynthesizeSettings, request: Request, reporter: Reporter) -> Voice:
    """Load the checkpoint with its adapter, so that a damaged one fails before the first text."""
    reporter.progress(0, 2, "steps", "loading the model")
    voice = load_voice(
        request.checkpoint,
        request.adapter,
        request.preset,
        device=settings.device,
        precision=settings.precision,
        resampler=request.resampler,
        template=request.template,
        sha256_of=partial(model_sha256, project),
    )
    reporter.progress(1, 2, "steps", "loading the codec")
    voice.load()
    reporter.progress(2, 2, "steps", "loaded")
    return voice
