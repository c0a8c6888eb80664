"""The reference that the pipeline chooses."""

from __future__ import annotations

from fishtui.pipeline.state import ProjectState
from fishtui.project import Project
from fishtui.runs.reporter import Reporter
from fishtui.settings import Settings


def default_reference(project: Project, settings: Settings) -> str:
    """Return the path of the recording that the pipeline takes as its reference, or an empty string without one."""
    found = ProjectState(project, settings, Reporter(), dry=True).reference
    return project.shown(found[0]) if found else ""
