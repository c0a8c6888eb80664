"""The steps: for each what goes in and comes out, which settings and code its result follows from, and its command."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fishtui.codehash import code_hash
from fishtui.dataset import TEXT_EXTENSION, read_transcript
from fishtui.errors import DataError
from fishtui.pipeline.hashes import Sum, sum_of
from fishtui.pipeline.stamps import Evidence, Stamp
from fishtui.pipeline.state import Look
from fishtui.settings import Settings, known
from fishtui.stage import ALL, Stage, resolve

SPEECH = "speech.wav"
# The rows of one batch over all processes: however many share it, the result is the same.
GLOBAL_BATCH = "train.batch_size × train.devices × train.nodes"
# A change of these lets a training go on from where it is.
FREE = ("train.max_steps", "train.validate_every", "train.keep")

Sums = dict[str, Sum]


@dataclass(frozen=True)
class Step:
    """One step of the pipeline.

    Inputs and outputs are sums by a name that a reason can give. `settings` are those that the result follows from:
    nothing that only says how quickly or where. `code` are modules and packages of fishtui. `command` gives the
    words after the command's name, from its stamp and, if it is known yet, the evidence of now. `is_done_by` is true
    for the arguments of a stage that does exactly what the step would; `arguments` are those that are known before the
    stage's own process records all of them.
    """

    name: str
    inputs: Callable[[Look], Sums]
    outputs: Callable[[Look], Sums]
    settings: tuple[str, ...]
    code: tuple[str, ...]
    command: Callable[[Look, Stamp | None, Evidence | None], list[str]]
    is_done_by: Callable[[Look, Mapping[str, Any]], bool]
    arguments: Callable[[Look], dict[str, Any]] = lambda look: {}

    def evidence(self, look: Look) -> Evidence:
        """What the step's result would follow from now."""
        values = {name: _value(look.settings, name) for name in self.settings}
        return Evidence(self.inputs(look), values, code_hash(*self.code))


def _value(settings: Settings, name: str) -> Any:
    if name == GLOBAL_BATCH:
        return settings.train.batch_size * settings.train.devices * settings.train.nodes
    section, _, key = name.partition(".")
    value = getattr(getattr(settings, section), key)
    # As it comes back from a stamp.
    return list(value) if isinstance(value, tuple) else value


def _normalize_outputs(look: Look) -> Sums:
    # From then on the dataset is the user's, to edit and to remove from: it is no fault if it is not as it was made.
    return {"recordings": Sum("", int(look.has_dataset()))}


def _normalize_command(look: Look, stamp: Stamp | None, now: Evidence | None) -> list[str]:
    return [str(look.project.path(look.settings.run.source)), str(look.data)]


def _extract_inputs(look: Look) -> Sums:
    return {
        "what was rejected or has errors": _names(look.unwanted()),
        "recordings": look.recordings(),
        "codec": look.files(look.base.codec_files),
    }


def _pack_inputs(look: Look) -> Sums:
    return {
        "what was rejected or has errors": _names(look.unwanted(stale_codes=False)),
        "transcripts": look.transcripts(),
        "codes": look.codes(),
        # Each kind of model cleans texts its own way.
        "kind of model": sum_of([(look.base.kind, "")]),
    }


def _train_inputs(look: Look) -> Sums:
    packed = {entry["clip"] for entry in look.manifest}
    return {
        "shards": look.shards(),
        "what was rejected or has errors": _names(look.unwanted(tolerated=["missing-audio"]) & packed),
        "pretrained model": look.files(look.base.model_files),
    }


def _train_command(look: Look, stamp: Stamp | None, now: Evidence | None) -> list[str]:
    """Results of other data or settings are moved aside; those that can be gone on with are."""
    name = look.settings.run.name
    if not look.checkpoints():
        # There may be some by the time that it begins: of a training that outlived its pipeline.
        return [name, "--resume"]
    if stamp is None or stamp.evidence.settings.get("run.name") != name:
        # Made by hand: training itself knows whether it can go on from there.
        return [name, "--resume"]
    # Told to begin anew, it may have been ended before it got to that.
    other = stamp.setting_aside == look.results_identity() or (
        stamp.done if now is None else _essence(now) != _essence(stamp.evidence)
    )
    return [name, "--restart" if other else "--resume"]


def _essence(evidence: Evidence) -> tuple[Sums, dict[str, Any]]:
    return evidence.inputs, {name: value for name, value in evidence.settings.items() if name not in FREE}


def _merge_inputs(look: Look) -> Sums:
    return {
        "checkpoint": look.chosen(),
        "pretrained model": look.files([*look.base.model_files, *look.base.codec_files]),
    }


def _merge_arguments(look: Look) -> dict[str, Any]:
    checkpoint = look.best()
    adapter = {"adapter": checkpoint.path} if checkpoint else {}
    return {"base": look.base, **adapter, "output": look.merged, "template": None}


def _synthesize_inputs(look: Look) -> Sums:
    return {"merged model": look.files(look.merged.files), "reference": look.voice()}


def _synthesize_command(look: Look, stamp: Stamp | None, now: Evidence | None) -> list[str]:
    arguments = ["--checkpoint", str(look.merged.path), "--text", look.settings.run.text]
    if look.reference:
        recording, transcript = look.reference
        arguments += ["--reference", str(recording)]
        if transcript.suffix != TEXT_EXTENSION:
            arguments += ["--reference-text", _text(transcript)]
    return [*arguments, "--output", str(look.results / SPEECH)]


def _text(transcript: Path) -> str:
    try:
        return read_transcript(transcript)
    except DataError:
        # Gone since it was chosen: synthesize will say what a reference needs.
        return ""


def _names(names: set[str]) -> Sum:
    return sum_of((name, "") for name in names)


def _no_words(look: Look, stamp: Stamp | None, now: Evidence | None) -> list[str]:
    return []


def _same(given: Any, wanted: Path) -> bool:
    return given is not None and Path(given).resolve() == wanted.resolve()


def _is_normalized_by(look: Look, given: Mapping[str, Any]) -> bool:
    source = look.settings.run.source
    return bool(source) and _same(given["source"], look.project.path(source)) and _same(given["target"], look.data)


def _is_merged_by(look: Look, given: Mapping[str, Any]) -> bool:
    merged = (
        _same(given["base"], look.base.path) and _same(given["output"], look.merged.path) and given["template"] is None
    )
    checkpoint = look.best()
    return merged and checkpoint is not None and _same(given["adapter"], checkpoint.path)


def _keys(section: str, *keys: str) -> tuple[str, ...]:
    return tuple(f"{section}.{key}" for key in keys)


CLIPS = ("stages/excluded.py", "dataset.py")
CODES = ("stages/encoding.py", "audio", "codec", "nn.py", "weights.py", "devices.py")
FAMILY = ("families", "checkpoint.py")
NETWORK = (*FAMILY, "lm", "load.py", "nn.py", "weights.py", "devices.py")
NORMALIZE = Step(
    "normalize",
    inputs=lambda look: {"recordings to normalize": look.source()},
    outputs=_normalize_outputs,
    settings=_keys("normalize", "loudness", "peak"),
    code=(*CLIPS, "stages/normalize.py", "audio"),
    command=_normalize_command,
    is_done_by=_is_normalized_by,
)
EXTRACT = Step(
    "extract",
    inputs=_extract_inputs,
    outputs=lambda look: {"clips' codes": look.codes()},
    settings=_keys("extract", "precision", "resampler"),
    code=(*CLIPS, "stages/extract.py", "codes.py", *CODES),
    command=_no_words,
    is_done_by=lambda look, given: _same(given["data"], look.data) and _same(given["checkpoint"], look.base.codec_file),
)
PACK = Step(
    "pack",
    inputs=_pack_inputs,
    outputs=lambda look: {"shards": look.shards()},
    settings=_keys("pack", "text_extension", "shard_size", "validation"),
    code=(*CLIPS, "stages/pack.py", "codes.py", *FAMILY, "shards"),
    command=_no_words,
    is_done_by=lambda look, given: _same(given["data"], look.data) and _same(given["output"], look.protos),
)
TRAIN = Step(
    "train",
    inputs=_train_inputs,
    outputs=lambda look: {"checkpoint": look.chosen()},
    settings=(
        "run.name",
        *_keys("train", "method", "lora", "targets", "dropout", "template", "learning_rate", "warmup"),
        *_keys("train", "weight_decay", "clip_norm", "accumulate", "max_length", "clips_per_sequence"),
        *_keys("train", "seed", "precision"),
        GLOBAL_BATCH,
        *FREE,
    ),
    code=(*NETWORK, "stages/excluded.py", "stages/train.py", "training", "shards", "distributed.py"),
    command=_train_command,
    is_done_by=lambda look, given: given["name"] == look.settings.run.name,
    arguments=lambda look: {"name": look.settings.run.name},
)
MERGE = Step(
    "merge",
    inputs=_merge_inputs,
    outputs=lambda look: {"files of the merged model": look.files(look.merged.files)},
    settings=("run.name",),
    code=(*NETWORK, "stages/merge.py", *(f"training/{name}.py" for name in ("adapter", "lora", "origin", "proof"))),
    command=lambda look, stamp, now: [look.settings.run.name],
    is_done_by=_is_merged_by,
    arguments=_merge_arguments,
)
SYNTHESIZE = Step(
    "synthesize",
    inputs=_synthesize_inputs,
    outputs=lambda look: {"speech": look.files([look.results / SPEECH])},
    settings=(
        *_keys("run", "name", "text", "reference"),
        *_keys("extract", "resampler"),
        *_keys("synthesize", "temperature", "top_p", "repetition_penalty", "max_seconds", "seed", "precision"),
    ),
    code=(*NETWORK, "stages/synthesize.py", "codes.py", "audio", "codec"),
    command=_synthesize_command,
    # What a person has it say is another sentence, or goes elsewhere.
    is_done_by=lambda look, given: False,
)


def pipeline_steps() -> dict[str, Step]:
    """Return the steps of the pipeline's stages by name, in order."""
    return {
        stage.name: resolve(stage.step) if stage.step else _plain_step(stage) for stage in ALL if stage.is_in_pipeline
    }


def _plain_step(stage: Stage) -> Step:
    """Return the step of a stage that depends on its settings and its code alone."""
    module = stage.function.partition(":")[0].split(".")
    return Step(
        stage.name,
        inputs=lambda look: {},
        outputs=lambda look: {},
        settings=tuple(name for name in known() if name.partition(".")[0] == stage.name or name in stage.also),
        code=("/".join(module[1:]) + ".py",) if module[0] == "fishtui" else (),
        command=_no_words,
        is_done_by=lambda look, given: not any(given.values()),
    )
