"""The tensors of base + adapter, merged one at a time, so that a model larger than the memory can be written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from torch import Tensor

from fishtui.training.adapter import Adapter
from fishtui.training.blocks import map_rows
from fishtui.weights import release


class MergedTensors(Mapping[str, Tensor]):
    """The tensors of `base` with the changes of an adapter, each merged whenever it is read.

    Those of `base` must not have been changed in memory.
    `largest_change` is the largest change of a weight so far.
    """

    def __init__(self, base: Mapping[str, Tensor], change: Adapter) -> None:
        self._base = base
        self._change = change
        self.largest_change = 0.0

    def __getitem__(self, name: str) -> Tensor:
        before = self._base[name]
        after, largest = _merge(name, before, self._change)
        self.largest_change = max(self.largest_change, largest)
        release(before)
        return after

    def __iter__(self) -> Iterator[str]:
        return iter(self._base)

    def __len__(self) -> int:
        return len(self._base)


def merge_tensor(name: str, value: Tensor, change: Adapter) -> Tensor:
    """Return a tensor of the base with its change, added in float32 and rounded once to the type of `value`."""
    return _merge(name, value, change)[0]


def _merge(name: str, value: Tensor, change: Adapter) -> tuple[Tensor, float]:
    """Return the tensor with its change, and the largest change of an element."""
    if name in change.weights:
        after = change.weights[name].to(value.dtype)
        return after, max(map_rows(lambda rows: float((after[rows].float() - value[rows]).abs().max()), value))
    low_rank = change.low_rank.get(name.removesuffix(".weight"))
    return (value, 0.0) if low_rank is None else low_rank.merge(value)
