"""The language model of openaudio-s1-mini: from text and codes to the next frame of codes."""
