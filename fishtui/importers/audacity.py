"""Label tracks of Audacity next to long recordings: lines of start, end and label, between tabs."""

from __future__ import annotations

import math
import re
from pathlib import Path

from fishtui.importers.captions import Caption, Captions
from fishtui.importers.cues import LINE_END
from fishtui.importers.timed import read_whole, sample, timed_layout

NUMBER = r"\d+(?:[.,]\d+)?"
ROW = re.compile(rf"(?P<start>{NUMBER})\t(?P<end>{NUMBER})(?:\t(?P<label>[^\t]*))?")
# The frequencies of the label before.
FREQUENCIES = "\\"


def shows_labels(path: Path) -> bool:
    """Return True if the first line of a file is a label."""
    first = sample(path).lstrip().partition("\n")[0].rstrip("\r")
    return ROW.fullmatch(first) is not None


def read_labels(path: Path) -> Captions:
    """Return the labels of a track; a line that is not one has no times. Raises DataError, OSError."""
    captions = []
    for line in LINE_END.split(read_whole(path)):
        if not line.strip() or line.startswith(FREQUENCIES):
            continue
        row = ROW.fullmatch(line)
        if row is None:
            captions.append(Caption(math.nan, math.nan, line))
            continue
        start, end = (float(row[each].replace(",", ".")) for each in ("start", "end"))
        label = (row["label"] or "").strip()
        omitted = "a label of a point" if start == end else "" if label else "a label without text"
        captions.append(Caption(start, end, label, omitted=omitted))
    return Captions(captions, loose=False)


AUDACITY = timed_layout(
    "audacity", "Audacity labels (.txt) next to long recordings", (".txt",), read_labels, shows_labels
)
