"""The state of a project for one decision about its steps."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from fishtui.catalog.store import Catalog
from fishtui.checkpoint import CheckpointFolder
from fishtui.dataset import Clip, clip_named, find_clips, is_inside, transcript_of
from fishtui.errors import DataError
from fishtui.filehashes import FileHashes
from fishtui.pipeline.hashes import Sum, sum_of
from fishtui.project import Project
from fishtui.results.checkpoints import Checkpoint, best_checkpoint, list_checkpoints
from fishtui.runs.reporter import Reporter
from fishtui.settings import Settings
from fishtui.shards.packed import MANIFEST, read_manifest
from fishtui.shards.split import VALIDATION
from fishtui.stages.excluded import excluded
from fishtui.stages.refresh import refresh_catalog

# A reference describes a voice best at about this many frames of codes: eight seconds.
IDEAL_FRAMES = 172


class _Row(NamedTuple):
    """Hashes and text of a clip's files in the catalog; None for a file that is missing or unreadable."""

    name: str
    audio: str | None
    text: str | None
    codes: str | None


class ProjectState:
    """Reads each part of a project on first use, and the dataset at most once.

    The catalog is refreshed as every stage does; with `dry` the catalog of the project `cataloged` is read without a
    refresh, and nothing is written. Missing and damaged files count as absent: the stage reports them.
    """

    def __init__(
        self,
        project: Project,
        settings: Settings,
        reporter: Reporter,
        dry: bool = False,
        cataloged: Project | None = None,
    ) -> None:
        self.project = project
        self._cataloged = cataloged or project
        self.settings = settings
        self.data = project.path(settings.paths.data)
        self.protos = project.path(settings.paths.protos)
        self.base = CheckpointFolder(project.path(settings.paths.checkpoint))
        self.results = project.results / settings.run.name
        self.merged = CheckpointFolder(project.merged(self.base.path, settings.run.name))
        self._reporter = reporter
        self._dry = dry
        self._fresh = dry
        self._hashes = FileHashes(project.file_hashes)

    def files(self, paths: Iterable[Path]) -> Sum:
        """Return the sum of those `paths` that are files, by their names."""
        return sum_of((path.name, found) for path in paths if (found := self._hashes.find(path)) is not None)

    def save(self) -> None:
        """Save the hashes of files, unless this is a dry run. Raises FishtuiError."""
        if not self._dry:
            self._hashes.save()

    def unwanted(self, tolerated: Collection[str] = (), stale_codes: bool = True, drafts: bool = True) -> set[str]:
        """Return the names of clips that take no part in a step; see `stages.excluded.excluded`."""
        self._refresh()
        return set(
            excluded(
                self._cataloged,
                self.settings,
                self.data,
                tolerated=tolerated,
                stale_codes=stale_codes,
                drafts=drafts,
            )
        )

    def _refresh(self) -> None:
        """Refresh the catalog, once."""
        if not self._fresh:
            refresh_catalog(self._cataloged, self.settings, self._reporter, self.data)
            self._fresh = True

    def recordings(self) -> Sum:
        """Return the sum of the dataset's recordings."""
        return sum_of((row.name, row.audio) for row in self._rows if row.audio is not None)

    def transcripts(self) -> Sum:
        """Return the sum of the dataset's transcripts."""
        return sum_of((row.name, row.text) for row in self._rows if row.text is not None)

    def codes(self) -> Sum:
        """Return the sum of the dataset's codes."""
        return sum_of((row.name, row.codes) for row in self._rows if row.codes is not None)

    @cached_property
    def _rows(self) -> list[_Row]:
        self._refresh()
        if not self.data.is_dir() or not self._cataloged.catalog.exists():
            return []
        with Catalog(self._cataloged, self.data) as catalog:
            rows = catalog.query("SELECT name, audio_hash, text, codes_hash FROM clips WHERE gone IS NULL")
        return [_Row(*row) for row in rows]

    def source(self) -> Sum:
        """Return the sum of the recordings to normalize and their transcripts."""
        folder = self.project.path(self.settings.run.source)
        clips = find_clips(folder, self.settings.pack.text_extension) if folder.is_dir() else []
        paths = (path for clip in clips for path in (*clip.audio, *([clip.transcript] if clip.has_text else [])))
        found = ((path.relative_to(folder).as_posix(), self._hashes.find(path)) for path in paths)
        return sum_of((name, content) for name, content in found if content is not None)

    def has_dataset(self) -> bool:
        """Return true if the dataset holds any recording."""
        extension = self.settings.pack.text_extension
        return self.data.is_dir() and any(clip.files for clip in find_clips(self.data, extension))

    def shards(self) -> Sum:
        """Return the sum of the packed shards and their manifest."""
        return self.files([*self.protos.glob("*.protos"), self.protos / MANIFEST])

    @cached_property
    def manifest(self) -> list[Any]:
        """The manifest's entries, one per packed clip; empty if it cannot be read."""
        try:
            return read_manifest(self.protos)
        except (DataError, OSError):
            return []

    def checkpoints(self) -> list[Checkpoint]:
        """Return the training's checkpoints, by step."""
        return list_checkpoints(self.results / "checkpoints")

    def trained(self) -> Sum:
        """Return the sum of the checkpoint with the lowest validation loss, which an evaluation does not change."""
        saved = self.checkpoints()
        return self.files([(best_checkpoint(saved) or saved[-1]).path] if saved else [])

    @cached_property
    def to_merge(self) -> Checkpoint | None:
        """The checkpoint that merge takes; None without any."""
        if not self.checkpoints():
            return None
        # Imported here: most steps need nothing of evaluations.
        from fishtui.evaluation.choice import choose_to_merge

        return choose_to_merge(self.results, hash_adapter=self._hashes.find).checkpoint

    def chosen(self) -> Sum:
        """Return the sum of the checkpoint that merge takes."""
        return self.files([self.to_merge.path] if self.to_merge else [])

    def results_identity(self) -> str:
        """Return an identity of the training's folder that a later folder of the same name does not share."""
        try:
            status = self.results.stat()
        except OSError:
            return ""
        return f"{status.st_dev}:{status.st_ino}"

    @cached_property
    def reference(self) -> tuple[Path, Path] | None:
        """The reference recording of synthesize and its transcript.

        It is the one in the settings, or else the held-out clip of the best length; None without any.
        """
        if self.settings.run.reference:
            path = self.project.path(self.settings.run.reference)
            return path, transcript_of(path, self.settings.pack.text_extension)
        held_out = [entry for entry in self.manifest if entry["split"] == VALIDATION and is_inside(entry["clip"])]
        for entry in sorted(held_out, key=lambda entry: (abs(entry["frames"] - IDEAL_FRAMES), entry["clip"])):
            clip = clip_named(self.data, entry["clip"], self.settings.pack.text_extension)
            if _is_readable(clip):
                return clip.audio[0], clip.transcript
        return None

    def voice(self) -> Sum:
        """Return the sum of the reference and its transcript."""
        return self.files(self.reference or ())


def _is_readable(clip: Clip) -> bool:
    try:
        clip.single_audio()
        clip.read_transcript()
    except DataError:
        return False
    return True
