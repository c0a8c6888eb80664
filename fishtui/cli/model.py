"""Stage commands that prepare their arguments; a stage itself is imported only in its own process."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from fishtui.bases import find_base_of
from fishtui.checkpoint import CheckpointFolder
from fishtui.cli.session import Session
from fishtui.errors import DONE, PARTIAL, MisuseError

if TYPE_CHECKING:
    from fishtui.runs.ledger import Ledger
    from fishtui.runs.reporter import Reporter
    from fishtui.training.preset import LoraSpec


def extract(session: Session, data: Path | None, checkpoint: Path | None) -> int:
    """Run `fishtui extract`."""
    values = session.settings.values
    data = session.path(data, values.paths.data)
    codec = checkpoint or CheckpointFolder(session.project.path(values.paths.checkpoint)).codec_file

    def stage(reporter: Reporter, *, dry_run: bool) -> Ledger:
        from fishtui.stages.extract import extract

        return extract(session.project, values, reporter, data=data, checkpoint=codec, dry_run=dry_run)

    return session.run("extract", stage, data=data, checkpoint=codec)


def train(session: Session, name: str, resume: bool, restart: bool) -> int:
    """Run `fishtui train`."""
    if resume and restart:
        raise MisuseError("--resume with --restart", "Give only one of the two.", code="conflicting-options")
    from fishtui.results.checkpoints import check_no_checkpoints

    values = session.settings.values
    # Refuse at launch, not when the queued run begins.
    check_no_checkpoints(session.project.results / name, resume, restart)

    def stage(reporter: Reporter, *, dry_run: bool) -> Ledger:
        from fishtui.stages.train import train

        return train(session.project, values, reporter, name=name, resume=resume, restart=restart, dry_run=dry_run)

    return session.run("train", stage, name=name, resume=resume, restart=restart)


def evaluate(
    session: Session, name: str, steps: tuple[int, ...], no_base: bool, no_reference: bool, report: Path | None
) -> int:
    """Run `fishtui evaluate`."""
    arguments: dict[str, Any] = {
        "name": name,
        "steps": list(steps),
        "no_base": no_base,
        "no_reference": no_reference,
        "report": report.absolute() if report is not None else None,
    }

    def stage(reporter: Reporter, *, dry_run: bool) -> Ledger:
        from fishtui.stages.evaluate import evaluate

        return evaluate(session.project, session.settings.values, reporter, dry_run=dry_run, **arguments)

    status = session.run("evaluate", stage, **arguments)
    if session.as_json and status in (DONE, PARTIAL) and not (session.dry_run or session.detach or session.is_adopted):
        _print_verdict(session.project.results / name)
    return status


def _print_verdict(results: Path) -> None:
    from fishtui.cli import output
    from fishtui.evaluation.outcome import read_outcome
    from fishtui.evaluation.verdict import verdict_dict

    output.document(verdict_dict(read_outcome(results).verdict))


def merge(
    session: Session,
    name: str | None,
    step: int | None,
    base: Path | None,
    adapter: Path | None,
    output: Path | None,
    template: str | None,
    force: bool,
) -> int:
    """Run `fishtui merge`."""
    from fishtui.results.merged import check_replaceable

    adapter, reason = _adapter(session, name, step, adapter)
    base = _base(session, base, adapter)
    target = output if output is not None else session.project.merged(base, name or adapter.stem)
    # Refuse at launch, not when the queued run begins.
    check_replaceable(session.project, target, adapter, force)

    def stage(reporter: Reporter, *, dry_run: bool) -> Ledger:
        from fishtui.stages.merge import merge

        _note(reporter, reason)
        return merge(
            session.project,
            reporter,
            base=base,
            adapter=adapter,
            output=target,
            preset=_preset(session),
            template=template,
            force=force,
            dry_run=dry_run,
        )

    return session.run("merge", stage, base=base, adapter=adapter, output=target, template=template)


def export(
    session: Session, name: str | None, step: int | None, adapter: Path | None, output: Path, force: bool
) -> int:
    """Run `fishtui export`."""
    from fishtui.results.adapters import check_export

    adapter, reason = _adapter(session, name, step, adapter)
    base = CheckpointFolder(_base(session, None, adapter))
    check_export(output, force)

    def stage(reporter: Reporter, *, dry_run: bool) -> Ledger:
        from fishtui.stages.merge import export

        _note(reporter, reason)
        return export(
            session.project,
            reporter,
            adapter=adapter,
            output=output,
            preset=_preset(session),
            family=base.family_or_default,
            force=force,
            dry_run=dry_run,
        )

    return session.run("export", stage, adapter=adapter, output=output)


def synthesize(
    session: Session,
    checkpoint: Path | None,
    adapter: Path | None,
    texts: tuple[str, ...],
    text_file: Path | None,
    references: tuple[Path, ...],
    reference_texts: tuple[str, ...],
    template: str | None,
    output: Path | None,
    force: bool,
) -> int:
    """Run `fishtui synthesize`."""
    from fishtui.results.speechfiles import speech_files

    values = session.settings.values
    checkpoint = _base(session, checkpoint, adapter)
    sentences = [text for text in (*texts, *_lines(text_file)) if text.strip()]
    if not sentences:
        raise MisuseError("no text to synthesize", "Give --text or --text-file.", code="missing-option")
    voices = _references(references, reference_texts, values.pack.text_extension)
    files = speech_files(output, len(sentences), force)
    # Refuse at launch, not when the queued run begins.
    files.check()

    def stage(reporter: Reporter, *, dry_run: bool) -> Ledger:
        from fishtui.stages.synthesize import Request, synthesize

        request = Request(
            checkpoint=checkpoint,
            texts=sentences,
            files=files,
            preset=_preset(session),
            adapter=adapter,
            references=voices,
            resampler=values.extract.resampler,
            template=template,
        )
        return synthesize(session.project, values.synthesize, reporter, request, dry_run=dry_run)

    return session.run(
        "synthesize",
        stage,
        checkpoint=checkpoint,
        adapter=adapter,
        texts=sentences,
        output=files.first,
        template=template,
    )


def _adapter(session: Session, name: str | None, step: int | None, adapter: Path | None) -> tuple[Path, str]:
    """Return the adapter to use, and the rule that chose it in words, empty if it was named."""
    from fishtui.evaluation.choice import choose_to_merge

    if (name is None) == (adapter is None):
        raise MisuseError("a training's NAME or --adapter is required", "Give one of the two.", code="choose-one")
    if adapter is not None:
        return adapter, ""
    choice = choose_to_merge(session.project.results / str(name), step)
    return choice.checkpoint.path, "" if choice.rule == "step" else f"chose {choice.reason}"


def _base(session: Session, given: Path | None, adapter: Path | None) -> Path:
    """Return the model folder that was given, or the pretrained model of the adapter, or that of the settings."""
    return given or find_base_of(session.project, adapter, session.settings.values.paths.checkpoint)


def _note(reporter: Reporter, text: str) -> None:
    if text:
        reporter.note(text)


def _preset(session: Session) -> LoraSpec:
    from fishtui.training.preset import parse_preset

    return parse_preset(session.settings.values.train.lora)


def _lines(path: Path | None) -> list[str]:
    if path is None:
        return []
    from fishtui.files import decode_text
    from fishtui.reading import CONFIG, Damaged, read_bounded
    from fishtui.wording import cannot_read

    try:
        return decode_text(read_bounded(path, CONFIG)).splitlines()
    except (OSError, Damaged, UnicodeDecodeError) as error:
        raise cannot_read(path, error, MisuseError) from error


def _references(paths: tuple[Path, ...], texts: tuple[str, ...], text_extension: str) -> list[tuple[Path, str]]:
    from fishtui.dataset import read_transcript, transcript_of
    from fishtui.errors import DataError

    if texts and len(texts) != len(paths):
        raise MisuseError(
            f"{len(paths)} references, {len(texts)} reference texts",
            "Give each --reference a --reference-text, or none of them.",
            code="reference-texts",
        )
    if missing := [path for path in paths if not path.exists()]:
        raise MisuseError(
            f"{missing[0]}: no such reference",
            "Give the path of a recording, or of its codes (.npy).",
            code="no-reference",
        )
    if texts:
        return list(zip(paths, texts, strict=True))
    try:
        return [(path, read_transcript(transcript_of(path, text_extension))) for path in paths]
    except DataError as error:
        problem = f"no transcript for a reference: {error.problem}"
        raise MisuseError(problem, "Give --reference-text.", code="no-transcript") from error
