"""Every reader of files that come from elsewhere, each with a valid file."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import soundfile
import torch
from safetensors.torch import save_file

from fishtui.audio.measure import measure_file
from fishtui.catalog import lookup
from fishtui.catalog.actions import edit, review, undo
from fishtui.catalog.backup import export_reviews, import_reviews
from fishtui.catalog.details import read_details
from fishtui.catalog.findings import judge_all
from fishtui.catalog.history import history_of
from fishtui.catalog.scan import scan
from fishtui.catalog.store import Catalog
from fishtui.checkpoint import CheckpointFolder
from fishtui.codec import config as codec_config
from fishtui.codes import Journal, Provenance, read_codes
from fishtui.dataset import read_transcript
from fishtui.evaluation import blind
from fishtui.evaluation import record as evaluation_record
from fishtui.evaluation.blind import read_comparisons
from fishtui.evaluation.lines import read_own_lines
from fishtui.evaluation.record import read_evaluation
from fishtui.filehashes import FileHashes
from fishtui.importers.source import understand
from fishtui.importers.summary import summary_dict, summary_lines
from fishtui.pipeline.hashes import sum_of
from fishtui.pipeline.stamps import Evidence, Stamp, read_stamp, stamp_path, write_stamp
from fishtui.project import Project
from fishtui.results.adapters import PEFT_CONFIG
from fishtui.results.checkpoints import checkpoint_path, list_checkpoints, write_losses
from fishtui.results.merged import check_replaceable
from fishtui.results.samples import list_samples
from fishtui.results.trainings import Trainings
from fishtui.runs import record as records
from fishtui.runs.events import EventWriter, read_events
from fishtui.runs.reporter import Reporter
from fishtui.runs.state import LAUNCHED, read_runs, read_unfinished_runs
from fishtui.settings import Loaded, ScanSettings, Settings, load
from fishtui.settings.file import change
from fishtui.shards.packed import MANIFEST, read_manifest
from fishtui.shards.stream import read_sentences
from fishtui.tensorfiles.content import read_folder, write_shards
from fishtui.training.adapter import PEFT_WEIGHTS, read_adapter
from fishtui.training.origin import KEY, DataPosition, Origin
from fishtui.training.preset import LoraSpec
from fishtui.trust import trusted_file, trusted_folders
from fishtui.weights import read_tensors
from tests import builders
from tests.evaluation.builders import evaluated
from tests.golden_data import GOLDEN
from tests.importers.sources import FORMATS, Format

SPEC = LoraSpec(4, 8, ("attention",))
QUIET = Reporter()
PLAIN = Settings(scan=ScanSettings(workers=1))


@dataclass(frozen=True)
class Reader:
    """`write` makes valid files in a folder and returns the one to damage; `read` reads that file."""

    write: Callable[[Path], Path]
    read: Callable[[Path], object]


def _copy(*parts: str) -> Callable[[Path], Path]:
    """Copy the small files of the golden checkpoint's folder; damage the one that `parts` name."""

    def write(folder: Path) -> Path:
        source = GOLDEN.joinpath(*parts)
        for path in source.parent.iterdir():
            if path.is_file() and path.stat().st_size < 1 << 20:
                (folder / path.name).write_bytes(path.read_bytes())
        return folder / source.name

    return write


def _record(folder: Path) -> Path:
    record, run = records.create(Project(folder), "train", ["train"], Loaded(Settings()), {"name": "voice"})
    record.state = records.SUCCEEDED
    record.ledger = {"total": 1, "done": 0, "skipped": [], "failed": [{"item": "a/1", "reason": "no text"}]}  # type: ignore[typeddict-item]
    records.save(record, run)
    return run / "run.json"


def _launched(folder: Path) -> Path:
    record, run = records.create(Project(folder), "pack", ["pack"], Loaded(Settings()), {})
    records.save(record, run)
    (run / LAUNCHED).write_text('{"process": null, "job": "12", "failure": "no"}')
    return run / LAUNCHED


def _read_runs(path: Path) -> object:
    project = Project(path.parents[3])
    return read_unfinished_runs(project), read_runs(project), Trainings(project).read(project.checkpoints)


def _evaluation(folder: Path) -> Path:
    return evaluated(folder, {"base": 0.3, 100: 0.6}) / evaluation_record.FILE


def _comparisons(folder: Path) -> Path:
    evaluated(folder, {"base": 0.3, 100: 0.6})
    for trial in blind.make_trials(read_evaluation(folder), "base", 100, 1):
        blind.store_decision(folder, trial, 1)
    return folder / blind.FILE


def _own_lines(folder: Path) -> Path:
    path = folder / "lines.txt"
    path.write_text("Good morning.\n早上好\n", encoding="utf-8")
    return path


def _events(folder: Path) -> Path:
    writer = EventWriter(folder / "events.jsonl")
    writer.write("progress", done=1, total=2, note="", unit="clips")
    writer.write("metric", step=1, values={"loss": 2.5, "rate": 1e-4})
    writer.write("artifact", path="results/a.ckpt", role="checkpoint")
    writer.write("warning", message="café", item="a/1")
    writer.close()
    return folder / "events.jsonl"


def _journal(folder: Path) -> Path:
    journal = Journal(folder / "codes.jsonl")
    for clip in ("a/1", "a/2"):
        journal.record(Provenance(clip=clip, size=1, modified=1, audio="x", codec="y", recipe="z", codes="h"))
    return folder / "codes.jsonl"


def _stamp(folder: Path) -> Path:
    evidence = Evidence({"clips": sum_of([("a/1", "0" * 64)])}, {"pack.workers": 2}, "code")
    write_stamp(Project(folder), "pack", Stamp(evidence=evidence, done=True))
    return stamp_path(Project(folder), "pack")


def _hashes(folder: Path) -> Path:
    (folder / "file").write_text("content")
    seen = (folder / "file").stat()
    known = [seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns, seen.st_dev, seen.st_ino, "0" * 64]
    (folder / "hashes.json").write_text(json.dumps({str(folder / "file"): known}))
    return folder / "hashes.json"


def _manifest(folder: Path) -> Path:
    entry = '{"clip":"a/1","speaker":"a","shard":0,"message":0,"sentence":0,"frames":9,"text":"Hi.","split":"train"}\n'
    (folder / MANIFEST).write_text(entry * 2)
    return folder / MANIFEST


def _settings(folder: Path) -> Path:
    builders.project(folder, '[pack]\ntext_extension = ".txt"\n\n[train]\nlearning_rate = 1e-4\n')
    return folder / "fishtui.toml"


def _change_settings(path: Path) -> object:
    content = path.read_bytes()
    try:
        change(path, "train.learning_rate", "0.5")
    finally:
        path.write_bytes(content)
    return path


def _trusted(folder: Path) -> Path:
    (folder / "trusted.json").write_text('["/srv/voices", "/home/anna/voice"]')
    return folder / "trusted.json"


def _read_trusted(path: Path) -> object:
    place = trusted_file()
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(path.read_bytes())
    return trusted_folders()


def _tensors(folder: Path) -> Path:
    torch.save({"state_dict": {"model.norm.weight": torch.ones(8), "head.weight": torch.ones(4, 8)}}, folder / "m.pth")
    return folder / "m.pth"


def _older_tensors(folder: Path) -> Path:
    content = {"norm.weight": torch.ones(8)}
    torch.save(content, folder / "m.pth", _use_new_zipfile_serialization=False)
    return folder / "m.pth"


def _trained(folder: Path) -> Path:
    origin = Origin("base", "0" * 64, "lora", "instruct", SPEC, 100, DataPosition())
    tensors = {f"model.layers.0.wo.lora_{side}": torch.ones(4, 4) for side in "AB"}
    torch.save({KEY: msgspec.to_builtins(origin), "state_dict": tensors}, folder / "step_000000100.ckpt")
    return folder / "step_000000100.ckpt"


def _peft(folder: Path) -> Path:
    name = "base_model.model.layers.0.attention.wo.lora_{}.weight"
    save_file({name.format("A"): torch.ones(4, 8), name.format("B"): torch.ones(8, 4)}, folder / PEFT_WEIGHTS)
    (folder / PEFT_CONFIG).write_text(
        '{"peft_type": "LORA", "r": 4, "lora_alpha": 8, "target_modules": ["wo"], "lora_dropout": 0.0, "bias": "none"}'
    )
    return folder / PEFT_CONFIG


def _merged(folder: Path) -> Path:
    _copy("checkpoint", "config.json")(folder)
    (folder / "merge.json").write_text('{"adapter": "results/voice/step_1.ckpt", "template": "instruct", "step": 1}')
    return folder / "merge.json"


def _read_merged(path: Path) -> object:
    check_replaceable(Project(path.parent), path.parent, Path("results/voice/step_1.ckpt"), force=False)
    return CheckpointFolder(path.parent).template()


def _losses(folder: Path) -> Path:
    checkpoint_path(folder, 100).touch()
    write_losses(checkpoint_path(folder, 100), 2.5, None)
    return checkpoint_path(folder, 100).with_suffix(".json")


def _sample(folder: Path) -> Path:
    path = folder / "samples" / "base-1a.json"
    path.parent.mkdir()
    path.write_text('{"row": "1a", "step": null, "text": "Hi.", "reference": "", "run": "20260101-1", "asked": 1.5}')
    return path


def _sample_sound(folder: Path) -> Path:
    return builders.write_clip(_sample(folder).with_suffix(".wav"), None, builders.tone(0.1))


def _catalog(folder: Path) -> Path:
    for number in range(3):
        builders.write_clip(folder / "data" / "anna" / f"{number}.wav", "One.", builders.tone(0.2, 8_000), 8_000)
    with Catalog(builders.project(folder), folder / "data") as catalog:
        scan(catalog, PLAIN, QUIET)
        review(catalog, lookup.find_ids(catalog, "")[:1], "rejected", "cough")
        edit(catalog, PLAIN, lookup.find_ids(catalog, "")[1], "Two.")
    return folder / ".fishtui" / "catalog.db"


def _read_catalog(path: Path) -> object:
    for name in ("-wal", "-shm"):
        path.with_name(path.name + name).unlink(missing_ok=True)
    with Catalog(Project(path.parents[1]), path.parents[1] / "data") as catalog:
        for row in lookup.find_rows(catalog, "finding:any", 10):
            read_details(catalog, row["id"])
            history_of(catalog, row["id"])
        judge_all(catalog, PLAIN)
        undo(catalog, PLAIN)
        return scan(catalog, PLAIN, QUIET)


def _reviews(folder: Path) -> Path:
    _catalog(folder)
    with Catalog(Project(folder), folder / "data") as catalog:
        export_reviews(catalog, folder / "reviews.jsonl")
    return folder / "reviews.jsonl"


def _read_reviews(path: Path) -> object:
    with Catalog(Project(path.parent), path.parent / "data") as catalog:
        return import_reviews(catalog, path)


def _table(name: str, content: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        for clip in ("a", "b"):
            builders.write_clip(folder / "wavs" / f"{clip}.wav", None, builders.tone(0.2, 8_000), 8_000)
        (folder / name).write_text(content)
        return folder / name

    return write


def _understand(path: Path) -> object:
    found = understand(path, data=path.parent / "project" / "data")
    return list(summary_lines(found)), summary_dict(found)


def _source(format_: Format) -> Reader:
    """Return the reader of a format that is imported; the file to damage has the texts or the times."""

    def write(folder: Path) -> Path:
        builders.write_clip(folder / "talk.wav", None, builders.tone(0.3, 8_000), 8_000)
        return format_.write(folder, "talk.wav", [(0.05, 0.1, "One."), (0.15, 0.25, "Two.")])

    return Reader(write, lambda path: _understand(format_.source(path)))


def _recording(name: str, **options: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        sound = np.stack([builders.tone(0.3, 16_000), builders.tone(0.3, 16_000, 0.1)], axis=1)
        with (folder / name).open("wb") as file:
            soundfile.write(file, sound, 16_000, format=options.pop("format", name.rsplit(".")[-1].upper()), **options)
        return folder / name

    return write


def _weight_shards(damaged: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        shards = [{"a": ("F32", (2, 3))}, {"b": ("BF16", (5,)), "c": ("F32", ())}]
        dtypes = {"a": torch.float32, "b": torch.bfloat16, "c": torch.float32}
        shapes = {"a": (2, 3), "b": (5,), "c": ()}
        write_shards(folder, shards, lambda name: torch.ones(shapes[name], dtype=dtypes[name]))
        return folder / damaged

    return write


READERS: dict[str, Reader] = {
    "codes": Reader(_copy("protos", "data", "spk_a", "clip_00.npy"), read_codes),
    "transcript": Reader(_copy("protos", "data", "spk_a", "clip_00.lab"), read_transcript),
    "record": Reader(_record, _read_runs),
    "launched": Reader(_launched, _read_runs),
    "events": Reader(_events, lambda path: list(read_events(path))),
    "evaluation": Reader(_evaluation, lambda path: read_evaluation(path.parent).records),
    "comparisons": Reader(_comparisons, lambda path: read_comparisons(path.parent)),
    "own lines": Reader(_own_lines, read_own_lines),
    "journal": Reader(_journal, lambda path: Journal(path, tidy=True)),
    "stamp": Reader(_stamp, lambda path: read_stamp(Project(path.parents[2]), "pack")),
    "hashes": Reader(_hashes, lambda path: FileHashes(path).find(path.parent / "file")),
    "manifest": Reader(_manifest, lambda path: read_manifest(path.parent)),
    "shard": Reader(_copy("protos", "00000000.protos"), lambda path: list(read_sentences([path]))),
    "settings": Reader(_settings, lambda path: load(path, {})),
    "changed-settings": Reader(_settings, _change_settings),
    "trusted": Reader(_trusted, _read_trusted),
    "config": Reader(_copy("checkpoint", "config.json"), lambda path: CheckpointFolder(path.parent).config()),
    "codec-config": Reader(_copy("checkpoint", "codec.json"), codec_config.read_config),
    "ranks": Reader(_copy("checkpoint", "tokenizer.tiktoken"), lambda path: CheckpointFolder(path.parent).vocabulary()),
    "specials": Reader(
        _copy("checkpoint", "special_tokens.json"), lambda path: CheckpointFolder(path.parent).vocabulary()
    ),
    "tensors": Reader(_tensors, read_tensors),
    "older-tensors": Reader(_older_tensors, read_tensors),
    "weight-shard": Reader(_weight_shards("model-00002-of-00002.safetensors"), lambda path: read_folder(path.parent)),
    "weight-index": Reader(_weight_shards("model.safetensors.index.json"), lambda path: read_folder(path.parent)),
    "trained": Reader(_trained, lambda path: read_adapter(path, SPEC)),
    "peft-config": Reader(_peft, lambda path: read_adapter(path.parent, SPEC)),
    "peft-weights": Reader(
        lambda folder: _peft(folder).with_name(PEFT_WEIGHTS), lambda path: read_adapter(path.parent, SPEC)
    ),
    "merged": Reader(_merged, _read_merged),
    "losses": Reader(_losses, lambda path: list_checkpoints(path.parent)),
    "sample": Reader(_sample, lambda path: list_samples(path.parents[1], {})),
    "sample-sound": Reader(_sample_sound, lambda path: list_samples(path.parents[1], {})),
    "catalog": Reader(_catalog, _read_catalog),
    "reviews": Reader(_reviews, _read_reviews),
    "csv": Reader(_table("metadata.csv", "file,text,speaker\na,Hello there.,anna\nb.wav,Good day.,bo\n"), _understand),
    "list": Reader(_table("x.list", "wavs/a.wav|anna|EN|Hello there.\nwavs/b.wav|bo|EN|Good day.\n"), _understand),
    "jsonl": Reader(
        _table("x.jsonl", '{"audio": "wavs/a.wav", "text": "Hi.", "start": 0.05, "end": 0.1}\n' * 2), _understand
    ),
    **{f"import-{name}": _source(each) for name, each in FORMATS.items()},
    "wav": Reader(_recording("1.wav"), measure_file),
    "wav-float": Reader(_recording("1.wav", subtype="FLOAT"), measure_file),
    "flac": Reader(_recording("1.flac"), measure_file),
    "ogg": Reader(_recording("1.ogg"), measure_file),
    "opus": Reader(_recording("1.opus", format="OGG", subtype="OPUS"), measure_file),
    "mp3": Reader(_recording("1.mp3"), measure_file),
    "aiff": Reader(_recording("1.aiff"), measure_file),
    "au": Reader(_recording("1.au"), measure_file),
    "w64": Reader(_recording("1.w64"), measure_file),
    "caf": Reader(_recording("1.caf"), measure_file),
}
