"""Tests of the codec's layers against the formulas of the published model."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from fishtui.codec.layers import CausalConv, CausalTransposedConv, ConvNeXtBlock, Past, Snake
from fishtui.codec.transformer import WindowTransformer
from tests.codec.builders import TINY, noise

pytestmark = pytest.mark.usefixtures("no_gradients")


@pytest.fixture
def no_gradients():
    with torch.no_grad():
        yield


@settings(deadline=None, max_examples=40)
@given(
    kernel=st.integers(1, 8),
    stride=st.integers(1, 4),
    dilation=st.integers(1, 4),
    steps=st.integers(1, 12),
    grouped=st.booleans(),
)
def test_causal_convolution_pads_as_published(kernel, stride, dilation, steps, grouped):
    kernel = max(kernel, stride)
    layer = CausalConv(6, 6, kernel, stride=stride, dilation=dilation, groups=6 if grouped else 1)
    x = noise(2, steps * stride, 6)
    length, effective = x.shape[1], (kernel - 1) * dilation + 1
    left = effective - stride
    windows = (length - effective + left) / stride + 1
    right = (math.ceil(windows) - 1) * stride + effective - left - length
    expected = layer.conv(functional.pad(x.transpose(1, 2), (left, right))).transpose(1, 2)
    actual = layer(x, Past())
    torch.testing.assert_close(actual, expected, rtol=1e-5, atol=1e-5)
    layer.arrange()
    torch.testing.assert_close(layer(x, Past()), actual, rtol=1e-5, atol=1e-5)


@settings(deadline=None, max_examples=30)
@given(stride=st.integers(1, 4), extra=st.integers(0, 6), steps=st.integers(1, 10))
def test_transposed_convolution_cuts_the_right(stride, extra, steps):
    kernel = stride + extra
    layer = CausalTransposedConv(5, 3, kernel, stride)
    x = noise(2, steps, 5)
    whole = layer.conv(x.transpose(1, 2))
    expected = whole[..., : whole.shape[-1] - extra].transpose(1, 2)
    torch.testing.assert_close(layer(x, Past()), expected, rtol=1e-5, atol=1e-5)


LAYERS = {
    "convolution": (lambda: CausalConv(4, 4, 7, dilation=3), 1),
    "strided": (lambda: CausalConv(4, 6, 6, stride=3), 3),
    "pointwise": (lambda: CausalConv(4, 4, 1), 1),
    "transposed": (lambda: CausalTransposedConv(4, 2, 6, 3), 1),
    "ConvNeXt": (lambda: ConvNeXtBlock(4), 1),
    "transformer": (lambda: WindowTransformer(4, 3, TINY.quantizer_transformer), 1),
}


@pytest.mark.parametrize("name", LAYERS)
@settings(deadline=None, max_examples=15)
@given(pieces=st.lists(st.integers(1, 9), min_size=1, max_size=6))
def test_pieces_join_to_the_whole(name, pieces):
    build, unit = LAYERS[name]
    torch.manual_seed(0)
    layer = build()
    pieces = [piece * unit for piece in pieces]
    x = noise(2, sum(pieces), 4)
    past = Past()
    joined = torch.cat([layer(part, past) for part in x.split(pieces, dim=1)], dim=1)
    torch.testing.assert_close(joined, layer(x, Past()), rtol=1e-5, atol=1e-5)


def test_snake_follows_its_formula():
    snake = Snake(3)
    snake.alpha.data = torch.tensor([0.0, 0.3, 4.0]).reshape(1, 3, 1)
    x = noise(2, 50, 3)
    wide, alpha = x.double(), snake.alpha.flatten().double()
    expected = wide + torch.sin(alpha * wide) ** 2 / (alpha + 1e-9)
    torch.testing.assert_close(snake(x, Past()).double(), expected, rtol=1e-6, atol=1e-6)


def test_convnext_normalises_faint_signals_with_its_own_epsilon():
    block = ConvNeXtBlock(4)
    faint = noise(1, 6, 4) * 1e-3
    hidden = functional.pad(faint.transpose(1, 2), (6, 0))
    hidden = functional.conv1d(hidden, block.dwconv.conv.weight, block.dwconv.conv.bias, groups=4).transpose(1, 2)
    centred = hidden - hidden.mean(-1, keepdim=True)
    normed = centred / torch.sqrt(centred.square().mean(-1, keepdim=True) + 1e-6)
    hidden = functional.linear(normed, block.pwconv1.weight, block.pwconv1.bias)
    hidden = hidden * 0.5 * (1 + torch.erf(hidden / math.sqrt(2)))
    expected = faint + block.gamma * functional.linear(hidden, block.pwconv2.weight, block.pwconv2.bias)
    torch.testing.assert_close(block(faint, Past()), expected, rtol=1e-5, atol=1e-6)
