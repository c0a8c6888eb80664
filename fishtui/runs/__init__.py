"""Runs: what a stage did, written down as it happens."""
