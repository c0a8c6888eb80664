"""Audio files in and out: probing, decoding, resampling, loudness."""
