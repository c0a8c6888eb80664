"""Tiny checkpoints with random weights, of each family."""
