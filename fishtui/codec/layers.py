"""The codec's causal layers. Signals are (B, T, C) throughout, so that convolutions and linear layers share one layout.

A causal layer needs only earlier positions, so a signal can be processed in pieces: `Past` carries the positions that
each layer still needs from one piece to the next, and the joined outputs equal the output for the whole signal.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class Past:
    """The earlier positions that causal layers need. Start each signal (or batch of signals) with a new one."""

    def __init__(self) -> None:
        self._tails: dict[nn.Module, Tensor] = {}
        self._lengths: dict[nn.Module, int] = {}

    def tail(self, layer: nn.Module) -> Tensor | None:
        """Return the positions that `layer` stored, or None on the first piece."""
        return self._tails.get(layer)

    def keep(self, layer: nn.Module, tail: Tensor) -> None:
        """Store a copy of `tail` for `layer`'s next piece, so that the tensor it is cut from can be freed."""
        self._tails[layer] = tail.clone()

    def advance(self, layer: nn.Module, length: int) -> int:
        """Count `length` more positions of `layer`; return their number before this piece."""
        start = self._lengths.get(layer, 0)
        self._lengths[layer] = start + length
        return start

    def extend(self, layer: nn.Module, x: Tensor, context: int) -> Tensor:
        """Return `x` (B, T, C) with the `context` positions before it prepended, zeros before the signal's start."""
        if context == 0:
            return x
        before = self.tail(layer)
        if before is None:
            before = x.new_zeros(x.shape[0], context, x.shape[2])
        x = torch.cat([before, x], dim=1)
        self.keep(layer, x[:, -context:])
        return x


class CausalConv(nn.Module):
    """A convolution padded on the left only: (B, T, inputs) → (B, T / stride, outputs); `stride` divides T."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, *, stride: int = 1, dilation: int = 1, groups: int = 1
    ) -> None:
        super().__init__()
        self.conv = nn.Conv1d(inputs, outputs, kernel, stride, dilation=dilation, groups=groups)
        self.context = (kernel - 1) * dilation + 1 - stride

    def arrange(self) -> None:
        """Store the weights in the layout that the convolution needs: channels last."""
        weight = self.conv.weight
        weight.data = weight.data.transpose(1, 2).contiguous().transpose(1, 2)

    def forward(self, x: Tensor, past: Past) -> Tensor:
        conv = self.conv
        image = past.extend(self, x, self.context).transpose(1, 2).unsqueeze(2)
        # As an image one pixel high: torch rearranges conv1d's operands, but takes these channels-last.
        image = functional.conv2d(
            image,
            conv.weight.unsqueeze(2),
            conv.bias,
            stride=(1, conv.stride[0]),
            dilation=(1, conv.dilation[0]),
            groups=conv.groups,
        )
        return image.squeeze(2).transpose(1, 2)


class CausalTransposedConv(nn.Module):
    """A transposed convolution cut to its causal part: (B, T, inputs) → (B, T · stride, outputs)."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose1d(inputs, outputs, kernel, stride)
        self.stride = stride
        self.context = -(-kernel // stride) - 1

    def forward(self, x: Tensor, past: Past) -> Tensor:
        start, length = self.context * self.stride, x.shape[1] * self.stride
        x = past.extend(self, x, self.context).transpose(1, 2)
        return self.conv(x)[..., start : start + length].transpose(1, 2)


class Snake(nn.Module):
    """The periodic activation `x + sin²(αx) / α`, α per channel (Ziyin et al. 2020); computed in float32."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.ones(1, channels, 1))

    def forward(self, x: Tensor, past: Past) -> Tensor:
        alpha = self.alpha.flatten()
        wave = torch.mul(x, alpha).sin_().square_()
        return torch.addcmul(x, wave, 1 / (alpha + 1e-9)).type_as(x)


class Chain(nn.ModuleList):
    """Layers that run one after the other."""

    def forward(self, x: Tensor, past: Past) -> Tensor:
        for layer in self:
            x = layer(x, past)
        return x


class ResidualUnit(nn.Module):
    """Two convolutions, the first one dilated, with a skip connection."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.block = Chain(
            [
                Snake(channels),
                CausalConv(channels, channels, 7, dilation=dilation),
                Snake(channels),
                CausalConv(channels, channels, 1),
            ]
        )

    def forward(self, x: Tensor, past: Past) -> Tensor:
        return self.block(x, past).add_(x)


def residual_units(channels: int) -> list[nn.Module]:
    """Return the three residual units of an encoder or decoder block."""
    return [ResidualUnit(channels, dilation) for dilation in (1, 3, 9)]


class ConvNeXtBlock(nn.Module):
    """A depthwise convolution and a wide two-layer perceptron with a skip connection (Liu et al. 2022)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dwconv = CausalConv(dim, dim, 7, groups=dim)
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.pwconv1 = nn.Linear(dim, 4 * dim)
        self.pwconv2 = nn.Linear(4 * dim, dim)
        self.gamma = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor, past: Past) -> Tensor:
        y = self.pwconv2(functional.gelu(self.pwconv1(self.norm(self.dwconv(x, past)))))
        return torch.addcmul(x, self.gamma, y)
