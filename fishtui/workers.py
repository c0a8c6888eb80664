"""Worker processes that prepare items ahead of their consumer, in order, and never outlive it."""

from __future__ import annotations

import functools
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def worker_count(setting: int) -> int:
    """How many processes a `workers` setting stands for; 0 is one per core that this process may use."""
    return (
        setting or len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else setting or os.cpu_count() or 1
    )


@functools.cache
def quiet_stderr() -> None:
    """Send what libraries write to file descriptor 2 of this worker process to nowhere; for workers only."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def ordered_map(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    workers: int,
    ahead: int,
    died: Callable[[Item], Result],
) -> Iterator[Result]:
    """`function` of each item, in their order, computed by `workers` processes, at most `ahead` items early.

    `function` must be importable by name. An item that ends the process which works on it gives `died(item)`. The
    workers end when this process does, even if it is killed.
    """
    pool = _pool(workers)
    waiting: deque[tuple[Item, Future[Result]]] = deque()

    def submit(item: Item) -> Future[Result]:
        nonlocal pool
        with _interrupts_held():
            try:
                return pool.submit(function, item)
            except BrokenProcessPool:
                pool = _pool(workers)
                return pool.submit(function, item)

    def finish() -> Result:
        item, future = waiting.popleft()
        try:
            return future.result()
        except BrokenProcessPool:
            return _alone(function, item, died)

    try:
        for item in items:
            waiting.append((item, submit(item)))
            if len(waiting) > ahead:
                yield finish()
        while waiting:
            yield finish()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def chunked_map(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    size: int,
    workers: int,
    ahead: int,
    died: Callable[[Item], Result],
) -> Iterator[Result]:
    """As `ordered_map`, but `size` items are handed over at once, and `ahead` counts these chunks.

    Of a chunk that ends its process each item is tried by itself, to learn which one it was.
    """
    chunks = [items[start : start + size] for start in range(0, len(items), size)]
    workers = max(min(workers, len(chunks)), 1)
    each, one_by_one = functools.partial(_each, function), functools.partial(_one_by_one, function, died)
    for results in ordered_map(each, chunks, workers, ahead, one_by_one):
        yield from results


def _each(function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    return [function(item) for item in items]


def _one_by_one(
    function: Callable[[Item], Result], died: Callable[[Item], Result], items: Sequence[Item]
) -> list[Result]:
    return list(ordered_map(function, items, 1, 1, died))


def _alone(function: Callable[[Item], Result], item: Item, died: Callable[[Item], Result]) -> Result:
    """Work on an item whose pool broke, be it for its own sake or for another's."""
    with _pool(1) as pool:
        try:
            with _interrupts_held():
                future = pool.submit(function, item)
            return future.result()
        except BrokenProcessPool:
            return died(item)


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Let no interrupt come while the body runs, nor ever to processes that it starts: they end with this one."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _pool(workers: int) -> ProcessPoolExecutor:
    # A spawned worker shares no lock, thread or CUDA state with us.
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, mp_context=context, initializer=_end_with_parent)


def _end_with_parent() -> None:
    def watch() -> None:
        parent = multiprocessing.parent_process()
        if parent is not None:
            parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
