"""openaudio-s1-mini: flat config, one file of weights, a tiktoken tokenizer and two prompt templates."""

MODEL_TYPE = "dual_ar"
