"""Other people's dataset layouts, made into SPEAKER/clip with its transcript."""
