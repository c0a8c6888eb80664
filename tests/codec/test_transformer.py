"""Tests of the codec's transformer against its formulas, computed position by position."""

from __future__ import annotations

import msgspec
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from fishtui.codec.config import QuantizerTransformer
from fishtui.codec.layers import Past
from fishtui.codec.transformer import WindowTransformer, window_mask
from tests.codec.builders import TINY, noise, random_tensor

SIZES = TINY.quantizer_transformer


def transformer(sizes: QuantizerTransformer = SIZES) -> WindowTransformer:
    model = WindowTransformer(sizes.dim, sizes.layers, sizes)
    for name, parameter in model.named_parameters():
        parameter.data = random_tensor(name, parameter.shape)
    return model.requires_grad_(False)


def normed(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    return x / torch.sqrt(x.square().mean(-1, keepdim=True) + eps) * weight


def rotated(vector: Tensor, position: int, base: float) -> Tensor:
    """Rotate the pairs of a head's vector (head_dim,) as complex numbers rounded to bfloat16."""
    half = len(vector) // 2
    angles = position * (1.0 / base ** (torch.arange(half, dtype=torch.float32) * 2 / len(vector)))
    turn = torch.complex(angles.cos().bfloat16().float(), angles.sin().bfloat16().float())
    return torch.view_as_real(torch.view_as_complex(vector.reshape(half, 2)) * turn).flatten()


def reference(model: WindowTransformer, x: Tensor, start: int = 0) -> Tensor:
    """Compute the output (T, dim) for one signal `x` (T, dim), whose first position is `start`."""
    sizes = model.sizes
    for layer in model.layers:
        qkv = normed(x, layer.attention_norm.weight, sizes.norm_eps) @ layer.attention.wqkv.weight.T
        query, key, value = qkv.reshape(len(x), 3, sizes.heads, sizes.head_dim).unbind(1)
        rows = []
        for i in range(len(x)):
            seen = range(max(0, i - sizes.window + 1), i + 1)
            heads = []
            for head in range(sizes.heads):
                q = rotated(query[i, head], start + i, sizes.rope_base)
                scores = torch.stack([q @ rotated(key[j, head], start + j, sizes.rope_base) for j in seen])
                shares = torch.softmax(scores / sizes.head_dim**0.5, dim=0)
                heads.append(sum(share * value[j, head] for share, j in zip(shares, seen, strict=True)))
            rows.append(torch.cat(heads))
        x = x + layer.attention_layer_scale.gamma * (torch.stack(rows) @ layer.attention.wo.weight.T)
        inner = normed(x, layer.ffn_norm.weight, sizes.norm_eps)
        forward = layer.feed_forward
        inner = functional.silu(inner @ forward.w1.weight.T) * (inner @ forward.w3.weight.T)
        x = x + layer.ffn_layer_scale.gamma * (inner @ forward.w2.weight.T)
    return normed(x, model.norm.weight, sizes.norm_eps)


@pytest.mark.parametrize("scale", [1.0, 1e-3], ids=["loud", "so faint that the epsilon of the norms shows"])
def test_the_output_equals_the_formulas(scale):
    model = transformer()
    x = noise(2, 11, SIZES.dim) * scale
    expected = torch.stack([reference(model, row) for row in x])
    torch.testing.assert_close(model(x, Past()), expected, rtol=1e-4, atol=1e-5)


def test_attention_ends_at_the_window():
    model = transformer(msgspec.structs.replace(SIZES, layers=1))
    x = noise(1, 12, SIZES.dim)
    changed = x.clone()
    changed[:, 4] += 1
    differs = (model(x, Past()) != model(changed, Past())).any(-1)[0]
    assert differs.nonzero().flatten().tolist() == list(range(4, 4 + SIZES.window))


def test_the_window_includes_the_position_itself():
    assert window_mask(seen=2, length=2, window=2).tolist() == [[False, True, True, False], [False, False, True, True]]


def test_positions_beyond_the_stored_tables_are_computed():
    model = transformer(msgspec.structs.replace(SIZES, layers=1))
    x = noise(1, 20_000, SIZES.dim)
    past = Past()
    joined = torch.cat([model(part, past) for part in x.split(1_000, dim=1)], dim=1)
    # One layer attends to one window, so the reference of the last position needs only that.
    start = x.shape[1] - SIZES.window
    torch.testing.assert_close(joined[0, -1], reference(model, x[0, start:], start)[-1], rtol=1e-4, atol=1e-5)
