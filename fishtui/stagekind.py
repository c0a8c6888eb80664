"""The description of a stage: its command, settings, place in the pipeline and needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["text", "integer", "flag", "folder", "file", "path", "stage", "template", "filter"]


@dataclass(frozen=True)
class Argument:
    """An argument of a stage's command, or with `option` (`--output`) an option.

    `setting` names the setting that applies if it is not given, `default` a fixed value. A `stage` is the name of a
    stage in the pipeline, a `template` the name of a prompt, a `filter` selects clips. Without `is_in_form` only the
    command line offers it.
    """

    name: str
    help: str
    option: str = ""
    kind: Kind = "text"
    required: bool = False
    many: bool = False
    default: str | None = None
    setting: str = ""
    metavar: str | None = None
    is_in_form: bool = True


@dataclass(frozen=True)
class Stage:
    """One stage. Its own settings are those of the section with its name.

    `summary` is one line, `details` the rest of the command's help. `function` is `module:function`, called as
    `function(project, settings, reporter, dry_run=…, **arguments)`, and returns a ledger; an argument that is not given
    has the value of its setting, a path relative to the project. `requires` is `module:function`, called before a
    launch with the same arguments, without the reporter; it raises FishtuiError for a wrong call, and is light and
    fast. A stage whose arguments need preparation names a `command` instead, `module:function`, called as
    `command(session, **arguments)`, which returns an exit status. `options` are settings with an option of their own;
    `also` are settings of other sections that it follows. A stage with `is_in_pipeline` is run by `fishtui run`; `step`
    is `module:constant`, its step there, if more than its settings and code decide whether it is up to date. `product`
    is the role of the artifacts whose paths are shown when a run ends. Without a terminal, progress is shown in lines
    if `has_progress_lines`. `locks` returns, from the arguments, the names that only one run at a time may hold; by
    default a stage runs once at a time, and with `is_parallel` any number of times. `waits_for_processor` is false for
    stages that wait for the network or for other runs. A stage that `resumes` has options --resume and --restart, and
    continues where it stopped when its run is started again.
    """

    name: str
    summary: str = ""
    details: str = ""
    function: str = ""
    requires: str = ""
    command: str = ""
    arguments: tuple[Argument, ...] = ()
    options: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    is_in_pipeline: bool = False
    step: str = ""
    product: str = ""
    has_progress_lines: bool = False
    is_parallel: bool = False
    locks: Callable[[Mapping[str, Any]], tuple[str, ...]] | None = None
    waits_for_processor: bool = True
    resumes: bool = False

    @property
    def help(self) -> str:
        """The command's help."""
        return f"{self.summary}\n\n{self.details}".strip()

    def held(self, arguments: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the names of the locks that a run with these arguments holds."""
        if self.locks is not None:
            return self.locks(arguments)
        return () if self.is_parallel else (self.name,)
