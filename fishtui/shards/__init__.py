"""Shards: length-prefixed protobuf messages of transcripts and codes."""
