"""Find packed clips whose text lacks marks of their transcripts, as after packing for a model of another family."""

from __future__ import annotations

from fishtui.dataset import clip_named, is_inside
from fishtui.errors import DataError
from fishtui.families.family import Family
from fishtui.project import Project
from fishtui.runs.reporter import Reporter
from fishtui.settings import Settings
from fishtui.shards.packed import read_manifest
from fishtui.wording import counted


def warn_of_lost_marks(project: Project, settings: Settings, family: Family, reporter: Reporter) -> None:
    """Report packed clips that lack marks which the model reads. Raises DataError if the manifest is damaged.

    Clips without a transcript, such as those of which only the shards are left, are not compared.
    """
    if not family.has_marks:
        return
    data, extension = project.path(settings.paths.data), settings.pack.text_extension
    found: list[tuple[str, str]] = []
    for entry in read_manifest(project.path(settings.paths.protos)):
        if not is_inside(entry["clip"]):
            continue
        try:
            transcript = clip_named(data, entry["clip"], extension).read_transcript()
        except (DataError, OSError):
            continue
        found += [(entry["clip"], mark) for mark in family.lost(transcript, entry["text"])[:1]]
    if found:
        clip, mark = found[0]
        reporter.warning(
            f"the shards lack tags of {counted(len(found), 'transcript')}, such as {mark} in {clip}, because they "
            "were packed for another model or before a change: pack again with `fishtui pack`"
        )
