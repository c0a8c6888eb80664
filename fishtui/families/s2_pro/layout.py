"""The family's names of tensors, and those of `DualAR`."""

from __future__ import annotations

SLOW = "text_model.model."
FAST = "audio_decoder."
CODEBOOKS = "codebook_embeddings."


def stored_name(flat: str) -> str:
    """Return the name in the files of the parameter `flat` of `DualAR`."""
    if flat.startswith(CODEBOOKS):
        return FAST + flat
    if flat.startswith("fast_"):
        return FAST + flat.removeprefix("fast_")
    return SLOW + flat


def flat_name(stored: str) -> str | None:
    """Return the name in `DualAR` of a tensor that files call `stored`; None if the family has no such names."""
    if stored.startswith(FAST + CODEBOOKS):
        flat = stored.removeprefix(FAST)
    elif stored.startswith(FAST):
        flat = "fast_" + stored.removeprefix(FAST)
    else:
        flat = stored.removeprefix(SLOW)
    return flat if stored_name(flat) == stored else None
