"""Shell completion: the shells' scripts, and completions of commands, options and choices."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


def complete(shell: str, instruction: str, words: str = "") -> str:
    """Return the output of fishtui for a shell that requests its script (`source`) or completions (`complete`)."""
    environment = os.environ | {
        "_FISHTUI_COMPLETE": f"{shell}_{instruction}",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split(" ")) - 1),
    }
    run = subprocess.run([sys.executable, "-m", "fishtui"], env=environment, capture_output=True, text=True, check=True)
    return run.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_a_script(shell: str) -> None:
    assert "_FISHTUI_COMPLETE" in complete(shell, "source")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("fishtui tra", {"train"}),
        ("fishtui train --meth", {"--method"}),
        ("fishtui train --method ", {"lora", "full"}),
        ("fishtui runs st", {"stop"}),
    ],
)
def test_commands_options_and_choices_are_completed(words: str, expected: set[str]) -> None:
    assert {line.partition(",")[2] for line in complete("bash", "complete", words).splitlines()} == expected
