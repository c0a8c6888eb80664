"""Checks of clips and speakers: one small function each, a table of codes, and one runner."""
