"""The voice of a base model, or of base + adapter, and its sampling."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from fishtui.audio.resample import Filter
from fishtui.checkpoint import CheckpointFolder
from fishtui.lm.sampling import Sampling
from fishtui.settings import SynthesizeSettings
from fishtui.speech import Voice
from fishtui.training.adapter import read_adapter
from fishtui.training.lowrank import apply_adapter
from fishtui.training.preset import LoraSpec


def load_voice(
    checkpoint: Path,
    adapter: Path | None,
    preset: LoraSpec,
    *,
    device: str,
    precision: str,
    resampler: Filter,
    template: str | None = None,
    sha256_of: Callable[[CheckpointFolder], str] = CheckpointFolder.sha256,
) -> Voice:
    """Return the voice of a checkpoint with an adapter, its model loaded; `template` replaces the one of training.

    `preset` gives the rank and alpha of an adapter that does not record them, `sha256_of` returns the hash of a model's
    weights. Raises MisuseError if the device is not available or the adapter was trained on another base,
    CheckpointError if model or adapter is damaged or they do not fit.
    """
    voice = Voice(checkpoint, device=device, precision=precision, resampler=resampler)
    change = read_adapter(adapter, preset, voice.checkpoint.family) if adapter is not None else None
    if change is not None:
        change.check_base(voice.checkpoint, sha256_of, "--checkpoint")
    model = voice.model
    if change is not None:
        change.check_fits({name: value.shape for name, value in model.state_dict().items()})
        apply_adapter(model, change)
        model.to(device=voice.device, dtype=voice.precision)
        voice.template = change.template
    voice.template = template or voice.template
    return voice


def sampling_of(own: Sampling, settings: SynthesizeSettings) -> Sampling:
    """Return a model's own sampling with the values that are set; its own rule against repetition has no penalty."""
    names = ["temperature", "top_p", "top_k"]
    if own.repetition_aware is None:
        names.append("repetition_penalty")
    values = {name: getattr(settings, name) for name in names}
    return replace(own, **{name: value for name, value in values.items() if value is not None})
