"""The bytes of audio files: which of them hold the recording, and how long it is by its own structure.

libsndfile trusts what a header promises, and so reads a part of some files without an error. These modules read the
structure themselves, so that the decoded length can be compared with it.
"""
