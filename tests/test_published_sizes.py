"""Every stage with the token ids and numbers of codes of the published models, whose ids need more than 16 bits."""

from __future__ import annotations

from itertools import islice, product
from pathlib import Path
from string import ascii_letters, digits

import pytest

from fishtui.families.registry import FAMILIES
from fishtui.load import load_model
from tests.builders import project, tone, write_clip
from tests.forking import fishtui
from tests.tinymodels import s1, s2
from tests.tinymodels.checkpoint import write_checkpoint

BASE_TOKENS = 151_643
SETTINGS = """
[paths]
checkpoint = "model"

[pack]
validation = 0.2

[train]
device = "cpu"
gate = false
max_steps = 2
validate_every = 2
max_length = 256
batch_size = 1
accumulate = 2

[synthesize]
device = "cpu"
max_seconds = 0.3
"""


def published_merges() -> tuple[tuple[str, str], ...]:
    """Return as many merges as the published tokenizers have, of two and three letters and digits."""
    signs = ascii_letters + digits
    known = {first + second for first, second in s2.MERGES}
    pairs = [pair for pair in product(signs, signs) if "".join(pair) not in known]
    triples = ((a + b, c) for a, b in pairs for c in signs if a + b + c not in known)
    return (*s2.MERGES, *islice((*pairs, *triples), BASE_TOKENS - 256 - len(s2.MERGES)))


@pytest.mark.long
@pytest.mark.parametrize("family", FAMILIES.values(), ids=list(FAMILIES))
def test_every_stage_takes_the_published_token_ids(family, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    merges = published_merges()
    monkeypatch.setattr(s1, "MERGES", ["".join(pair).replace("Ġ", " ") for pair in merges])
    monkeypatch.setattr(s2, "MERGES", merges)
    root = project(tmp_path, SETTINGS).root
    write_checkpoint(root / "model", family=family)
    assert load_model(root / "model").semantic_begin > BASE_TOKENS
    for number in range(6):
        write_clip(root / "data" / "anna" / f"{number}.wav", f"The {number}th.", tone(0.4 + 0.1 * number))
    merged = root / "merged"
    for arguments in (
        ["extract"],
        ["pack"],
        ["train", "voice"],
        ["score"],
        ["score", "--adapter", "voice"],
        ["merge", "voice", "--step", "2", "--output", merged],
        ["synthesize", "--checkpoint", merged, "--text", "Hi.", "--reference", root / "data" / "anna" / "0.wav"],
    ):
        done = fishtui(*map(str, arguments), cwd=root)
        assert done.returncode == 0, (arguments, done.stdout, done.stderr)
