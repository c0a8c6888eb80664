"""Forecast the epochs, memory and hours of a training before it starts."""

from __future__ import annotations

import torch

from fishtui.devices import choose_precision, free_memory
from fishtui.lm.config import ModelConfig
from fishtui.lm.model import DualAR
from fishtui.settings import TrainSettings
from fishtui.training import memory
from fishtui.training.batches import Plan
from fishtui.training.dataset import Examples
from fishtui.training.lora import attach
from fishtui.training.preset import parse_preset
from fishtui.weights import without_values


def forecast(
    settings: TrainSettings,
    plan: Plan,
    config: ModelConfig,
    examples: Examples,
    device: torch.device,
    pace: float | None,
) -> dict[str, float]:
    """Return steps per epoch, epochs, needed and free memory in GB (10⁹ bytes), and, if `pace` is known, hours.

    `pace` is in tokens per second. Assumes that every process has a device like this one.
    """
    epoch = plan.epoch(examples.train, 0)
    steps = len(epoch) / settings.accumulate
    precision = choose_precision(settings.precision, device)
    choice = memory.choose(meta_model(settings, config, precision), settings, device, precision)
    forecasts = {
        "steps_per_epoch": steps,
        "epochs": settings.max_steps / steps if steps else 0.0,
        "memory_gb": choice.needed / 1e9,
        "memory_free_gb": free_memory(device) / 1e9,
    }
    if pace and steps:
        tokens = sum(each.length(examples.train) for batch in epoch for row in batch for each in row) / steps
        forecasts["hours"] = settings.max_steps * tokens / pace / 3600
    return {name: round(value, 3) for name, value in forecasts.items()}


def meta_model(settings: TrainSettings, config: ModelConfig, precision: torch.dtype) -> DualAR:
    """Return the model as it would be trained, on the meta device: shapes and types without values."""
    with without_values():
        # The token ids do not affect the sizes.
        model = DualAR(config, semantic_begin=0, im_end=0)
        if settings.method == "lora":
            model.to(precision)
            attach(model, parse_preset(settings.lora, settings.targets, settings.dropout))
    return model
