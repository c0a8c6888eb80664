"""Commands on the model: train, merge, export, synthesize. A stage is imported in its own process only."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from fishtui.cli.options import Session, shared
from fishtui.cli.settingoptions import setting
from fishtui.errors import MisuseError
from fishtui.families.registry import known_templates
from fishtui.project import merged_folder

if TYPE_CHECKING:
    from fishtui.runs.ledger import Ledger
    from fishtui.runs.reporter import Reporter
    from fishtui.training.lora import LoraSpec

FOLDER = click.Path(file_okay=False, path_type=Path)
ANY_PATH = click.Path(path_type=Path)
TEMPLATE = click.Choice(known_templates())


@click.command()
@click.argument("name")
@click.option("--resume", is_flag=True, help="Go on from the newest checkpoint, if there is one.")
@click.option("--restart", is_flag=True, help="Move earlier results aside and begin anew.")
@setting("--method", "train.method")
@setting("--lora", "train.lora")
@setting("--batch-size", "train.batch_size")
@setting("--accumulate", "train.accumulate")
@setting("--max-steps", "train.max_steps")
@setting("--learning-rate", "train.learning_rate")
@setting("--device", "train.device")
@setting("--devices", "train.devices")
@setting("--nodes", "train.nodes")
@setting("--strategy", "train.strategy")
@shared(stage=True)
def train(session: Session, name: str, resume: bool, restart: bool) -> int:
    """Fine-tune the model on the packed clips, into results/NAME.

    By default the model learns how the voice speaks, less so how it sounds: keep giving a reference when you
    synthesize. More steps learn the sound too, and risk overfitting.
    """
    if resume and restart:
        raise MisuseError("--resume with --restart", "Give only one of the two.", code="conflicting-options")
    from fishtui.results.checkpoints import check_no_checkpoints

    values = session.settings.values
    # Now, and not when its turn has come.
    check_no_checkpoints(session.project.results / name, resume, restart)

    def stage(reporter: Reporter, *, dry_run: bool) -> Ledger:
        from fishtui.stages.train import train

        return train(session.project, values, reporter, name=name, resume=resume, restart=restart, dry_run=dry_run)

    return session.run("train", stage, name=name, resume=resume, restart=restart)


@click.command()
@click.argument("name", required=False)
@click.option("--step", type=int, help="That step's checkpoint of NAME, instead of the best.")
@click.option("--base", type=FOLDER, help="The checkpoint folder that was trained on.")
@click.option("--adapter", type=ANY_PATH, help="A checkpoint, a peft folder, or a file of the older public tool.")
@click.option("--output", type=FOLDER, help="The new checkpoint folder.")
@click.option("--template", type=TEMPLATE, help="The prompt to synthesize with, if not the adapter's own.")
@setting("--lora", "train.lora")
@shared(stage=True)
def merge(
    session: Session,
    name: str | None,
    step: int | None,
    base: Path | None,
    adapter: Path | None,
    output: Path | None,
    template: str | None,
) -> int:
    """Merge training NAME, or any --adapter, into its base.

    Takes the best checkpoint of NAME, or that of --step, and proves that the merged model computes what base + adapter
    does.
    """
    base = session.path(base, session.settings.values.paths.checkpoint)
    adapter = _adapter(session, name, step, adapter)
    target = output if output is not None else merged_folder(base, name or adapter.stem)

    def stage(reporter: Reporter, *, dry_run: bool) -> Ledger:
        from fishtui.stages.merge import merge

        return merge(
            session.project,
            reporter,
            base=base,
            adapter=adapter,
            output=target,
            preset=_preset(session),
            template=template,
            dry_run=dry_run,
        )

    return session.run("merge", stage, base=base, adapter=adapter, output=target, template=template)


@click.command()
@click.argument("name", required=False)
@click.option("--step", type=int, help="That step's checkpoint of NAME, instead of the best.")
@click.option("--adapter", type=ANY_PATH, help="A checkpoint, or a file of the older public tool.")
@click.option("--output", type=FOLDER, required=True, help="The peft folder to write.")
@setting("--lora", "train.lora")
@shared(stage=True)
def export(session: Session, name: str | None, step: int | None, adapter: Path | None, output: Path) -> int:
    """Write training NAME, or any --adapter, as a peft folder."""
    adapter = _adapter(session, name, step, adapter)

    def stage(reporter: Reporter, *, dry_run: bool) -> Ledger:
        from fishtui.stages.merge import export

        return export(
            session.project, reporter, adapter=adapter, output=output, preset=_preset(session), dry_run=dry_run
        )

    return session.run("export", stage, adapter=adapter, output=output)


@click.command()
@click.option("--checkpoint", type=FOLDER, help="A merged checkpoint folder, or the base.")
@click.option("--adapter", type=ANY_PATH, help="An adapter to put on the checkpoint.")
@click.option("--text", "texts", multiple=True, help="What to say; may be given several times.")
@click.option("--text-file", type=click.Path(dir_okay=False, path_type=Path), help="One text a line.")
@click.option("--reference", "references", type=ANY_PATH, multiple=True, help="A recording of the voice, or its codes.")
@click.option("--reference-text", "reference_texts", multiple=True, help="Its transcript; else the .lab beside it.")
@click.option("--template", type=TEMPLATE, help="The prompt, if not the checkpoint's own.")
@click.option("--output", type=ANY_PATH, default=Path("speech.wav"), help="A wav file. [speech.wav]")
@setting("--temperature", "synthesize.temperature")
@setting("--top-p", "synthesize.top_p")
@setting("--repetition-penalty", "synthesize.repetition_penalty")
@setting("--max-seconds", "synthesize.max_seconds")
@setting("--seed", "synthesize.seed")
@setting("--device", "synthesize.device")
@setting("--compile", "synthesize.compile")
@setting("--lora", "train.lora")
@shared(stage=True)
def synthesize(
    session: Session,
    checkpoint: Path | None,
    adapter: Path | None,
    texts: tuple[str, ...],
    text_file: Path | None,
    references: tuple[Path, ...],
    reference_texts: tuple[str, ...],
    template: str | None,
    output: Path,
) -> int:
    """Speak a text, in the voice of references."""
    values = session.settings.values
    checkpoint = session.path(checkpoint, values.paths.checkpoint)
    sentences = [*texts, *_lines(text_file)]
    if not any(text.strip() for text in sentences):
        raise MisuseError("no text to synthesize", "Give --text or --text-file.", code="missing-option")
    voices = _references(references, reference_texts)

    def stage(reporter: Reporter, *, dry_run: bool) -> Ledger:
        from fishtui.stages.synthesize import Request, synthesize

        request = Request(
            checkpoint=checkpoint,
            texts=[text for text in sentences if text.strip()],
            output=output,
            preset=_preset(session),
            adapter=adapter,
            references=voices,
            resampler=values.extract.resampler,
            template=template,
        )
        return synthesize(session.project, values.synthesize, reporter, request, dry_run=dry_run)

    return session.run("synthesize", stage, checkpoint=checkpoint, adapter=adapter, texts=sentences, output=output)


def _adapter(session: Session, name: str | None, step: int | None, adapter: Path | None) -> Path:
    from fishtui.results.checkpoints import choose_checkpoint

    if (name is None) == (adapter is None):
        raise MisuseError("a training's NAME or --adapter is required", "Give one of the two.", code="choose-one")
    return adapter if adapter is not None else choose_checkpoint(session.project.results / str(name), step).path


def _preset(session: Session) -> LoraSpec:
    from fishtui.training.lora import parse_preset

    return parse_preset(session.settings.values.train.lora)


def _lines(path: Path | None) -> list[str]:
    if path is None:
        return []
    from fishtui.wording import cannot_read

    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise cannot_read(path, error, MisuseError) from error


def _references(paths: tuple[Path, ...], texts: tuple[str, ...]) -> list[tuple[Path, str]]:
    from fishtui.dataset import TEXT_EXTENSION, read_transcript
    from fishtui.errors import DataError

    if len(texts) > len(paths) or (texts and len(texts) < len(paths)):
        raise MisuseError(
            f"{len(paths)} references, {len(texts)} reference texts",
            "Give each --reference a --reference-text, or none of them.",
            code="reference-texts",
        )
    if missing := [path for path in paths if not path.exists()]:
        raise MisuseError(f"{missing[0]}: no such reference", "Give a recording, or its codes.", code="no-reference")
    if texts:
        return list(zip(paths, texts, strict=True))
    try:
        return [(path, read_transcript(path.with_suffix(TEXT_EXTENSION))) for path in paths]
    except DataError as error:
        problem = f"no transcript for a reference: {error.problem}"
        raise MisuseError(problem, "Give --reference-text.", code="no-transcript") from error
