"""The ledger of a stage: the outcome of every item, so that total = done + skipped + failed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, NotRequired, TypedDict, cast

import msgspec

from fishtui.wording import counted

# Limits of numbers in records and events: what is shown of them is computed without overflow.
Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
Amount = Count | Annotated[float, msgspec.Meta(ge=0, le=2**53)]
# Seconds since 1970, up to the year 9999.
Moment = Annotated[float, msgspec.Meta(ge=0, le=253_000_000_000)]


class EntryRecord(TypedDict):
    """An `Entry` in a file."""

    item: str
    reason: str


class LedgerRecord(TypedDict):
    """A `Ledger` in a file: see `Ledger.as_dict`."""

    total: Count
    unit: str
    done: Count
    skipped: list[EntryRecord]
    failed: list[EntryRecord]
    counts: NotRequired[dict[str, int | float]]


@dataclass(frozen=True, slots=True)
class Entry:
    """One item that was not done, and the reason."""

    item: str
    reason: str


@dataclass
class Ledger:
    """The outcome of each item of a stage.

    `skipped` items needed nothing, were excluded, or were not reached; `failed` items should have been done.
    `counts` holds further figures of the stage, such as seconds of audio.
    """

    unit: str = "clips"
    done: int = 0
    skipped: list[Entry] = field(default_factory=list)
    failed: list[Entry] = field(default_factory=list)
    counts: dict[str, float] = field(default_factory=dict)

    @property
    def total(self) -> int:
        return self.done + len(self.skipped) + len(self.failed)

    def skip(self, item: str, reason: str) -> None:
        """Count `item` as not done for a reason that is not an error."""
        self.skipped.append(Entry(item, reason))

    def fail(self, item: str, reason: str) -> None:
        """Count `item` as one that should have been done."""
        self.failed.append(Entry(item, reason))

    def as_dict(self) -> LedgerRecord:
        """Return the ledger and its total as JSON-ready data."""
        return cast(LedgerRecord, {"total": self.total, **asdict(self)})


def describe_ledger(content: Mapping[str, Any], verb: str = "done", reasons: int = 6, items: int = 10) -> Iterator[str]:
    """Yield lines of text for a ledger (see `Ledger.as_dict`): totals, figures, reasons for skipped and failed items.

    At most `reasons` reasons for skipped items and `items` failed items are listed. `verb` describes the items done.
    """
    skipped, failed = content["skipped"], content["failed"]
    parts = [f"{content['done']:,} {verb}"]
    parts += [f"{len(skipped):,} skipped"] if skipped else []
    parts += [f"{len(failed):,} {'would fail' if verb.startswith('would') else 'failed'}"] if failed else []
    yield f"{counted(content['total'], content['unit'].removesuffix('s'))}: {', '.join(parts)}"
    if figures := " · ".join(_format_count(*each) for each in content.get("counts", {}).items() if each[1]):
        yield f"  {figures}"
    for reason, count in Counter(entry["reason"] for entry in skipped).most_common(reasons):
        yield f"  - {count:,} skipped: {reason}"
    for entry in failed[:items]:
        yield f"  ✗ {entry['item']}: {entry['reason']}"
    if len(failed) > items:
        yield f"  ✗ … and {len(failed) - items:,} more, all in run.json"


def _format_count(name: str, value: float) -> str:
    words, unit = (name.removesuffix("_gb"), " GB") if name.endswith("_gb") else (name, "")
    shown = f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
    return f"{words.replace('_', ' ')} {shown}{unit}"
