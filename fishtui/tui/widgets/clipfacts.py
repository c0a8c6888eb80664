"""The details of a clip as text: its transcript, findings, review, measurements and history."""

from __future__ import annotations

from rich.text import Text
from textual.content import Content

from fishtui import glyphs, wording
from fishtui.catalog.details import ClipDetails
from fishtui.catalog.differences import ADDED, MISSING, compare, marked
from fishtui.catalog.fields import split_tags
from fishtui.checks.registry import CHECKS
from fishtui.sanitize import harmless
from fishtui.tui.widgets import signs

CUT_KEYS = "[ ] { } move an end (b: the other), S splits, M merges"
# The silences among the measurements.
SILENCE = {"lead": "start", "trail": "end", "gap": "longest gap"}
MUTED = "dim"


def text_of(details: ClipDetails) -> Text | Content:
    """Return the transcript; below it the recognized words if they differ, with the differences in signs and color."""
    text = (details.row["text"] or "").strip()
    if not text:
        return Text("no transcript; press e to write it", style="italic")
    heard = details.recognized.heard
    if heard is None:
        return Text(harmless(text), overflow="fold")
    own, other = compare(text, heard)
    parts = [(harmless(marked(each, MISSING)), signs.style("failed") if each.differs else "") for each in own]
    parts.append(("\nheard: ", MUTED))
    parts += [(harmless(marked(each, ADDED)), signs.style("ok") if each.differs else "") for each in other]
    return Content.assemble(*parts)


def facts_of(details: ClipDetails) -> Content:
    """Return the draft, findings, review, tags, codes, silences and history of a clip, one a line."""
    row = details.row
    parts: list[tuple[str, str]] = []
    if draft := details.recognized.describe_draft():
        parts.append((f"{harmless(draft)}\n", "bold"))
    for each in sorted(details.findings, key=lambda found: -found.severity):
        # Another release of fishtui may have other checks.
        check = CHECKS.get(each.code)
        parts.append((f"{glyphs.SIGN[each.severity]} {harmless(each.code)}", signs.style(each.severity)))
        subject = "" if each.id is not None else "the speaker: "
        parts.append((f"  {subject}{harmless(each.detail)}\n", ""))
        if check is not None:
            repair = f" `:clips fix {each.code} {each.id}`" if check.fix and each.id is not None else ""
            parts.append((f"{check.remedy}{repair}\n", MUTED))
    if not details.findings:
        parts.append(("no findings\n" if details.measured else "not measured yet; press ctrl+r\n", MUTED))
    if details.cut is not None:
        place = f"{wording.clock(details.cut.start)}-{wording.clock(details.cut.end)}"
        parts.append((f"{place} of {harmless(details.source)}\n{CUT_KEYS}\n", MUTED))
    if row["status"] != "open":
        parts.append((f"{glyphs.SIGN[row['status']]} {row['status']}", "bold"))
        parts.append((f" by {harmless(row['reviewer'])}, {row['reviewed'][:16].replace('T', ' ')}\n", ""))
    if row["note"]:
        parts.append((f"  {harmless(row['note'])}\n", ""))
    if row["tags"]:
        parts.append((f"tags  {harmless(' '.join(split_tags(row['tags'])))}\n", ""))
    if row["frames"]:
        parts.append((f"codes {row['codes']}, {row['frames']:,} frames\n", MUTED))
    if "lead" in details.measured:
        silence = ", ".join(f"{place} {details.measured[name]:.2f} s" for name, place in SILENCE.items())
        parts.append((f"silence: {silence}\n", MUTED))
    parts += [(f"{harmless(line)}\n", MUTED) for line in _compared(details)]
    parts += [(f"{harmless(line)}\n", MUTED) for line in reversed(details.history)]
    return Content.assemble(*parts).rstrip()


def _compared(details: ClipDetails) -> list[str]:
    """Return the results of models on the transcript."""
    return [line for line in (*details.scored.lines(), details.recognized.describe_difference()) if line]


def title_of(details: ClipDetails) -> tuple[str, str]:
    """Return the name of a clip, and a summary of its recording."""
    row = details.row
    name = row["name"] if "/" not in row["files"] else f"{row['name']}  ({row['files']})"
    if not row["format"]:
        return name, row["files"] or "no recording"
    channels = {1: "mono", 2: "stereo"}.get(row["channels"], f"{row['channels']} channels")
    subtype = row["subtype"].lower().replace("_", " ")
    form = f"{row['format'].lower()} {subtype} · {row['sample_rate'] / 1000:g} kHz {channels}"
    return name, f"{form} · {wording.seconds(row['duration'])}"
