"""Safetensors files: their names, their headers and their tensors."""
