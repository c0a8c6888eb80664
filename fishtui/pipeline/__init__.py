"""The pipeline: which of its steps are up to date, and the rest run in order."""
