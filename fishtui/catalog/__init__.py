"""The catalog of clips: what is on disk, measured, found and decided, in SQLite."""
