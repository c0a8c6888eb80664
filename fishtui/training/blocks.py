"""Work on a large weight in blocks of rows, on all processors."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from fishtui.devices import one_thread

# Elements of a block: few enough that its float32 copies stay in the cache of a processor.
BLOCK = 1 << 18


@torch.inference_mode()
def map_rows(work: Callable[[slice], float], weight: Tensor) -> list[float]:
    """Return the results of `work` for blocks of the rows of `weight`, computed at the same time.

    Each block is computed by one thread: threads that share each small step wait for the slowest one every time, which
    takes most of the time on a busy machine.
    """
    count = max(1, BLOCK // max(1, weight[0].numel()))
    blocks = [slice(start, start + count) for start in range(0, len(weight), count)]

    # The mode of inference is that of a thread.
    @torch.inference_mode()
    def compute(rows: slice) -> float:
        return work(rows)

    threads = torch.get_num_threads()
    with one_thread(), ThreadPoolExecutor(threads) as pool:
        return list(pool.map(compute, blocks))
