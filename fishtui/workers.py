"""Worker processes that compute items ahead of their consumer, in order, and end with it; and calls in threads."""

from __future__ import annotations

import ctypes
import functools
import math
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import resource_tracker
from typing import Generic, TypeVar

from fishtui.signals import ENDING, STOPPING

# From Linux's prctl.h.
PR_SET_PDEATHSIG = 1
# How workers start: a spawned one shares no lock, thread or CUDA state with this process.
START_METHOD = "spawn"
# Seconds between two calls of `waits`.
INTERVAL = 0.2
Item = TypeVar("Item")
Result = TypeVar("Result")


def worker_count(setting: int) -> int:
    """The number of processes for a `workers` setting; 0 is one per core that this process may use."""
    if setting:
        return setting
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@functools.cache
def quiet_stderr() -> None:
    """Discard the output of libraries to file descriptor 2 in this worker process."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def in_thread(function: Callable[[], Result]) -> Callable[[], Result]:
    """Begin a call in a thread of its own; return the function that waits for its result, or raises its error.

    The thread ends with this process, even in the middle of the call.
    """
    result: Future[Result] = Future()

    def work() -> None:
        try:
            result.set_result(function())
        except BaseException as error:
            result.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    return result.result


def ordered_map(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    workers: int,
    ahead: int,
    crashed: Callable[[Item], Result],
    size: Callable[[Item], float] = lambda item: 0.0,
    budget: float = math.inf,
    waits: Callable[[], object] | None = None,
) -> Iterator[Result]:
    """Yield `function(item)` for each item, in order, computed by `workers` processes at most `ahead` items early.

    The items that are computed early have a `size` of at most `budget` in total, apart from the last of them.
    `function` must be importable by name. If an item crashes its worker, the result is `crashed(item)`. The workers
    end with this process, even if it is killed. If the consumer stops early, SystemExit ends the items in work.
    `waits` is called at intervals while a result is awaited.
    """
    pool = _pool(workers)
    careful = _CarefulPool(function, crashed)
    held = 0.0
    waiting: deque[tuple[Item, Future[Result]]] = deque()

    def submit(item: Item) -> Future[Result]:
        nonlocal pool
        with _signals_held():
            try:
                return pool.submit(_work, function, item)
            except BrokenProcessPool:
                pool = _pool(workers)
                return pool.submit(_work, function, item)

    def finish() -> Result:
        # Until its result is there, an item is one to break off.
        item, future = waiting[0]
        while waits is not None and not wait([future], INTERVAL).done:
            waits()
        try:
            result = future.result()
        except BrokenProcessPool:
            result = careful.compute(item)
        waiting.popleft()
        return result

    try:
        for item in items:
            waiting.append((item, submit(item)))
            held += size(item)
            while waiting and (len(waiting) > ahead or held > budget):
                held -= size(waiting[0][0])
                yield finish()
        while waiting:
            yield finish()
    finally:
        _end(pool, bool(waiting))
        careful.close(bool(waiting))


def one_ahead(items: Iterable[Item]) -> Iterator[Item]:
    """Yield the items, of which none is None, while a thread computes the next one."""
    source = iter(items)
    with ThreadPoolExecutor(1) as thread:
        following = thread.submit(next, source, None)
        while (item := following.result()) is not None:
            following = thread.submit(next, source, None)
            yield item


def chunked_map(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    size: int,
    workers: int,
    ahead: int,
    crashed: Callable[[Item], Result],
) -> Iterator[Result]:
    """Do the same as `ordered_map`, but submit `size` items at once; `ahead` counts these chunks.

    If a chunk crashes its worker, its items are tried one by one.
    """
    if not items:
        # A pool starts a process of its own even if it computes nothing.
        return
    chunks = [items[start : start + size] for start in range(0, len(items), size)]
    workers = max(min(workers, len(chunks)), 1)
    each, one_by_one = functools.partial(_each, function), functools.partial(_one_by_one, function, crashed)
    for results in ordered_map(each, chunks, workers, ahead, one_by_one):
        yield from results


def _each(function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    return [function(item) for item in items]


def _one_by_one(
    function: Callable[[Item], Result], crashed: Callable[[Item], Result], items: Sequence[Item]
) -> list[Result]:
    return list(ordered_map(function, items, 1, 1, crashed))


class _CarefulPool(Generic[Item, Result]):
    """A process that computes items one by one after a crash of their pool, which any of them may have caused."""

    def __init__(self, function: Callable[[Item], Result], crashed: Callable[[Item], Result]) -> None:
        self._function = function
        self._crashed = crashed
        self._pool: ProcessPoolExecutor | None = None

    def compute(self, item: Item) -> Result:
        """Return the result of an item, or of `crashed` if it is the one that crashes its process."""
        # A new process takes longer to start than most items take.
        self._pool = self._pool or _pool(1)
        try:
            with _signals_held():
                future = self._pool.submit(_work, self._function, item)
            return future.result()
        except BrokenProcessPool:
            self._pool = None
            return self._crashed(item)

    def close(self, breaks_off: bool) -> None:
        """End the process, if there is one, as `_end` does."""
        if self._pool is not None:
            _end(self._pool, breaks_off)


@contextmanager
def _signals_held() -> Iterator[None]:
    """Block the signals that end a process in the body, and in processes that it starts.

    A worker that is starting would otherwise report a traceback. Interrupts stay blocked in workers, which end with
    this process.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _pool(workers: int) -> ProcessPoolExecutor:
    _start_tracker()
    context = multiprocessing.get_context(START_METHOD)
    return ProcessPoolExecutor(workers, mp_context=context, initializer=_end_with_parent)


def _end(pool: ProcessPoolExecutor, breaks_off: bool) -> None:
    """End the processes of a pool: after the items that they compute, or at once if it `breaks_off` their work."""
    # The executor has no public way to do that before Python 3.14.
    processes = list((pool._processes or {}).values())
    pool.shutdown(wait=False, cancel_futures=True)
    if breaks_off:
        for process in processes:
            process.terminate()


def _start_tracker() -> None:
    """Start the process that removes what workers share, and let it survive the signals of a closed terminal.

    It ignores SIGINT and SIGTERM by itself. If another signal ended it first, it would be missed with tracebacks.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        resource_tracker.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def end_at_parents_end(number: signal.Signals) -> None:
    """Have the system send signal `number` to this process when the thread that started it ends; only on Linux."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(PR_SET_PDEATHSIG, number)


class _Left(SystemExit):
    """Ends the work on an item, which removes its temporary files."""


_is_working = False
_is_leaving = False


def _work(function: Callable[[Item], Result], item: Item) -> Result:
    """Compute an item in a worker."""
    global _is_working
    _is_working = True
    try:
        return function(item)
    except _Left:
        # Not through the executor: another worker may have ended while it held the lock of the results.
        os._exit(1)
    finally:
        _is_working = False


def _leave(number: int, frame: object) -> None:
    """End the work on an item, and then this process."""
    global _is_leaving
    if _is_leaving:
        # A second signal must not break off the removal of temporary files.
        return
    _is_leaving = True
    if _is_working:
        raise _Left(1)
    # An exception here could leave the lock of the results locked, for which all others would wait.
    os._exit(1)


def _end_with_parent() -> None:
    # A worker first removes the temporary files of its item.
    for number in ENDING:
        signal.signal(number, _leave)
    # A library that spins while it holds Python's lock would keep the thread below from running.
    end_at_parents_end(signal.SIGKILL)

    def watch() -> None:
        parent = multiprocessing.parent_process()
        if parent is not None:
            parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
