"""The steps: inputs, outputs, relevant settings and code, and the command of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fishtui.codehash import code_hash
from fishtui.pipeline import evaluation
from fishtui.pipeline.hashes import Sum, sum_of
from fishtui.pipeline.stamps import Evidence, Stamp
from fishtui.pipeline.state import ProjectState
from fishtui.results.checkpoints import next_backup
from fishtui.settings import Settings, known, value_of
from fishtui.stage import ALL, Stage, resolve

SPEECH = "speech.wav"
# Rows of a batch over all processes; the result does not depend on the number of processes.
GLOBAL_BATCH = "train.batch_size × train.devices × train.nodes"
TEMPLATE = "train.template"
REFERENCES = "train.reference_share"
# Settings that decide the sound of speech.
SAMPLING = (
    *("temperature", "top_p", "top_k", "repetition_penalty", "max_seconds", "seconds_per_character"),
    *("seed", "precision"),
)
# A training resumes after a change of these settings.
FREE = ("train.max_steps", "train.validate_every", "train.validation_clips", "train.keep", "train.patience")

Sums = dict[str, Sum]


@dataclass(frozen=True)
class Step:
    """One step of the pipeline.

    Inputs and outputs are sums, by a name for use in reasons. `settings` are those that change the result, not those
    that change only its speed or place. `code` are modules and packages of fishtui. `command` returns the words after
    the command's name, from the last stamp and the current evidence if that is known yet. `is_done_by` is true for
    the arguments of a stage that does exactly the same as the step; `arguments` are those known before the stage's own
    process records all of them. `excluded` returns why there is nothing to do with these settings, and `idle` why there
    is nothing to do with these files, or an empty string. `effect` describes what the command does beyond its outputs;
    its last argument is true if steps before it run first.
    """

    name: str
    inputs: Callable[[ProjectState], Sums]
    outputs: Callable[[ProjectState], Sums]
    settings: tuple[str, ...]
    code: tuple[str, ...]
    command: Callable[[ProjectState, Stamp | None, Evidence | None], list[str]]
    is_done_by: Callable[[ProjectState, Mapping[str, Any]], bool]
    arguments: Callable[[ProjectState], dict[str, Any]] = lambda state: {}
    excluded: Callable[[Settings], str] = lambda settings: ""
    idle: Callable[[ProjectState], str] = lambda state: ""
    effect: Callable[[ProjectState, list[str], bool], str] = lambda state, command, pending: ""

    def evidence(self, state: ProjectState) -> Evidence:
        """Return all that the step's result depends on now."""
        # The key was not in older stamps; it must not restart trainings that do not depend on it.
        unused = set() if state.base.family_or_default.learns_with_references else {REFERENCES}
        values = {name: _value(state, name) for name in self.settings if name not in unused}
        return Evidence(self.inputs(state), values, code_hash(*self.code))


def _value(state: ProjectState, name: str) -> Any:
    settings = state.settings
    if name == GLOBAL_BATCH:
        return settings.train.batch_size * settings.train.devices * settings.train.nodes
    if name == TEMPLATE:
        return settings.train.template or state.base.usual_template
    value = value_of(settings, name)
    # As it is read back from a stamp.
    return list(value) if isinstance(value, tuple) else value


def _normalize_outputs(state: ProjectState) -> Sums:
    # After normalize the dataset belongs to the user, who may edit it and remove clips.
    return {"recordings": Sum("", int(state.has_dataset()))}


def _normalize_command(state: ProjectState, stamp: Stamp | None, now: Evidence | None) -> list[str]:
    return [str(state.project.path(state.settings.run.source)), str(state.data)]


def _extract_inputs(state: ProjectState) -> Sums:
    return {
        "excluded clips": _names(state.unwanted()),
        "recordings": state.recordings(),
        "codec": state.files(state.base.codec_files),
    }


def _pack_inputs(state: ProjectState) -> Sums:
    return {
        "excluded clips": _names(state.unwanted(stale_codes=False, drafts=False)),
        "transcripts": state.transcripts(),
        "codes": state.codes(),
        # Each model family cleans texts in its own way.
        "kind of model": sum_of([(state.base.kind, "")]),
    }


def _train_inputs(state: ProjectState) -> Sums:
    packed = {entry["clip"] for entry in state.manifest}
    return {
        "shards": state.shards(),
        "excluded clips": _names(state.unwanted(tolerated=["missing-audio"], drafts=False) & packed),
        "pretrained model": state.files(state.base.model_files),
    }


def _train_command(state: ProjectState, stamp: Stamp | None, now: Evidence | None) -> list[str]:
    """Restart if the data or settings changed, otherwise resume."""
    name = state.settings.run.name
    if not state.checkpoints():
        # A training that outlives its pipeline may write some before this one begins.
        return [name, "--resume"]
    if stamp is None or stamp.evidence.settings.get("run.name") != name:
        # Started by hand: the training itself checks if it can resume.
        return [name, "--resume"]
    # A restart may have been interrupted before it moved the results.
    other = stamp.moved_results == state.results_identity() or (
        stamp.done if now is None else _essence(now) != _essence(stamp.evidence)
    )
    return [name, "--restart" if other else "--resume"]


def _train_effect(state: ProjectState, command: list[str], pending: bool) -> str:
    """Return what a training does with earlier results."""
    if "--restart" in command:
        return f"starts again; {state.project.shown(state.results)} becomes {next_backup(state.results).name}"
    saved = state.checkpoints()
    return f"resumes at step {saved[-1].step:,} of {state.settings.train.max_steps:,}" if saved else "starts"


def _essence(evidence: Evidence) -> tuple[Sums, dict[str, Any]]:
    return evidence.inputs, {name: value for name, value in evidence.settings.items() if name not in FREE}


def _merge_inputs(state: ProjectState) -> Sums:
    return {
        "checkpoint": state.chosen(),
        "pretrained model": state.files([*state.base.model_files, *state.base.codec_files]),
    }


def _merge_arguments(state: ProjectState) -> dict[str, Any]:
    checkpoint = state.to_merge
    adapter = {"adapter": checkpoint.path} if checkpoint else {}
    return {"base": state.base.path, **adapter, "output": state.merged.path, "template": None}


def _synthesize_inputs(state: ProjectState) -> Sums:
    return {"merged model": state.files(state.merged.files), "reference": state.voice()}


def _synthesize_command(state: ProjectState, stamp: Stamp | None, now: Evidence | None) -> list[str]:
    arguments = ["--checkpoint", str(state.merged.path), "--text", state.settings.run.text]
    if state.reference:
        arguments += ["--reference", str(state.reference[0])]
    return [*arguments, "--output", str(state.results / SPEECH), "--force"]


def _names(names: set[str]) -> Sum:
    return sum_of((name, "") for name in names)


def _no_words(state: ProjectState, stamp: Stamp | None, now: Evidence | None) -> list[str]:
    return []


def _same(given: Any, wanted: Path) -> bool:
    return given is not None and Path(given).resolve() == wanted.resolve()


def _is_normalized_by(state: ProjectState, given: Mapping[str, Any]) -> bool:
    source = state.settings.run.source
    return bool(source) and _same(given["source"], state.project.path(source)) and _same(given["target"], state.data)


def _is_merged_by(state: ProjectState, given: Mapping[str, Any]) -> bool:
    merged = (
        _same(given["base"], state.base.path)
        and _same(given["output"], state.merged.path)
        and given["template"] is None
    )
    checkpoint = state.to_merge
    return merged and checkpoint is not None and _same(given["adapter"], checkpoint.path)


def _keys(section: str, *keys: str) -> tuple[str, ...]:
    return tuple(f"{section}.{key}" for key in keys)


CLIPS = ("stages/excluded.py", "dataset.py", "charsets.py")
CODES = ("stages/encoding.py", "audio", "codec", "nn.py", "weights.py", "devices.py")
FAMILY = ("families", "tensorfiles", "checkpoint.py")
NETWORK = (*FAMILY, "lm", "load.py", "nn.py", "weights.py", "devices.py")
NORMALIZE = Step(
    "normalize",
    inputs=lambda state: {"recordings to normalize": state.source()},
    outputs=_normalize_outputs,
    settings=(*_keys("normalize", "loudness", "peak"), "pack.text_extension"),
    code=(*CLIPS, "stages/normalize.py", "audio"),
    command=_normalize_command,
    is_done_by=_is_normalized_by,
    excluded=lambda settings: "" if settings.run.source else "run.source is not set",
)
EXTRACT = Step(
    "extract",
    inputs=_extract_inputs,
    outputs=lambda state: {"clips' codes": state.codes()},
    settings=_keys("extract", "precision", "resampler"),
    code=(*CLIPS, "stages/extract.py", "codes.py", *CODES),
    command=_no_words,
    is_done_by=lambda state, given: (
        _same(given["data"], state.data) and _same(given["checkpoint"], state.base.codec_file)
    ),
)
PACK = Step(
    "pack",
    inputs=_pack_inputs,
    outputs=lambda state: {"shards": state.shards()},
    settings=_keys("pack", "text_extension", "shard_size", "validation"),
    code=(*CLIPS, "stages/pack.py", "codes.py", "speakers.py", *FAMILY, "shards"),
    command=_no_words,
    is_done_by=lambda state, given: _same(given["data"], state.data) and _same(given["output"], state.protos),
)
TRAIN = Step(
    "train",
    inputs=_train_inputs,
    outputs=lambda state: {"checkpoint": state.trained()},
    settings=(
        "run.name",
        *_keys("train", "method", "lora", "targets", "dropout", "learning_rate", "warmup"),
        TEMPLATE,
        *_keys("train", "weight_decay", "clip_norm", "accumulate", "max_length", "clips_per_sequence"),
        *_keys("train", "seed", "precision"),
        REFERENCES,
        GLOBAL_BATCH,
        *FREE,
    ),
    code=(
        *NETWORK,
        "stages/excluded.py",
        "stages/lostmarks.py",
        *(f"stages/{name}.py" for name in ("train", "trainingjob", "fitting", "trainingledger")),
        "training",
        "shards",
        "distributed.py",
    ),
    command=_train_command,
    is_done_by=lambda state, given: given["name"] == state.settings.run.name,
    arguments=lambda state: {"name": state.settings.run.name},
    effect=_train_effect,
)
EVALUATE = Step(
    "evaluate",
    inputs=evaluation.inputs,
    outputs=evaluation.outputs,
    settings=(
        *_keys("run", "name"),
        *_keys("evaluate", "lines", "hard_lines", "language", "judges", "recognizer", "similarity"),
        *_keys("extract", "resampler"),
        *_keys("synthesize", *SAMPLING),
    ),
    code=(
        *(*NETWORK, *CLIPS, "stages/evaluate.py", "stages/speaking.py", "stages/panel.py", "training"),
        *("evaluation", "judges", "speech.py", "sentences.py", "codes.py", "audio", "codec", "shards"),
    ),
    command=lambda state, stamp, now: [state.settings.run.name],
    is_done_by=evaluation.is_done_by,
    arguments=evaluation.arguments,
    excluded=lambda settings: "" if settings.run.evaluate else "run.evaluate is false",
    idle=evaluation.idle,
    effect=evaluation.effect,
)
MERGE = Step(
    "merge",
    inputs=_merge_inputs,
    outputs=lambda state: {"files of the merged model": state.files(state.merged.files)},
    settings=("run.name",),
    code=(
        *NETWORK,
        "stages/merge.py",
        *(
            f"training/{name}.py"
            for name in ("adapter", "blocks", "lora", "lowrank", "merging", "origin", "preset", "proof")
        ),
    ),
    command=lambda state, stamp, now: [state.settings.run.name, "--base", str(state.base.path)],
    is_done_by=_is_merged_by,
    arguments=_merge_arguments,
)
SYNTHESIZE = Step(
    "synthesize",
    inputs=_synthesize_inputs,
    outputs=lambda state: {"speech": state.files([state.results / SPEECH])},
    settings=(
        *_keys("run", "name", "text", "reference"),
        *_keys("extract", "resampler"),
        *_keys("synthesize", *SAMPLING),
    ),
    code=(
        *NETWORK,
        "stages/synthesize.py",
        "stages/spokenparts.py",
        "speech.py",
        "sentences.py",
        "codes.py",
        "audio",
        "codec",
    ),
    command=_synthesize_command,
    # A sentence synthesized by hand is another one, or has another output.
    is_done_by=lambda state, given: False,
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
        inputs=lambda state: {},
        outputs=lambda state: {},
        settings=tuple(name for name in known() if name.partition(".")[0] == stage.name or name in stage.also),
        code=("/".join(module[1:]) + ".py",) if module[0] == "fishtui" else (),
        command=_no_words,
        is_done_by=lambda state, given: not any(given.values()),
    )
