"""Audio files: headers, decoding, encoding, resampling, loudness, measurements, pictures."""
