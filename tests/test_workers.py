from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from fishtui import workers
from fishtui.files import replacing
from fishtui.workers import chunked_map, one_ahead, ordered_map
from tests.builders import PAUSE

HOST = """
from fishtui.workers import ordered_map
from tests.test_workers import identify, linger

for pid in ordered_map(identify, range(8), 2, 8, None):
    print(pid, flush=True)
list(ordered_map(linger, range(8), 2, 8, None))
"""


@pytest.fixture(autouse=True)
def spawned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start workers as fishtui does, not as other tests do."""
    monkeypatch.setattr(workers, "START_METHOD", "spawn")


def identify(number: int) -> int:
    return os.getpid()


def linger(number: int) -> None:
    print(os.getpid(), flush=True)
    signal.pause()


def double(number: int) -> int:
    return 2 * number


def fail(number: int) -> int:
    raise ValueError(f"no {number}")


def write_slowly(path: Path) -> None:
    with replacing(path) as temporary:
        temporary.write_text("half", encoding="utf-8")
        (path.parent / "begun").touch()
        signal.pause()


def crash_once_then_write(path: Path) -> None:
    crashed = path.with_name("crashed")
    if not crashed.exists():
        crashed.touch()
        os._exit(1)
    write_slowly(path)


def command_of(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        # It has ended already.
        return ""


def test_work_that_nobody_waits_for_is_broken_off(tmp_path: Path) -> None:
    def items() -> Iterator[Path]:
        yield tmp_path / "a"
        end = time.monotonic() + 60
        while not (tmp_path / "begun").exists() and time.monotonic() < end:
            time.sleep(PAUSE)
        raise KeyboardInterrupt

    before = set(psutil.Process().children())
    with pytest.raises(KeyboardInterrupt):
        list(ordered_map(write_slowly, items(), 1, 1, fail))
    workers = [each for each in psutil.Process().children() if each not in before and "spawn_main" in command_of(each)]
    psutil.wait_procs(workers, timeout=60)
    assert [path.name for path in tmp_path.iterdir()] == ["begun"]


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Tests that are started in the background inherit ignored interrupts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("has_crashed", [False, True])
@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_breaks_off_the_last_item_too(tmp_path: Path, has_crashed: bool) -> None:
    path = tmp_path / "a"

    def interrupt() -> None:
        while not (tmp_path / "begun").exists():
            time.sleep(PAUSE)
        os.kill(os.getpid(), signal.SIGINT)

    before = set(psutil.Process().children())
    threading.Thread(target=interrupt, daemon=True).start()
    function = crash_once_then_write if has_crashed else write_slowly
    with pytest.raises(KeyboardInterrupt):
        list(ordered_map(function, [path], 1, 1, fail))
    workers = [each for each in psutil.Process().children() if each not in before and "spawn_main" in command_of(each)]
    assert not psutil.wait_procs(workers, timeout=60)[1]
    assert {each.name for each in tmp_path.iterdir()} == {"begun"} | ({"crashed"} if has_crashed else set())


def test_results_are_in_order_and_few_are_computed_early() -> None:
    started = []

    def items():
        for number in range(20):
            started.append(number)
            yield number

    results = ordered_map(double, items(), 2, 3, fail)
    assert next(results) == 0
    assert len(started) <= 5
    assert list(results) == list(range(2, 40, 2))


def test_a_consumer_is_called_while_it_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "INTERVAL", 0.001)
    calls: list[None] = []
    assert list(ordered_map(double, [1, 2], 1, 2, double, waits=lambda: calls.append(None))) == [2, 4]
    assert calls


def test_few_large_items_are_computed_early() -> None:
    started = []

    def items():
        for number in range(12):
            started.append(number)
            yield number

    results = ordered_map(double, items(), 2, 100, fail, lambda number: 10 if number < 4 else 1, 3)
    for number in range(12):
        assert next(results) == 2 * number
        assert len(started) - number <= (1 if number < 4 else 4)


def test_an_error_reaches_the_caller() -> None:
    with pytest.raises(ValueError, match="no 0"):
        list(ordered_map(fail, range(4), 2, 2, fail))


def exit_at_three(number: int) -> int:
    if number == 3:
        os._exit(1)
    return number


def blame(number: int) -> int:
    return -number


def test_only_the_item_that_crashes_its_worker_fails() -> None:
    assert list(ordered_map(exit_at_three, range(12), 2, 4, blame)) == [0, 1, 2, -3, *range(4, 12)]


def test_only_the_item_that_crashes_fails_in_a_chunk() -> None:
    assert list(chunked_map(exit_at_three, range(12), 5, 2, 4, blame)) == [0, 1, 2, -3, *range(4, 12)]
    assert list(chunked_map(double, [], 5, 2, 4, fail)) == []


def test_workers_end_with_a_killed_parent() -> None:
    process = subprocess.Popen([sys.executable, "-c", HOST], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    lines = map(str.strip, process.stdout)
    for _ in range(10):
        next(lines)
    children = psutil.Process(process.pid).children(recursive=True)
    assert len(children) >= 2
    process.kill()
    process.wait()
    _, alive = psutil.wait_procs(children, timeout=30)
    assert not alive


def test_one_item_is_computed_ahead_by_a_thread() -> None:
    begun: list[tuple[int, bool]] = []

    def items() -> Iterator[int]:
        for number in range(1, 4):
            begun.append((number, threading.current_thread() is threading.main_thread()))
            yield number
        raise ValueError("the end")

    source = one_ahead(items())
    assert next(source) == 1
    source.close()
    # The second one had begun, and the end waited for it.
    assert begun == [(1, False), (2, False)]
    seen = []
    with pytest.raises(ValueError, match="the end"):
        for number in one_ahead(items()):
            seen.append(number)
    assert seen == [1, 2, 3]
    assert list(one_ahead([])) == []
