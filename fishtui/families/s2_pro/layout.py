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


def flat_name(stored: str) -> str:
    """Return the name in `DualAR` of the tensor that files call `stored`; for other names a name without a meaning."""
    if stored.startswith(FAST + CODEBOOKS):
        return stored.removeprefix(FAST)
    if stored.startswith(FAST):
        return "fast_" + stored.removeprefix(FAST)
    return stored.removeprefix(SLOW)
