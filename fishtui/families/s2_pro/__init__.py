"""S2-Pro: nested config, sharded safetensors with a tied head, a `tokenizers` file and chat prompts."""

MODEL_TYPE = "fish_qwen3_omni"
"""The `model_type` of its config."""
