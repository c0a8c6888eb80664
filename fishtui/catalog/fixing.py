"""Repair findings of clips: as one action of the history, which can be undone."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

from fishtui.catalog.actions import EXTRACTED, change, changing_clips, clip_row
from fishtui.catalog.cuts import carry_cuts
from fishtui.catalog.files import clip_of
from fishtui.catalog.history import new_action
from fishtui.catalog.store import Catalog
from fishtui.checks.registry import repair_for
from fishtui.errors import FishtuiError
from fishtui.files import read_if_present
from fishtui.runs.ledger import Ledger
from fishtui.runs.reporter import Reporter
from fishtui.settings import Settings
from fishtui.wording import reason_of


def fix(
    catalog: Catalog, settings: Settings, reporter: Reporter, code: str, clips: Sequence[int], dry_run: bool = False
) -> Ledger:
    """Repair the finding `code` in those of `clips` that have it, as one action; skip the others.

    Codes of a recording that changes are removed with it; those of `extract` become stale. Raises MisuseError as
    `repair_for`.
    """
    repair = repair_for(code)
    ledger = Ledger()
    with changing_clips(catalog, settings):
        action = new_action(catalog)
        among = "SELECT clip FROM findings WHERE code = ? AND clip IN (SELECT value FROM json_each(?))"
        found = {row[0] for row in catalog.query(among, (code, json.dumps(list(clips))))}
        for number, clip in enumerate(clips):
            row = clip_row(catalog, clip)
            if clip not in found:
                ledger.skip(row["name"], f"no finding {code}")
                continue
            files = clip_of(catalog, settings, row["name"], row["files"].split("/"))
            try:
                contents = dict(repair(files, settings))
                if row["codes"] in EXTRACTED:
                    # Those of `extract` stay: they are stale then, and current again after an undo.
                    contents.pop(files.codes, None)
                if not any(read_if_present(path) != content for path, content in contents.items()):
                    ledger.skip(row["name"], "nothing to change")
                    continue
                if not dry_run:
                    change(catalog, settings, clip, contents, action, f"fix {code}")
                    _carry_cut(catalog, row, clip_row(catalog, clip))
            except FishtuiError as error:
                ledger.fail(row["name"], error.problem)
            except (ValueError, RuntimeError, MemoryError) as error:
                ledger.fail(row["name"], f"cannot be repaired: {reason_of(error)}")
            else:
                ledger.done += 1
            reporter.progress(number + 1, len(clips))
    return ledger


def _carry_cut(catalog: Catalog, before: sqlite3.Row, after: sqlite3.Row) -> None:
    """Keep the place of a clip in its recording if a repair of its audio left its length unchanged."""
    same = all(before[name] == after[name] for name in ("duration", "sample_rate"))
    if same and before["audio_hash"] != after["audio_hash"] and before["audio_hash"] and after["audio_hash"]:
        with catalog.transaction() as connection:
            carry_cuts(connection, before["audio_hash"], after["audio_hash"])
