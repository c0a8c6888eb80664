"""The account that every stage gives of its items: total = done + skipped + failed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Entry:
    """One item that was not done, and why."""

    item: str
    reason: str


@dataclass
class Ledger:
    """What became of each item of a stage.

    `skipped` items needed nothing, were left out on purpose or not come to; `failed` ones should have been done and
    could not be. `counts` holds further figures of the stage, such as seconds of audio.
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
        """Count `item` as one that is not done, for a reason that is no fault."""
        self.skipped.append(Entry(item, reason))

    def fail(self, item: str, reason: str) -> None:
        """Count `item` as one that should have been done and could not be."""
        self.failed.append(Entry(item, reason))

    def skipped_by_reason(self) -> Counter[str]:
        """How many items each reason left out."""
        return Counter(entry.reason for entry in self.skipped)

    def as_dict(self) -> dict[str, Any]:
        """The ledger as JSON-ready data, its total included."""
        return {"total": self.total, **asdict(self)}


def describe_ledger(content: Mapping[str, Any], verb: str = "done", reasons: int = 6, items: int = 10) -> Iterator[str]:
    """A ledger as data in lines: its totals and figures, why items were skipped, and the first of those that failed."""
    skipped, failed = content["skipped"], content["failed"]
    parts = [f"{content['done']:,} {verb}"]
    parts += [f"{len(skipped):,} skipped"] if skipped else []
    parts += [f"{len(failed):,} {'would fail' if verb.startswith('would') else 'failed'}"] if failed else []
    yield f"{content['total']:,} {content['unit']}: {', '.join(parts)}"
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
