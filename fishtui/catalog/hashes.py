"""The index of clips by the hash of their audio, which holds the beginnings of hashes only."""

from __future__ import annotations


def hash_start(hash: str) -> str:
    """Return the SQL of the beginning of a hash, as it is in an index of clips."""
    return f"substr({hash}, 1, 8)"


def has_audio(hash: str, clips: str = "") -> str:
    """Return the SQL condition that a clip's audio has this hash, for the index; a parameter is needed twice."""
    # Without the +, SQLite puts the hash in the place of the column in the first condition, and walks over all clips.
    return f"{hash_start(f'{clips}audio_hash')} = {hash_start(hash)} AND +{clips}audio_hash = {hash}"
