"""The table of commands: no command's name is told by anything else."""

from __future__ import annotations

# Every command's module imports the core only when the command runs: --help stays instant.
COMMANDS = {
    "init": "setup",
    "demo": "setup",
    "doctor": "setup",
    "download": "setup",
    "import": "importing",
    "normalize": "data",
    "scan": "catalog",
    "validate": "catalog",
    "clips": "clips",
    "listen": "listen",
    "speakers": "catalog",
    "stats": "catalog",
    "extract": "data",
    "pack": "data",
    "train": "model",
    "merge": "model",
    "export": "model",
    "synthesize": "model",
    "run": "pipeline",
    "runs": "runs",
}
