"""synthesize: text to speech with a base, merged or adapted checkpoint."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fishtui.audio.decode import SAMPLE_RATE, read_audio
from fishtui.audio.encode import write_audio
from fishtui.audio.resample import Filter, resample
from fishtui.codec.load import load_codec
from fishtui.codec.model import Codec
from fishtui.codes import check_codec, read_codes
from fishtui.dataset import CODES_EXTENSION
from fishtui.devices import allow_tf32, choose_device, choose_precision
from fishtui.errors import CheckpointError, DataError, FishtuiError
from fishtui.lm.config import ModelConfig
from fishtui.lm.generate import generate
from fishtui.lm.load import load_model, load_tokenizer
from fishtui.lm.model import DualAR
from fishtui.lm.prompt import TEMPLATES, Template, Utterance, synthesis_prompt
from fishtui.lm.text import clean
from fishtui.lm.tokenizer import Tokenizer
from fishtui.project import Project
from fishtui.runs.ledger import Ledger
from fishtui.runs.reporter import Reporter
from fishtui.settings import SynthesizeSettings
from fishtui.stages.merge import RECORD
from fishtui.training.adapter import read_adapter
from fishtui.training.lora import LoraSpec
from fishtui.training.proof import apply_adapter


def synthesize(
    project: Project,
    settings: SynthesizeSettings,
    reporter: Reporter,
    *,
    checkpoint: Path,
    adapter: Path | None,
    preset: LoraSpec,
    texts: Sequence[str],
    references: Sequence[tuple[Path, str]],
    resampler: Filter,
    template: Template | None,
    output: Path,
    dry_run: bool = False,
) -> Ledger:
    """Speak `texts` into `output`, 44.1 kHz wav; several texts into `output` with a number before its ending.

    `references` are recordings (or their codes) of the voice with their transcripts; `resampler` is the filter that
    the clips which were trained on came through. Raises FishtuiError if the checkpoint can't be loaded or a reference
    not be read; a text that can't be spoken fails in the ledger.
    """
    if dry_run:
        ModelConfig.read(checkpoint / "config.json")
        return Ledger(unit="texts", done=len(texts))
    device = choose_device(settings.device)
    precision = choose_precision(settings.precision, device)
    tokenizer = load_tokenizer(checkpoint)
    model = load_model(checkpoint, device, precision)
    prompt_template = _template(checkpoint)
    if adapter is not None:
        change = read_adapter(adapter, preset)
        change.check_fits({name: value.shape for name, value in model.state_dict().items()})
        apply_adapter(model, change)
        model.to(device=device, dtype=precision)
        prompt_template = change.template
    allow_tf32(False)
    codec = load_codec(checkpoint / "codec.pth", device)
    check_codec(codec.config, checkpoint / "codec.pth")
    voice = [(clean(text), _codes(path, codec, device, resampler)) for path, text in references]
    if not voice:
        reporter.warning(
            "no reference: the voice will be the model's own unless it was trained for long; give --reference"
        )

    ledger = Ledger(unit="texts")
    spoken = elapsed = 0.0
    for number, text in enumerate(texts):
        path = output if len(texts) == 1 else output.with_stem(f"{output.stem}-{number + 1:03d}")
        # Each text has a seed of its own, so that it sounds the same alone and in a list.
        random = torch.Generator(device).manual_seed(settings.seed)
        started = time.perf_counter()
        try:
            most = int(settings.max_seconds * codec.sample_rate / codec.frame_length)
            frames = _speak(model, tokenizer, template or prompt_template, text, voice, settings, most, random)
            audio = _decode(codec, frames)
        except FishtuiError as error:
            ledger.fail(text[:60], error.problem)
            continue
        elapsed += time.perf_counter() - started
        write_audio(path, audio, SAMPLE_RATE)
        spoken += len(audio) / SAMPLE_RATE
        ledger.done += 1
        reporter.artifact("speech", path)
        reporter.progress(number + 1, len(texts), unit="texts", note=f"{spoken / elapsed:.2f} s of audio per second")
    ledger.counts = {"seconds": round(spoken, 3), "seconds_per_second": round(spoken / elapsed, 3) if elapsed else 0.0}
    return ledger


def _template(checkpoint: Path) -> Template:
    """The prompt that a merged checkpoint was trained with, else the published model's. Raises CheckpointError."""
    record = checkpoint / RECORD
    if not record.exists():
        return "interleave"
    try:
        template = json.loads(record.read_text(encoding="utf-8"))["template"]
        if template not in TEMPLATES:
            raise ValueError(f"there is no template {template!r}")
        return template
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise CheckpointError(f"{record} is damaged", "Merge again with `fishtui merge`.") from error


def _codes(path: Path, codec: Codec, device: torch.device, resampler: Filter) -> np.ndarray:
    """Codes (10, T) of a reference: those in a `.npy` file, or the codec's of a recording."""
    try:
        if path.suffix == CODES_EXTENSION:
            return read_codes(path)
        audio = read_audio(path)
    except DataError as error:
        raise DataError(f"the reference {path}: {error.problem}", error.remedy) from error
    samples = torch.from_numpy(resample(audio.mono(), audio.rate, SAMPLE_RATE, resampler))
    with torch.inference_mode():
        return codec.encode(samples[None, None].to(device))[0].cpu().numpy()


def _speak(
    model: DualAR,
    tokenizer: Tokenizer,
    template: Template,
    text: str,
    voice: Sequence[Utterance],
    settings: SynthesizeSettings,
    most: int,
    random: torch.Generator,
) -> Tensor:
    """Codes (num_codebooks, T) of `text`, at `most` so many frames; raises DataError if the model says nothing."""
    prompt = torch.from_numpy(synthesis_prompt(template, tokenizer, clean(text), voice, model.config.num_codebooks))
    room = model.config.max_seq_len - prompt.shape[1]
    frames = list(
        generate(
            model,
            prompt,
            max_frames=max(1, min(most, room)),
            temperature=settings.temperature,
            top_p=settings.top_p,
            repetition_penalty=settings.repetition_penalty,
            generator=random,
            compile=settings.compile,
        )
    )
    if not frames:
        raise DataError("the model ended before it spoke", "Try another seed or reference.")
    return torch.stack(frames, dim=1)[1:]


def _decode(codec: Codec, codes: Tensor) -> np.ndarray:
    with torch.inference_mode():
        return codec.decode(codes[None])[0, 0].float().cpu().numpy()
