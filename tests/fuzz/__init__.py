"""Damaged files for every reader: bounded in the tests, and as long as wanted with `python -m tests.fuzz`."""
