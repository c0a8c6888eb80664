"""The language model, for any family: network, loss and generation."""
