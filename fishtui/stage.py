"""The registry of stages: command, settings, place in the pipeline and needs of each. Importing it loads no stage."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from fishtui.stagekind import Argument as Argument
from fishtui.stagekind import Kind as Kind
from fishtui.stagekind import Stage as Stage


def _own(section: str, *keys: str) -> tuple[str, ...]:
    return tuple(f"{section}.{key}" for key in keys)


_DATA = Argument("data", "Folder of the dataset", kind="folder", setting="paths.data")
_NAME = Argument("name", "Name of the training, which is its folder in results/")
_STEP = Argument(
    "step",
    "Step of the checkpoint (default: the recommended one, or that of lowest loss)",
    "--step",
    "integer",
    metavar="N",
)
_TERMS = Argument("terms", "Clips (default: all)", kind="filter", many=True, metavar="[FILTER]...")
_TEMPLATE = "Prompt template (default: the one used in training)"

NORMALIZE = Stage(
    "normalize",
    "Bring all recordings to the same loudness.",
    "Reads the clips in SRC and writes them to DST with their transcripts, in the same format and sample rate."
    " Silent and damaged clips are reported and left out.",
    function="fishtui.stages.normalize:normalize",
    requires="fishtui.stages.requirements:normalize",
    arguments=(
        Argument("source", "Folder of recordings to read; never changed", kind="folder", required=True, metavar="SRC"),
        Argument("target", "Folder to write the recordings to", kind="folder", required=True, metavar="DST"),
        Argument("clean", "Remove everything in DST first", "--clean", "flag"),
    ),
    options=_own("normalize", "loudness", "peak", "workers"),
    also=("pack.text_extension",),
    is_in_pipeline=True,
    step="fishtui.pipeline.steps:NORMALIZE",
)
SLICE = Stage(
    "slice",
    "Cut long recordings into clips at pauses of the speech.",
    "Reads any format of sound or film, and writes clips as flac to data/SPEAKER; recordings are never changed."
    " Those in a folder that have subtitles are left out: `fishtui import` makes clips of them that have their text."
    " The catalog keeps the place of each clip in its recording. Clips that were cut before are skipped. If other"
    " settings would cut them differently, or they were removed, that is reported; --recut cuts them again, except"
    " those with a review, tag, edit or transcript.",
    function="fishtui.stages.slicing:slice_recordings",
    requires="fishtui.stages.requirements:slice_recordings",
    arguments=(
        Argument(
            "sources",
            "Long recordings, or folders of them; a path with spaces in quotes",
            kind="path",
            required=True,
            many=True,
            metavar="SOURCE...",
        ),
        Argument("speaker", "Speaker of all clips (default: the folder of each recording)", "--speaker"),
        Argument("recut", "Cut again what nobody has worked on, also removed clips", "--recut", "flag"),
    ),
    options=_own("slice", "min_seconds", "max_seconds", "max_pause", "padding", "threshold", "channels", "workers"),
    also=("paths.data",),
    product="dataset",
    has_progress_lines=True,
)
EXTRACT = Stage(
    "extract",
    "Encode every recording into codes, clip.npy next to clip.wav.",
    "Codes that are up to date are kept; damaged codes, and those of another recording or codec, are replaced.",
    function="fishtui.stages.extract:extract",
    requires="fishtui.stages.requirements:extract",
    command="fishtui.cli.model:extract",
    arguments=(
        _DATA,
        Argument("checkpoint", "Codec file (default: the one of the pretrained model)", "--checkpoint", "file"),
    ),
    options=_own("extract", "batch_size", "workers", "device", "precision", "devices", "nodes"),
    also=("paths.data", "paths.checkpoint"),
    is_in_pipeline=True,
    step="fishtui.pipeline.steps:EXTRACT",
)
SCORE = Stage(
    "score",
    "Find wrong transcripts with the model itself.",
    "Stores how much each clip's transcript explains its codes, for `fishtui clips list sort:gain`; with --adapter, the"
    " loss of the tuned model, for `sort:-loss`. Clips that are up to date are kept.",
    function="fishtui.stages.score:score",
    requires="fishtui.stages.requirements:score",
    arguments=(_TERMS, Argument("adapter", "Training NAME or NAME:STEP, or an adapter's path", "--adapter")),
    options=_own("score", "batch_tokens", "device", "precision"),
    also=("paths.data", "paths.checkpoint"),
)
TRANSCRIBE = Stage(
    "transcribe",
    "Draft missing transcripts, and compare the others.",
    "Existing transcripts are never changed. A draft counts as one until you accept or edit it: `fishtui clips list"
    " draft:yes`; train.drafts decides if it is trained on. Clips that differ: `fishtui clips list"
    " finding:disagreement`. Clips that are up to date are kept. Weights of Whisper come from `fishtui download --judge"
    " transcribe`. With --recognizer server, recordings are sent to the address of --url; its key comes from the"
    " environment variable TRANSCRIBE_API_KEY.",
    function="fishtui.stages.transcribe:transcribe",
    requires="fishtui.stages.requirements:transcribe",
    arguments=(_TERMS,),
    options=_own("transcribe", "recognizer", "model", "url", "language", "device"),
    also=(
        *("transcribe.timeout", "transcribe.requests", "checks.max_disagreement"),
        *("paths.data", "paths.checkpoint", "pack.text_extension"),
    ),
)
PACK = Stage(
    "pack",
    "Pack transcripts and codes into shards for training.",
    "A share of the clips is held out for validation. manifest.jsonl lists the shard of each clip.",
    function="fishtui.stages.pack:pack",
    requires="fishtui.stages.requirements:pack",
    arguments=(
        _DATA,
        Argument("output", "Folder to write the shards to", "--output", "folder", setting="paths.protos"),
    ),
    options=_own("pack", "workers", "text_extension", "shard_size", "validation"),
    also=("paths.data", "paths.protos", "train.drafts"),
    is_in_pipeline=True,
    step="fishtui.pipeline.steps:PACK",
)
TRAIN = Stage(
    "train",
    "Fine-tune the model on the packed clips, into results/NAME.",
    "With the default settings the model learns how the person speaks more than how the voice sounds, so give"
    " `fishtui synthesize` a reference recording. More steps also learn the sound, but can overfit.",
    function="fishtui.stages.train:train",
    requires="fishtui.stages.requirements:train",
    command="fishtui.cli.model:train",
    arguments=(
        Argument(_NAME.name, _NAME.help, required=True),
        Argument("resume", "Continue from the newest checkpoint, if there is one", "--resume", "flag"),
        Argument("restart", "Move earlier results to another folder and start from the beginning", "--restart", "flag"),
    ),
    options=(
        *_own("train", "method", "lora", "batch_size", "accumulate", "max_steps", "learning_rate", "device"),
        *_own("train", "devices", "nodes", "strategy", "gate"),
    ),
    also=("paths.protos", "paths.checkpoint"),
    is_in_pipeline=True,
    step="fishtui.pipeline.steps:TRAIN",
    is_parallel=True,
    locks=lambda arguments: (f"train-{arguments.get('name', '')}",),
    resumes=True,
)
EVALUATE = Stage(
    "evaluate",
    "Compare the checkpoints of a training by ear and figures.",
    "The base model and the checkpoints speak the same lines with the same seed, and judges measure the speech. The"
    " lines are transcripts of held-out clips, hard lines of the dataset's language, and those of lines.txt. The table"
    " and the recommended checkpoint are at the end of the log; recordings are in results/NAME/evaluation, and are"
    " reused while nothing that decides them changes.",
    function="fishtui.stages.evaluate:evaluate",
    requires="fishtui.stages.requirements:evaluate",
    command="fishtui.cli.model:evaluate",
    arguments=(
        Argument(_NAME.name, _NAME.help, required=True),
        Argument(
            "steps", "Step of a checkpoint; repeatable (default: all)", "--step", "integer", many=True, metavar="N"
        ),
        Argument("no_base", "Leave out the base model", "--no-base", "flag"),
        Argument("no_reference", "Also speak every line without a reference", "--no-reference", "flag"),
        Argument("report", "HTML page with the table and all recordings", "--report", "file"),
    ),
    options=_own("evaluate", "lines", "language", "judges", "recognizer", "similarity", "device"),
    also=(
        *("paths.data", "paths.protos", "paths.checkpoint", "pack.text_extension", "train.lora", "extract.resampler"),
        *_own(
            "synthesize", "temperature", "top_p", "top_k", "repetition_penalty", "max_seconds", "seconds_per_character"
        ),
        *_own("synthesize", "seed", "precision", "compile"),
    ),
    product="report",
    has_progress_lines=True,
    is_parallel=True,
    locks=lambda arguments: (f"evaluate-{arguments.get('name', '')}",),
    is_in_pipeline=True,
    step="fishtui.pipeline.steps:EVALUATE",
)
MERGE = Stage(
    "merge",
    "Merge a training, or any adapter, into its base model.",
    "Takes the recommended checkpoint of the training NAME if it was evaluated, otherwise the one with the lowest"
    " validation loss; or the one of --step, or an --adapter."
    " Writes a new model folder, and checks that it computes the same as base model and adapter together.",
    function="fishtui.stages.merge:merge",
    requires="fishtui.stages.requirements:merge",
    command="fishtui.cli.model:merge",
    arguments=(
        _NAME,
        _STEP,
        Argument("base", "Base model; never changed (default: that of the training)", "--base", "folder"),
        Argument(
            "adapter", "Checkpoint, peft folder, or adapter file of Fish-Speech, instead of NAME", "--adapter", "path"
        ),
        Argument("output", "Folder to write (default: checkpoints/BASE-NAME-lora)", "--output", "folder"),
        Argument("template", _TEMPLATE, "--template", kind="template"),
        Argument("force", "Replace a model that another training made", "--force", "flag"),
    ),
    options=("train.lora",),
    also=("paths.checkpoint",),
    is_in_pipeline=True,
    step="fishtui.pipeline.steps:MERGE",
    product="checkpoint",
)
SYNTHESIZE = Stage(
    "synthesize",
    "Synthesize speech from text, in the voice of a reference.",
    function="fishtui.stages.synthesize:synthesize",
    requires="fishtui.stages.requirements:synthesize",
    command="fishtui.cli.model:synthesize",
    arguments=(
        Argument(
            "checkpoint",
            "Model folder: a merged model, or the base model",
            "--checkpoint",
            "folder",
            setting="paths.checkpoint",
        ),
        Argument("adapter", "Adapter to apply to its base, or to --checkpoint", "--adapter", "path"),
        Argument("texts", "Text to speak; repeatable", "--text", many=True),
        Argument("text_file", "UTF-8 file with one text per line", "--text-file", "file"),
        Argument(
            "references", "Recording of the voice, or its codes (.npy); repeatable", "--reference", "path", many=True
        ),
        Argument(
            "reference_texts",
            "Transcript of the reference (default: the text file next to it); repeatable",
            "--reference-text",
            many=True,
        ),
        Argument("template", _TEMPLATE, "--template", kind="template"),
        Argument(
            "output",
            "File to write (.wav, .flac, .ogg or .mp3), or a folder (default: speech.wav, numbered if that exists)",
            "--output",
            "path",
        ),
        Argument("force", "Replace the file of --output", "--force", "flag"),
    ),
    options=(
        *_own("synthesize", "temperature", "top_p", "top_k", "repetition_penalty", "max_seconds"),
        *_own("synthesize", "seconds_per_character", "seed", "device", "compile"),
        "train.lora",
    ),
    also=("paths.checkpoint", "extract.resampler", "pack.text_extension"),
    is_in_pipeline=True,
    step="fishtui.pipeline.steps:SYNTHESIZE",
    product="speech",
    has_progress_lines=True,
    is_parallel=True,
)
RUN = Stage(
    "run",
    "Run every stage of the pipeline that is not up to date.",
    "With one STAGE, run up to it; with several, from the first of them to the last. Shows why each stage runs or not."
    " Stops at the first failure; run it again to continue there. The settings run.source, run.name and"
    " run.text name the recordings to normalize, the training, and the text to speak at the end; run.evaluate = false"
    " leaves out evaluate.",
    command="fishtui.cli.pipeline:run",
    arguments=(
        Argument(
            "stages",
            "Stage of the pipeline, as listed at --from",
            kind="stage",
            many=True,
            metavar="[STAGE]...",
            is_in_form=False,
        ),
        Argument("first", "First stage to run", "--from", "stage"),
        Argument("until", "Last stage to run", "--until", "stage"),
        Argument("slurm", "Submit the pipeline to SLURM as one job, with sbatch", "--slurm", "flag", is_in_form=False),
    ),
    options=("run.sbatch",),
    waits_for_processor=False,
)
EXPORT = Stage(
    "export",
    "Export the adapter of a training, or another one, for peft.",
    function="fishtui.stages.merge:export",
    requires="fishtui.stages.requirements:export",
    command="fishtui.cli.model:export",
    arguments=(
        _NAME,
        _STEP,
        Argument("adapter", "Checkpoint, or adapter file of Fish-Speech, instead of NAME", "--adapter", "path"),
        Argument("output", "Folder to write", "--output", "folder", required=True),
        Argument("force", "Replace the adapter in the folder of --output", "--force", "flag"),
    ),
    options=("train.lora",),
    product="adapter",
    is_parallel=True,
)
DOWNLOAD = Stage(
    "download",
    "Download a pretrained model from the Hugging Face hub.",
    "Without REPO, writes the model that the project trains to the folder of paths.checkpoint; with REPO, to"
    " checkpoints/NAME, unless paths.checkpoint has that name. Complete files are not downloaded again, interrupted"
    " downloads continue, and the size and hash of each file are checked. With --judge, writes the weights that the"
    " settings of [evaluate] or [transcribe] name to checkpoints/judges. Gated and private models need a token of the"
    " hub, from HF_TOKEN or `hf auth login`. The licence of some models has to be accepted, once.",
    function="fishtui.stages.download:download",
    requires="fishtui.stages.requirements:download",
    command="fishtui.cli.setup:download",
    arguments=(
        Argument("repository", "Repository on the Hugging Face hub, as OWNER/NAME", metavar="[REPO]"),
        Argument("revision", "Branch, tag or commit (default: the published one, or main)", "--revision"),
        Argument(
            "judge",
            "Judge of speech whose weights to download instead of a model, such as intelligibility, or transcribe",
            "--judge",
        ),
        Argument("force", "Replace files that are not from a download", "--force", "flag"),
        Argument("accept_licence", "Accept the terms of the model's licence, once", "--accept-licence", "flag"),
    ),
    also=(
        *("paths.checkpoint", "evaluate.recognizer", "evaluate.similarity"),
        *("transcribe.recognizer", "transcribe.model"),
    ),
    waits_for_processor=False,
)
# In the order of the pipeline, then the others.
ALL = [NORMALIZE, EXTRACT, PACK, TRAIN, EVALUATE, MERGE, SYNTHESIZE, RUN, SLICE, TRANSCRIBE, SCORE, EXPORT, DOWNLOAD]


def find_stage(name: str) -> Stage:
    """Return the stage of this name, or a stage with only that name for any other work that is recorded as a run."""
    return next((stage for stage in ALL if stage.name == name), Stage(name))


def stage_names() -> tuple[str, ...]:
    """Return the names of all stages, those of the pipeline first."""
    return tuple(stage.name for stage in ALL)


def pipeline_names() -> tuple[str, ...]:
    """Return the names of the pipeline's stages, in its order."""
    return tuple(stage.name for stage in ALL if stage.is_in_pipeline)


def resolve(reference: str) -> Any:
    """Import the module of `module:name`, and return what the name refers to."""
    module, _, name = reference.partition(":")
    return getattr(import_module(module), name)
