"""`python -m tests.bench [NAME …]`: time each case in its own process, next to a plain implementation of the same work.

Figures drift on a shared machine: compare the ratios. Peak memory is that of the whole process, including Python and
torch.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from importlib import import_module

NAMES = (
    *("following", "listing", "reading", "checks", "extraction", "packing", "training", "merging"),
    *("s2files", "synthesis", "batching", "score", "slice"),
)


def measure_in_process(name: str, case: str, plain: bool) -> dict[str, float]:
    """Return the speed of one case and the peak memory in GB of the process that ran it, including its children."""
    return json.loads(run_in_process(name, case, plain).splitlines()[-1])


def run_in_process(name: str, case: str, plain: bool | None) -> bytes:
    """Run one case in a new process, or the preparation of all cases if `plain` is None; return its output."""
    command = [sys.executable, "-m", "tests.bench", json.dumps([name, case, plain])]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout


def main() -> None:
    if sys.argv[1:2] in (["gpu"], ["kernels"], ["commands"]):
        raise SystemExit(import_module(f"tests.bench.{sys.argv[1]}").main(sys.argv[2:]))
    if len(sys.argv) == 2 and sys.argv[1].startswith("["):
        name, case, plain = json.loads(sys.argv[1])
        module = import_module(f"tests.bench.{name}")
        if plain is None:
            module.prepare()
            return
        speed = module.measure(case, plain)
        peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        print(json.dumps({"speed": speed, "memory": peak * 1024 / 1e9}))
        return
    print(f"{'':<34}{'':>16}{'ours':>9}{'plain':>9}{'ratio':>7}{'GB':>7}{'plain':>7}")
    for name in sys.argv[1:] or NAMES:
        module = import_module(f"tests.bench.{name}")
        if hasattr(module, "prepare"):
            run_in_process(name, "", None)
        for case in module.CASES:
            ours, plain = (measure_in_process(name, case, way) for way in (False, True))
            print(
                f"{name + ' ' + case:<34}{module.UNIT:>16}{ours['speed']:>9.2f}{plain['speed']:>9.2f}"
                f"{ours['speed'] / plain['speed']:>7.2f}{ours['memory']:>7.2f}{plain['memory']:>7.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
