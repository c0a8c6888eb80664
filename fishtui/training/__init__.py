"""LoRA and full fine-tuning of the language model."""
