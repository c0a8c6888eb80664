"""The details of one clip, for people: what `fishtui clips show` prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fishtui import glyphs, wording
from fishtui.catalog.differences import ADDED, MISSING, compare, signed
from fishtui.catalog.fields import split_tags
from fishtui.checks.registry import check_of
from fishtui.cli import output

if TYPE_CHECKING:
    from fishtui.catalog.recognitions import RecognizedClip
    from fishtui.catalog.report import ClipFinding
    from fishtui.catalog.scores import ScoredClip

# The format and the unit of each measurement.
MEASURED = {
    "loudness": (".1f", "LUFS"),
    "peak": (".1f", "dBFS"),
    "snr": (".0f", "dB"),
    "speech": (".2f", "s of speech"),
    "lead": (".2f", "s of silence before"),
    "trail": (".2f", "s of silence after"),
    "gap": (".2f", "s, the longest pause"),
    "clipped_runs": (".0f", "places at full scale"),
    "band": (".0f", "dB above 8 kHz, relative to the energy below"),
    "dc": (".1%", "of full scale, distance from the zero line"),
    "channel_difference": (".0%", "of a channel differs from the mean of all"),
}


def write_details(
    row: Any,
    findings: Sequence[ClipFinding],
    measured: Mapping[str, Any] | None,
    scored: ScoredClip,
    recognized: RecognizedClip,
    history: Sequence[Mapping[str, Any]],
) -> None:
    """Write all that is known of a clip; `row` is its catalog row."""
    output.line(
        f"{row['id']}  {row['name']}  {glyphs.SIGN[glyphs.clip_state(row['status'], row['severity'])]} {row['status']}"
    )
    if row["reviewer"]:
        output.line(
            f"  {row['status']} by {row['reviewer']}, {row['reviewed']}{': ' + row['note'] if row['note'] else ''}"
        )
    if row["tags"]:
        output.line(f"  tags      {' '.join(split_tags(row['tags']))}")
    if row["format"]:
        output.line(
            f"  audio     {row['files']}  {row['format']} {row['subtype']}  {row['sample_rate']:,} Hz"
            f"  {wording.counted(row['channels'], 'channel')}  {wording.seconds(row['duration'])}"
        )
    else:
        output.line(f"  audio     {row['files'] or 'none'}")
    text = row["text"].strip() if row["text"] is not None else None
    if text is not None and recognized.heard is not None:
        own, heard = compare(text, recognized.heard)
        output.line(f"  text      {signed(own, MISSING)}")
        output.line(f"  heard     {signed(heard, ADDED)}")
    else:
        output.line(f"  text      {'none' if text is None else text}")
    frames = f", {row['frames']:,} frames" if row["frames"] else ""
    output.line(f"  codes     {row['codes']}{frames}")
    for each in findings:
        output.line(f"  {glyphs.SIGN[each.severity]} {each.code}: {each.detail}")
        output.line(f"      {check_of(each.code).remedy}")
        if check_of(each.code).fix:
            output.line(
                f"      `fishtui clips fix {each.code} {row['id']}` does it; `fishtui clips undo` restores the clip."
            )
    for name, (form, unit) in MEASURED.items():
        if measured and measured.get(name) is not None:
            output.line(f"  {name.replace('_', ' '):<20} {measured[name]:{form}} {unit}")
    for line in (*scored.lines(), recognized.describe_draft(), recognized.describe_difference()):
        if line:
            output.line(f"  {line}")
    for entry in history:
        output.line(f"  {entry['time']}  {entry['who']}  {entry['summary']}")
