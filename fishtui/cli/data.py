"""Commands on the dataset: normalize, extract, pack. A stage is imported in its own process only."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from fishtui.checkpoint import CheckpointFolder
from fishtui.cli.options import Session, shared
from fishtui.cli.settingoptions import setting

if TYPE_CHECKING:
    from fishtui.runs.ledger import Ledger
    from fishtui.runs.reporter import Reporter

FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command()
@click.argument("source", type=FOLDER, metavar="SRC")
@click.argument("target", type=FOLDER, metavar="DST")
@click.option("--clean", is_flag=True, help="Empty DST first; SRC is only ever read.")
@setting("--loudness", "normalize.loudness")
@setting("--peak", "normalize.peak")
@setting("--workers", "normalize.workers")
@shared(stage=True)
def normalize(session: Session, source: Path, target: Path, clean: bool) -> int:
    """Bring all clips to one loudness, from SRC to DST.

    Transcripts are carried along; format and sample rate stay. Silent and damaged clips are named and left out.
    """
    values = session.settings.values.normalize

    def stage(reporter: Reporter, *, dry_run: bool) -> Ledger:
        from fishtui.stages.normalize import normalize

        return normalize(session.project, values, reporter, source=source, target=target, clean=clean, dry_run=dry_run)

    return session.run("normalize", stage, source=source, target=target, clean=clean)


@click.command()
@click.argument("data", type=FOLDER, required=False)
@click.option("--checkpoint", type=click.Path(dir_okay=False, path_type=Path), help="The codec's file.")
@setting("--batch-size", "extract.batch_size")
@setting("--workers", "extract.workers")
@setting("--device", "extract.device")
@setting("--precision", "extract.precision")
@setting("--devices", "extract.devices")
@setting("--nodes", "extract.nodes")
@shared(stage=True)
def extract(session: Session, data: Path | None, checkpoint: Path | None) -> int:
    """Make the codec's codes, clip.npy beside clip.wav.

    Codes that are up to date are left alone; those that are damaged or of another audio or codec are made again.
    """
    values = session.settings.values
    data = session.path(data, values.paths.data)
    codec = checkpoint or CheckpointFolder(session.project.path(values.paths.checkpoint)).codec_file

    def stage(reporter: Reporter, *, dry_run: bool) -> Ledger:
        from fishtui.stages.extract import extract

        return extract(session.project, values, reporter, data=data, checkpoint=codec, dry_run=dry_run)

    return session.run("extract", stage, data=data, checkpoint=codec)


@click.command()
@click.argument("data", type=FOLDER, required=False)
@click.option("--output", type=FOLDER, help="Where the shards go.")
@setting("--workers", "pack.workers")
@setting("--text-extension", "pack.text_extension")
@setting("--shard-size", "pack.shard_size")
@setting("--validation", "pack.validation")
@shared(stage=True)
def pack(session: Session, data: Path | None, output: Path | None) -> int:
    """Pack transcripts and codes into shards for training.

    Some clips are held out for validation; manifest.jsonl says where each clip went.
    """
    values = session.settings.values
    data = session.path(data, values.paths.data)
    output = session.path(output, values.paths.protos)

    def stage(reporter: Reporter, *, dry_run: bool) -> Ledger:
        from fishtui.stages.pack import pack

        return pack(session.project, values, reporter, data=data, output=output, dry_run=dry_run)

    return session.run("pack", stage, data=data, output=output)
