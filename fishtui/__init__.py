"""Fine-tune openaudio-s1-mini on your own recordings, from a terminal."""

__version__ = "0.1.0"
