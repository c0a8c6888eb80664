"""A tiny random WavLM with x-vectors, as transformers writes it."""

from __future__ import annotations

from pathlib import Path

import torch


def write_wavlm(folder: Path) -> Path:
    """Write the network and its feature extractor into `folder`."""
    from transformers import Wav2Vec2FeatureExtractor, WavLMConfig, WavLMForXVector

    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    layers = {"conv_dim": (32, 32, 32), "conv_stride": (10, 8, 4), "conv_kernel": (10, 8, 4)}
    heads = {"tdnn_dim": (32, 32), "tdnn_kernel": (3, 1), "tdnn_dilation": (1, 1), "xvector_output_dim": 16}
    config = WavLMConfig(**sizes, **layers, **heads, num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=2)
    WavLMForXVector(config).save_pretrained(folder)
    Wav2Vec2FeatureExtractor(sampling_rate=16_000, do_normalize=True).save_pretrained(folder)
    return folder
