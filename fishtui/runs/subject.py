"""The subject of a run that has no name: the model and the text of speech, or the checkpoint of a merge."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from fishtui.sanitize import harmless
from fishtui.wording import counted, cut

STEP = re.compile(r"step_0*(\d+)")
# Columns of a text.
LONGEST = 200


def describe_subject(arguments: Mapping[str, Any]) -> str:
    """Return the subject of a run by the arguments in its record, sanitized; empty if it has none."""
    model = next((_name(arguments[each]) for each in ("adapter", "checkpoint") if arguments.get(each)), "")
    texts = arguments.get("texts")
    if isinstance(texts, list) and texts:
        text = harmless(cut(str(texts[0]), LONGEST))
        spoken = f'"{text}"' if len(texts) == 1 else counted(len(texts), "text")
        return f"{model}  {spoken}".strip()
    return model if arguments.get("adapter") else ""


def _name(path: object) -> str:
    """The training and step of an adapter, or the name of a model's folder."""
    found = PurePath(str(path))
    step = STEP.fullmatch(found.stem)
    return harmless(f"{found.parent.parent.name} step {int(step[1]):,}" if step else found.name)
