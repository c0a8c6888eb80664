"""The audio codec: a causal DAC that turns speech into frames of ten codes, and back."""
