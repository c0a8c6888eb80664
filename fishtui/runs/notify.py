"""The message that is sent when a run ends, by Apprise, to the addresses of `run.notify`.

The addresses hold passwords and tokens. Until the run has ended they are in a file that only its user can read.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from fishtui.errors import MisuseError
from fishtui.extras import require_extra
from fishtui.files import discard
from fishtui.project import Project
from fishtui.reading import Damaged, read_json
from fishtui.runs.ledger import LedgerRecord
from fishtui.runs.record import ADDRESSES, FAILED, PARTIAL, SUCCEEDED, RunRecord
from fishtui.sanitize import harmless
from fishtui.settings.masking import masked
from fishtui.wording import clock

SETTING = "run.notify"
# Seconds after which a run ends although a server has not answered.
PATIENCE = 15.0
TYPES = {SUCCEEDED: "success", PARTIAL: "warning", FAILED: "failure"}


def check_addresses(addresses: Sequence[str]) -> None:
    """Raise MisuseError if Apprise is missing (`missing-package`) or rejects an address (`bad-address`)."""
    if not addresses:
        return
    require_extra("notify", "apprise", SETTING)
    for number, address in enumerate(addresses, 1):
        if _service(address) is None:
            raise MisuseError(
                f"{SETTING}: address {number} ({masked(address)}) is not an address of Apprise",
                "See https://github.com/caronc/apprise/wiki for the addresses of each service.",
                code="bad-address",
            )


def send_end(record: RunRecord, folder: Path) -> list[str]:
    """Send the message of a run that is about to end; return a problem for each address that did not take it.

    The steps of a pipeline send none: the pipeline does.
    """
    addresses = _take_addresses(folder)
    results: dict[int, bool] = {}

    subject, text, kind = title(record), body(record, folder), TYPES.get(record.state, "info")

    def send(number: int, address: str) -> None:
        # A traceback in the log of the run could show the address.
        with suppress(Exception):
            service = _service(address)
            results[number] = service is not None and bool(service.notify(title=subject, body=text, notify_type=kind))

    threads = [threading.Thread(target=send, args=pair, daemon=True, name="notify") for pair in enumerate(addresses)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + PATIENCE
    for thread in threads:
        thread.join(max(deadline - time.monotonic(), 0.0))
    return [
        f"address {number + 1} ({masked(address)}): the message was not sent; check the address with"
        " `apprise -vv -b test ADDRESS`"
        for number, address in enumerate(addresses)
        if not results.get(number)
    ]


def title(record: RunRecord) -> str:
    """Return the title of the message: stage, name and outcome."""
    return " ".join(filter(None, ["fishtui:", record.stage, harmless(record.name), record.state]))


def body(record: RunRecord, folder: Path) -> str:
    """Return the text of the message: project, machine, duration, counts, and the error if there was one."""
    project = Project(folder.parents[2])
    lines = [
        f"project {project.root.name} on {record.host}, {clock(record.seconds)}",
        _counts(record.ledger) if record.ledger else "",
        project.shorten_paths(record.error or ""),
        f"run {record.id}",
    ]
    return "\n".join(harmless(part) for line in lines if line for part in line.splitlines())


def _counts(ledger: LedgerRecord) -> str:
    counts = {"done": ledger["done"], "skipped": len(ledger["skipped"]), "failed": len(ledger["failed"])}
    return f"{ledger['unit']}: " + ", ".join(f"{number:,} {what}" for what, number in counts.items())


def _service(address: str) -> Any:
    """Return Apprise's service of an address, None if it is not one."""
    import apprise

    # Its log names addresses, and would go to the log of the run.
    logging.getLogger("apprise").disabled = True
    return apprise.Apprise.instantiate(address)


def _take_addresses(folder: Path) -> list[str]:
    try:
        return read_json(folder / ADDRESSES, list[str])
    except (OSError, Damaged):
        return []
    finally:
        discard(folder / ADDRESSES)
