"""Import datasets with other layouts as SPEAKER/clip with transcripts."""
