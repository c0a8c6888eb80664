"""Work on a large weight in blocks of rows, on all processors."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch
from torch import Tensor
from torch.nn import functional

from fishtui.devices import one_thread

# Elements of a block: few enough that its float32 copies stay in the cache of a processor.
BLOCK = 1 << 18

T = TypeVar("T")


@torch.inference_mode()
def map_rows(work: Callable[[slice], T], weight: Tensor) -> list[T]:
    """Return the results of `work` for blocks of the rows of `weight`, computed at the same time.

    Each block is computed by one thread: threads that share each small step wait for the slowest one every time, which
    takes most of the time on a busy machine.
    """
    count = max(1, BLOCK // max(1, weight[0].numel()))
    blocks = [slice(start, start + count) for start in range(0, len(weight), count)]

    # The mode of inference is that of a thread.
    @torch.inference_mode()
    def compute(rows: slice) -> T:
        return work(rows)

    threads = torch.get_num_threads()
    with one_thread(), ThreadPoolExecutor(threads) as pool:
        return list(pool.map(compute, blocks))


def linear(x: Tensor, weight: Tensor) -> Tensor:
    """Return x Wᵀ, float32 (…, out), of `x` (…, in) and a weight (out, in) of any type, whose blocks are widened."""
    flat = x.flatten(0, -2).float()
    result = flat.new_empty(len(flat), len(weight))

    def compute(rows: slice) -> None:
        result[:, rows] = functional.linear(flat, weight[rows].float())

    map_rows(compute, weight)
    return result.unflatten(0, x.shape[:-1])
