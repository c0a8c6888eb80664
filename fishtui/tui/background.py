"""Short commands in the background: scan and check, with a line of progress at the bottom of every screen."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

from textual import work
from textual.app import App
from textual.reactive import Reactive

from fishtui.errors import FishtuiError
from fishtui.runs.command import EVENTS
from fishtui.tui.commands import command_line, document_of, environment, run_fishtui
from fishtui.tui.host import host_of
from fishtui.wording import counted, reason_of

# Bytes of a line of progress or of a command's answer. The answer of `validate` lists every finding.
LONGEST = 1 << 28


class BackgroundCommands(App[None]):
    """An app that runs one `fishtui` command at a time in the background.

    `progress` is the line that the screens show while it runs. The command ends with the app; what it has stored stays.
    """

    progress: Reactive[str] = Reactive("")

    def run_in_background(self, *words: str) -> None:
        """Run a command that changes the catalog, unless one is running; report its result at its end."""
        if self.progress:
            host_of(self).report(f"wait: {self.progress}")
            return
        self.progress = f"{words[0]} …"
        self._run(words)

    @work(thread=True, group="start", exit_on_error=False)
    def start_run(self, *words: str) -> None:
        """Start a run that continues when the app ends, and report its state."""
        host = host_of(self)
        try:
            run = document_of(run_fishtui([*words, "--detach", "--json"], host.project, keep=True))
            self.call_from_thread(host.report, f"{run['stage']} is {run['state']}; press 3 to see it")
        except FishtuiError as error:
            self.call_from_thread(host.report_error, error)

    @work(group="background", exit_on_error=False)
    async def _run(self, words: Sequence[str]) -> None:
        host = host_of(self)
        process = None
        try:
            process = await asyncio.create_subprocess_exec(
                *command_line([*words, "--json"], host.project),
                cwd=host.project.root if host.project.root.is_dir() else None,
                env={**environment(), EVENTS: "1"},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                limit=LONGEST,
            )
            assert process.stdout is not None
            assert process.stderr is not None
            answer, errors = await asyncio.gather(process.stdout.read(), self._follow(words[0], process.stderr))
            status = await process.wait()
            found = document_of((status, answer.decode(errors="replace"), "\n".join(errors)))
            host.report(describe(words[0], found))
        except FishtuiError as error:
            host.report_error(error)
        except OSError as error:
            problem = f"cannot start fishtui: {reason_of(error)}"
            host.report_error(FishtuiError(problem, "Run `fishtui doctor`.", code="cannot-start"))
        finally:
            if process is not None and process.returncode is None:
                process.kill()
            self.progress = ""

    async def _follow(self, title: str, stream: asyncio.StreamReader) -> list[str]:
        """Show the progress that a command writes to `stream` until it ends; return its other lines."""
        others: list[str] = []
        while line := (await stream.readline()).decode(errors="replace"):
            try:
                event = json.loads(line)
                self.progress = f"{title}: {event['note']} {event['done']:,} of {event['total']:,}"
            except (ValueError, TypeError, LookupError):
                others.append(line.rstrip("\n"))
        return others


def describe(command: str, found: Any) -> str:
    """Return the result of a command in one line, from its JSON document."""
    clips = counted(found["clips"], "clip")
    if command == "validate":
        return f"checked {clips}: {found['flagged']:,} flagged"
    parts = [f"{found[name]:,} {name}" for name in ("new", "changed", "moved", "gone") if found[name]]
    return f"scanned {clips}: {', '.join(parts) or 'nothing changed'}"
