"""The pipeline: find the steps that are not up to date, and run them in order."""
