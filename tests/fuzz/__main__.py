"""`python -m tests.fuzz MINUTES [READER …]`: read damaged files until the time is up.

A reader returns a value or raises an error of fishtui. Anything else is a surprise, as is a reader that takes longer
than `LONGEST_S` seconds or more than `MEMORY` bytes. Each is printed once, with the file that leads to it.
"""

from __future__ import annotations

import os
import resource
import sys
import tempfile
import time
import traceback
from itertools import count, cycle
from pathlib import Path
from random import Random

import click

from fishtui.errors import FishtuiError
from tests.builders import time_limit
from tests.fuzz.damage import damaged
from tests.fuzz.readers import READERS

LONGEST_S = 20
MEMORY = 3 << 30


@click.command(help=__doc__)
@click.argument("minutes", type=float)
@click.argument("readers", nargs=-1, type=click.Choice([*READERS]))
@click.option("--seed", type=int, default=None)
def main(minutes: float, readers: tuple[str, ...], seed: int | None) -> None:
    """Run the command; its exit status is 1 after a surprise."""
    names = readers or tuple(READERS)
    seed = time.time_ns() % 1_000_000 if seed is None else seed
    end = time.monotonic() + 60 * minutes
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    os.environ["XDG_CONFIG_HOME"] = str(folder / "config")
    files = {}
    for name in names:
        (folder / name).mkdir()
        path = READERS[name].write(folder / name)
        files[name] = path, path.read_bytes()
    in_use = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (in_use + MEMORY, resource.RLIM_INFINITY))
    seen: set[tuple[str, str]] = set()
    for number, name in zip(count(), cycle(names), strict=False):
        if time.monotonic() > end:
            break
        path, content = files[name]
        path.write_bytes(damaged(content, Random(f"{seed}/{number}")))
        try:
            with time_limit(LONGEST_S):
                READERS[name].read(path)
        except FishtuiError:
            continue
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                break
            frame = traceback.extract_tb(error.__traceback__)[-1]
            fault = (name, f"{type(error).__name__} at {Path(frame.filename).name}:{frame.lineno}")
            if fault not in seen:
                seen.add(fault)
                kept = folder / f"surprise-{len(seen)}-{path.name}"
                kept.write_bytes(path.read_bytes())
                print(f"{name}: {kept}", *traceback.format_exception(error), sep="\n", flush=True)
    print(f"{number:,} damaged files for {len(files)} readers, {len(seen)} surprises (seed {seed})")
    sys.exit(1 if seen else 0)


if __name__ == "__main__":
    main()
