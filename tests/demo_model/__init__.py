"""Training of the model of `fishtui demo` on spoken digits: codec, language model, and a recognizer to measure them."""
