"""The progress of worker processes within their items, in a temporary file that they share."""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

NUMBER = struct.Struct("=d")


@dataclass(frozen=True)
class Gauge:
    """The number of one item, which a worker process sets."""

    path: Path
    index: int

    def set(self, value: float) -> None:
        """Show another number. A full disk keeps the former one."""
        with suppress(OSError), self.path.open("r+b", buffering=0) as file:
            file.seek(NUMBER.size * self.index)
            file.write(NUMBER.pack(value))


class Gauges:
    """The numbers of all items, 0.0 at first."""

    def __init__(self, path: Path, count: int) -> None:
        self._path = path
        self._count = count

    def gauge(self, index: int) -> Gauge:
        """Return the gauge of an item, to hand to a worker."""
        return Gauge(self._path, index)

    def read(self) -> list[float]:
        """Return the number of each item."""
        with suppress(OSError):
            content = self._path.read_bytes()
            if len(content) == NUMBER.size * self._count:
                return [number for (number,) in NUMBER.iter_unpack(content)]
        return [0.0] * self._count


@contextmanager
def gauges_of(count: int) -> Iterator[Gauges]:
    """Give the body a gauge for each of `count` items; without room for a file they stay at 0.0."""
    with tempfile.TemporaryDirectory(prefix="fishtui-", ignore_cleanup_errors=True) as folder:
        path = Path(folder) / "gauges"
        with suppress(OSError):
            path.write_bytes(bytes(NUMBER.size * count))
        yield Gauges(path, count)
