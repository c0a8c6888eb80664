"""import: clips from another layout, into the project's dataset."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from fishtui.errors import DataError, FishtuiError, MisuseError
from fishtui.files import hash_file, refuse_full_disk, require_space
from fishtui.importers.cutting import cut_clips, is_written
from fishtui.importers.destination import (
    Destination,
    LocatedClip,
    SpeakerFolder,
    TargetDataset,
    TransferMode,
    has_text,
    transfer,
)
from fishtui.importers.layout import Columns
from fishtui.importers.source import Understood, understand
from fishtui.names import speaker_folders
from fishtui.project import Project
from fishtui.runs.ledger import Ledger
from fishtui.runs.reporter import Reporter
from fishtui.settings import Settings
from fishtui.wording import counted, shortened

# Layouts whose texts a recognizer wrote.
RECOGNIZED_LAYOUTS = ("whisper",)
# Begins the reason for skipping clips that an import has written before.
ALREADY = "already imported"
# Recordings that a warning names.
MOST_SHOWN = 3


@dataclass(frozen=True, slots=True)
class _Planned:
    """A clip, its place in the source and in the dataset."""

    where: str
    clip: LocatedClip
    destination: Destination

    @property
    def name(self) -> str:
        return f"{self.clip.speaker}/{self.destination.audio.stem}"


def import_clips(
    project: Project,
    reporter: Reporter,
    *,
    source: Path,
    data: Path,
    layout: str | None = None,
    columns: Columns | None = None,
    speaker: str | None = None,
    audio_root: Path | None = None,
    mode: TransferMode = "auto",
    text_extension: str = ".lab",
    accepts_guesses: bool = True,
    settings: Settings | None = None,
    dry_run: bool = False,
) -> Ledger:
    """Import the clips of `source`, a table or folder, into `data` as SPEAKER/clip with its transcript.

    `layout` is a key of `LAYOUTS`, None to detect it; `columns` names or numbers the columns by their meaning;
    `speaker` replaces the speakers named in the source; recordings are searched below `audio_root` instead of the
    table's folder; `text_extension` is that of transcripts in the dataset. Clips that were imported before are skipped,
    nothing is overwritten, and nothing is written outside `data`. With `settings` the imported clips are scanned.
    Unless it `accepts_guesses`, those that are not certain are an error. Raises MisuseError if the layout is unknown,
    or the source is inside `data`; DataError if the source cannot be read; FishtuiError if the disk is full.
    """
    found = understand(
        source,
        data=data,
        layout=layout,
        columns=columns,
        speaker=speaker,
        audio_root=audio_root,
        text_extension=text_extension,
    )
    if found.doubts and not accepts_guesses:
        raise uncertain(found)
    ledger = Ledger(failed=list(found.failed), skipped=[*found.omitted, *found.repeated])
    dataset = TargetDataset(data, _replaced(project, data), text_extension)
    wanted = found.clips
    if not dry_run and any(clip.loose for clip in wanted):
        from fishtui.importers.settling import settle

        wanted = settle(wanted, project.activities, (settings or Settings()).slice, ledger, reporter)
    folders = speaker_folders(clip.speaker for clip in wanted)
    speakers = [folders[clip.speaker] for clip in wanted]
    if dry_run:
        whole = [(each, name) for each, name in zip(wanted, speakers, strict=True) if not is_written(each)]
        ledger.done += len(wanted) - len(whole)
        clips = [(clip.where, LocatedClip(clip.audio, name, clip.text)) for clip, name in whole]
        _transfer_all(_plan(clips, dataset, ledger), mode, dry_run, ledger, reporter)
    else:
        with cut_clips(wanted, speakers, project.state / "cuts", ledger) as clips:
            if found.layout in RECOGNIZED_LAYOUTS:
                _mark_drafts(project, data, settings, [clip for _, clip in clips], found.layout)
            _transfer_all(_plan(clips, dataset, ledger), mode, dry_run, ledger, reporter)
            _record_cuts(project, reporter, data, settings, [clip for _, clip in clips])
    ledger.counts |= found.counts
    if found.unnamed:
        ledger.counts["recordings_in_no_row"] = len(found.unnamed)
        shown = ", ".join(shortened(name) for name in found.unnamed[:MOST_SHOWN])
        reporter.warning(f"{counted(len(found.unnamed), 'recording')} without text in {found.path.name}: {shown}")
    if found.shared:
        shown = ", ".join(found.shared[:MOST_SHOWN])
        reporter.warning(f"folders of one name with different parents stay apart: {shown}; --speaker joins them")
    if found.joined:
        shown = ", ".join(found.joined[:MOST_SHOWN])
        reporter.warning(f"folders named as parts count as one speaker: {shown}; rename them if the people differ")
    if found.missing:
        missing = counted(found.missing, "recording")
        reporter.warning(f"{missing} not found: name their folder with --audio-root")
    if not dry_run:
        _conclude(project, reporter, data, settings, ledger)
    return ledger


def uncertain(found: Understood) -> MisuseError:
    """Return the error for guesses that are not certain; code `uncertain-import`."""
    return MisuseError(
        f"{found.path}: {'; '.join(found.doubts)}",
        "View the first clips with --dry-run; then choose with --column or --layout, or accept with --yes.",
        code="uncertain-import",
    )


def _record_cuts(
    project: Project, reporter: Reporter, data: Path, settings: Settings | None, clips: Sequence[LocatedClip]
) -> None:
    """Store the place of each part in its recording, by the hash of its audio."""
    cut = [clip for clip in clips if clip.origin and clip.part]
    if not cut or not _is_dataset(project, data, settings):
        return
    from fishtui.audio.source import open_source
    from fishtui.catalog.cuts import Cut, identify, record_cuts
    from fishtui.catalog.store import Catalog

    parts: dict[Path, list[tuple[str, float, float]]] = defaultdict(list)
    for clip in cut:
        if clip.origin and clip.part:
            parts[clip.origin].append((hash_file(clip.source), *clip.part))
    with Catalog(project, project.path(settings.paths.data) if settings else data) as catalog:
        for origin, own in parts.items():
            try:
                with open_source(origin) as recording:
                    source = identify(origin, recording.seconds)
            except DataError as error:
                reporter.warning(f"the places of clips in it are not kept: {error.problem}", str(origin))
                continue
            record_cuts(catalog, source, ((audio, Cut(source.hash, start, end)) for audio, start, end in own))


def _mark_drafts(
    project: Project, data: Path, settings: Settings | None, clips: Sequence[LocatedClip], recognizer: str
) -> None:
    """Record the texts of clips as drafts, before they are written: a recognizer wrote them, and nobody read them."""
    if not clips or settings is None or not _is_dataset(project, data, settings):
        return
    from fishtui.catalog.recognitions import Draft, store_drafts
    from fishtui.catalog.store import Catalog

    drafts = []
    for clip in clips:
        # The transfer reports a recording that cannot be read.
        with suppress(OSError):
            drafts.append(Draft(hash_file(clip.source), clip.text, recognizer, confidence=clip.confidence))
    with Catalog(project, project.path(settings.paths.data)) as catalog:
        store_drafts(catalog, drafts)


def _is_dataset(project: Project, data: Path, settings: Settings | None) -> bool:
    """Return True if clips were imported into the dataset of the project."""
    return settings is not None and data.resolve().is_relative_to(project.path(settings.paths.data).resolve())


def _conclude(project: Project, reporter: Reporter, data: Path, settings: Settings | None, ledger: Ledger) -> None:
    """Scan what was imported, now or before, and report it."""
    if not ledger.done:
        reporter.warning("nothing was imported")
    # An import that was interrupted has written clips that nothing has scanned.
    if not ledger.done and not any(each.reason.startswith(ALREADY) for each in ledger.skipped):
        return
    reporter.artifact("dataset", data)
    if settings and _is_dataset(project, data, settings):
        from fishtui.catalog.scan import scan
        from fishtui.catalog.store import Catalog

        with Catalog(project, project.path(settings.paths.data)) as catalog:
            scan(catalog, settings, reporter)
    if not ledger.done:
        return
    clips = counted(ledger.done, "clip")
    reporter.note(f"{clips} imported into {project.shown(data)}; check them with `fishtui validate`")


def _replaced(project: Project, data: Path) -> dict[str, set[str]]:
    """The hashes of content that edits replaced, by path, so that an edited clip is still recognized."""
    replaced: dict[str, set[str]] = defaultdict(set)
    if project.catalog.exists():
        from fishtui.catalog.store import Catalog

        with Catalog(project, data) as catalog:
            for path, content in catalog.query("SELECT path, before FROM history WHERE kind = 'file'"):
                replaced[path].add(content)
    return replaced


def _plan(clips: Iterable[tuple[str, LocatedClip]], dataset: TargetDataset, ledger: Ledger) -> list[_Planned]:
    """Return each clip with its destination, in order; enter clips with an unusable folder in the ledger."""
    usable: list[tuple[str, LocatedClip, SpeakerFolder]] = []
    for where, clip in clips:
        try:
            usable.append((where, clip, dataset.folder(clip.speaker)))
        except FishtuiError as error:
            ledger.fail(where, error.problem)
    existing = [folder.existing(clip) for _, clip, folder in usable]
    return [
        _Planned(where, clip, destination or folder.new(clip))
        for (where, clip, folder), destination in zip(usable, existing, strict=True)
    ]


def _transfer_all(
    planned: Sequence[_Planned], mode: TransferMode, dry_run: bool, ledger: Ledger, reporter: Reporter
) -> None:
    """Write the clips that the dataset does not have yet; enter all in the ledger, with counts by kind of transfer."""
    if planned and not dry_run:
        folder = planned[0].destination.audio.parent
        require_space(folder, sum(_size_of_copy(each, mode) for each in planned))
    kinds: Counter[str] = Counter()
    for number, each in enumerate(planned):
        destination = each.destination
        if destination.has_audio and destination.has_transcript:
            same = has_text(destination.transcript, each.clip.text)
            ledger.skip(each.name, ALREADY if same else f"{ALREADY}, with another transcript")
        elif dry_run:
            ledger.done += 1
        else:
            try:
                kinds[transfer(each.clip, destination, mode)] += 1
                ledger.done += 1
            except FishtuiError as error:
                refuse_full_disk(error, ledger.done)
                ledger.fail(each.where, error.problem)
        reporter.progress(number + 1, len(planned))
    ledger.counts = dict(kinds)


def _size_of_copy(planned: _Planned, mode: TransferMode) -> int:
    """Return the bytes that a clip's recording needs in the dataset; links need none."""
    source, target = planned.clip.source, planned.destination.audio
    if planned.destination.has_audio or mode in ("link", "symlink"):
        return 0
    # A recording that cannot be read fails by itself.
    with suppress(OSError):
        status = os.stat(source)
        folder = next(each for each in target.absolute().parents if each.is_dir())
        if mode == "copy" or status.st_dev != os.stat(folder).st_dev:
            return status.st_size
    return 0
