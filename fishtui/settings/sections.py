"""The sections of the settings file: the type, range, default and help of every setting."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from fishtui.settings.judging import EvaluateSettings as EvaluateSettings
from fishtui.settings.judging import TranscribeSettings as TranscribeSettings
from fishtui.settings.values import (
    AtLeastOne,
    Device,
    Folder,
    NotBelowZero,
    NotNegative,
    OptionalPath,
    Positive,
    Section,
    Share,
)


class PathSettings(Section, frozen=True):
    """Folders; relative paths start at the project folder."""

    data: Annotated[Folder, Meta(description="dataset folder, with SPEAKER/clip.wav and clip.lab")] = "data"
    protos: Annotated[str, Meta(min_length=1, description="folder of packed shards")] = "data/protos"
    checkpoint: Annotated[Folder, Meta(description="folder of the pretrained model")] = "checkpoints/openaudio-s1-mini"


class NormalizeSettings(Section, frozen=True):
    """Loudness normalization."""

    loudness: Annotated[float, Meta(ge=-70, le=0, description="target loudness in LUFS")] = -23.0
    peak: Annotated[float, Meta(ge=-40, le=0, description="peak limit in dBFS")] = -1.0
    workers: Annotated[NotNegative, Meta(description="worker processes; 0 for one per core")] = 0


class SliceSettings(Section, frozen=True):
    """Cutting long recordings into clips; lengths in seconds."""

    min_seconds: Annotated[
        NotBelowZero, Meta(description="shortest clip to aim for in seconds; shorter ones are joined with a neighbour")
    ] = 3.0
    max_seconds: Annotated[
        Annotated[float, Meta(ge=1)], Meta(description="longest clip in seconds; speech without a pause is left out")
    ] = 15.0
    min_pause: Annotated[
        float, Meta(ge=0.05, description="shortest pause to cut at in seconds; shorter ones are part of the speech")
    ] = 0.15
    max_pause: Annotated[
        Positive, Meta(description="longest pause within a clip in seconds, from the last voice to the next one")
    ] = 0.45
    padding: Annotated[
        NotBelowZero, Meta(description="silence to keep before and after speech in seconds, at most half of the pause")
    ] = 0.15
    threshold: Annotated[
        float, Meta(gt=0, lt=1, description="least probability of a voice at which speech begins; less keeps more")
    ] = 0.5
    channels: Annotated[
        Literal["mix", "separate"],
        Meta(description="mix hears all channels together; separate makes a speaker of each of two channels"),
    ] = "mix"
    workers: Annotated[NotNegative, Meta(description="worker processes; 0 for one per core")] = 0


class ScanSettings(Section, frozen=True):
    """Scanning the dataset."""

    workers: Annotated[
        NotNegative, Meta(description="worker processes that read and measure clips; 0 for one per core")
    ] = 0
    poll: Annotated[
        bool, Meta(description="check for changes every 2 seconds, for file systems without change events")
    ] = False


class CheckSettings(Section, frozen=True):
    """Limits of the checks; `fishtui validate` reports clips beyond them."""

    ignore: Annotated[tuple[str, ...], Meta(description="names of checks to skip, such as clipped")] = ()
    min_seconds: Annotated[NotBelowZero, Meta(description="shortest clip in seconds")] = 0.5
    max_seconds: Annotated[Positive, Meta(description="longest clip in seconds")] = 30.0
    min_sample_rate: Annotated[NotNegative, Meta(description="lowest sample rate in Hz")] = 22_050
    loudness_tolerance: Annotated[
        NotBelowZero, Meta(description="largest difference from normalize.loudness in LU")
    ] = 6.0
    max_clipped_runs: Annotated[NotNegative, Meta(description="most places where the waveform is clipped")] = 2
    min_high_band: Annotated[
        float, Meta(le=0, description="least energy above 8 kHz in dB, relative to the energy below")
    ] = -60.0
    max_channel_difference: Annotated[
        Share, Meta(description="largest difference of a channel from the mean of all channels, as a share")
    ] = 0.1
    max_dc_offset: Annotated[Share, Meta(description="largest DC offset as a share of full scale")] = 0.005
    max_end_silence: Annotated[NotBelowZero, Meta(description="longest silence before or after speech in seconds")] = (
        0.75
    )
    max_silence: Annotated[NotBelowZero, Meta(description="longest pause within a clip in seconds")] = 1.5
    min_snr: Annotated[float, Meta(description="lowest signal-to-noise ratio in dB")] = 15.0
    rate_ratio: Annotated[
        float, Meta(ge=1, description="largest factor between a clip's speaking rate and the speaker's median")
    ] = 1.4
    rate_spread: Annotated[
        NotBelowZero,
        Meta(
            description="largest difference of speaking rates in robust standard deviations, in addition to rate_ratio"
        ),
    ] = 4.0
    min_clips: Annotated[
        AtLeastOne, Meta(description="fewest clips of a speaker with which speaking rates and scripts are compared")
    ] = 8
    script_share: Annotated[
        Share, Meta(description="share of a speaker's clips in one script from which other scripts are reported")
    ] = 0.8
    similar_words: Annotated[
        AtLeastOne, Meta(description="fewest words of transcripts that are compared for similarity")
    ] = 5
    min_gain: Annotated[
        Share,
        Meta(description="smallest gain by the clip's own transcript, as a share of the median (fishtui score)"),
    ] = 0.25
    max_disagreement: Annotated[
        Share,
        Meta(description="largest share of wrong characters between transcript and recognition (fishtui transcribe)"),
    ] = 0.3
    min_speaker_minutes: Annotated[NotBelowZero, Meta(description="least audio per speaker in minutes")] = 1.0


class ExtractSettings(Section, frozen=True):
    """Extraction of codes."""

    batch_size: Annotated[AtLeastOne, Meta(description="largest batch in clips")] = 16
    batch_seconds: Annotated[Positive, Meta(description="largest batch in seconds of audio, including padding")] = 120.0
    workers: Annotated[NotNegative, Meta(description="processes that decode; 0 for 1 on a CPU, up to 8 for a GPU")] = 0
    device: Device = "auto"
    precision: Annotated[
        Literal["float32", "tf32", "bfloat16"],
        Meta(
            description="precision; float32 gives the codes of the published encoder, others are faster but change some"
        ),
    ] = "float32"
    resampler: Annotated[
        Literal["best", "published"],
        Meta(description="resampling filter; best is more exact, published is the filter of the published encoder"),
    ] = "best"
    devices: Annotated[AtLeastOne, Meta(description="processes per machine, one GPU each")] = 1
    nodes: Annotated[AtLeastOne, Meta(description="number of machines")] = 1


class ScoreSettings(Section, frozen=True):
    """Scoring of transcripts by the model."""

    batch_tokens: Annotated[AtLeastOne, Meta(description="largest batch in tokens, including padding")] = 16_384
    device: Device = "auto"
    precision: Annotated[
        Literal["auto", "float32", "bfloat16"],
        Meta(description="precision; auto is bfloat16 on GPUs that support it, otherwise float32"),
    ] = "auto"


class PackSettings(Section, frozen=True):
    """Packing into shards."""

    text_extension: Annotated[str, Meta(pattern=r"^\.[^./\\]+$", description="file extension of transcripts")] = ".lab"
    shard_size: Annotated[Positive, Meta(description="size in MB after which a new shard is started")] = 10.0
    workers: Annotated[NotNegative, Meta(description="worker processes; 0 for one per core")] = 0
    validation: Annotated[Share, Meta(description="share of the clips held out for validation")] = 0.05


class TrainSettings(Section, frozen=True):
    """Training."""

    method: Annotated[Literal["lora", "full"], Meta(description="train LoRA adapters, or every weight")] = "lora"
    lora: Annotated[
        str,
        Meta(
            pattern=r"^r_[1-9]\d*_alpha_[1-9]\d*(_fast)?$",
            description="LoRA rank R and alpha A; _fast adapts the fast transformer only",
            extra={"metavar": "r_R_alpha_A[_fast]"},
        ),
    ] = "r_8_alpha_16"
    targets: Annotated[
        tuple[Annotated[str, Meta(pattern=r"^(fast_)?(attention|mlp|embeddings|output)$")], ...],
        Meta(
            description="modules to adapt instead of train.lora's: attention, mlp, embeddings, output, fast_attention …"
        ),
    ] = ()
    dropout: Annotated[
        Annotated[float, Meta(ge=0, lt=1)] | None,
        Meta(description="dropout of the adapter inputs; empty takes the preset's: 0.01, or 0.1 with _fast"),
    ] = None
    template: Annotated[
        str,
        Meta(
            pattern=r"^[a-z-]*$",
            description="prompt template of training, one of the model's; empty takes the model's own",
            extra={"metavar": "TEMPLATE"},
        ),
    ] = ""
    reference_share: Annotated[
        Share,
        Meta(description="share of the sequences that begin with a reference, for models that learn with references"),
    ] = 0.5
    learning_rate: Annotated[Positive, Meta(description="learning rate after warm-up")] = 1e-4
    warmup: Annotated[NotNegative, Meta(description="warm-up steps")] = 10
    weight_decay: Annotated[float, Meta(ge=0, description="weight decay of AdamW")] = 0.0
    clip_norm: Annotated[Positive, Meta(description="gradient norm to clip at")] = 1.0
    batch_size: Annotated[
        AtLeastOne,
        Meta(description="rows per batch in each process; a row holds clips of up to train.max_length tokens"),
    ] = 4
    accumulate: Annotated[AtLeastOne, Meta(description="batches per optimizer step")] = 1
    max_length: Annotated[
        int, Meta(ge=16, description="tokens per row of a batch; longer clips are skipped and reported")
    ] = 4096
    clips_per_sequence: Annotated[
        AtLeastOne, Meta(description="most clips of one speaker in a sequence; a row holds several sequences")
    ] = 4
    max_steps: Annotated[AtLeastOne, Meta(description="optimizer steps")] = 10_000
    validate_every: Annotated[AtLeastOne, Meta(description="steps between validations and checkpoints")] = 100
    validation_clips: Annotated[
        NotNegative, Meta(description="most held-out clips in a validation, always the same ones; 0 for all")
    ] = 1000
    keep: Annotated[AtLeastOne, Meta(description="newest checkpoints to keep, besides the best")] = 5
    patience: Annotated[
        NotNegative, Meta(description="validations without a gain after which the training ends; 0 for no such end")
    ] = 0
    samples: Annotated[
        int, Meta(ge=-1, description="held-out lines spoken at each validation; -1 for 2 on a GPU and none on a CPU")
    ] = -1
    drafts: Annotated[
        Literal["allow", "exclude"],
        Meta(description="clips whose transcript is a draft that nobody accepted or edited: allow, or exclude them"),
    ] = "allow"
    gate: Annotated[
        bool,
        Meta(description="refuse a model whose first loss shows that its weights are wrong; off for random ones"),
    ] = True
    logger: Annotated[
        Literal["none", "tensorboard", "wandb", "csv"],
        Meta(description="log of the metrics for another program, in the folder of the results"),
    ] = "none"
    seed: Annotated[NotNegative, Meta(description="random seed of data order, adapters and dropout")] = 42
    device: Device = "auto"
    precision: Annotated[
        Literal["auto", "float32", "bfloat16"],
        Meta(description="precision; auto is bfloat16 on GPUs that support it, otherwise float32"),
    ] = "auto"
    gradient_checkpointing: Annotated[
        Literal["auto", "on", "off"],
        Meta(description="recompute activations to save memory, a third slower; auto decides by the free memory"),
    ] = "auto"
    compile: Annotated[bool, Meta(description="compile the model (GPU only, not with fsdp): faster steps")] = False
    devices: Annotated[AtLeastOne, Meta(description="processes per machine, one GPU each")] = 1
    nodes: Annotated[AtLeastOne, Meta(description="number of machines")] = 1
    strategy: Annotated[
        Literal["ddp", "fsdp"],
        Meta(description="parallel training: ddp copies the model to every process, fsdp shards it"),
    ] = "ddp"


class SynthesizeSettings(Section, frozen=True):
    """Synthesis."""

    temperature: Annotated[
        Annotated[float, Meta(ge=0, le=2)] | None,
        Meta(description="sampling temperature; 0 is greedy, empty takes the model's own"),
    ] = None
    top_p: Annotated[
        Annotated[float, Meta(gt=0, le=1)] | None,
        Meta(description="probability mass to sample from; empty takes the model's own"),
    ] = None
    top_k: Annotated[
        AtLeastOne | None, Meta(description="most tokens to sample from; empty takes the model's own number")
    ] = None
    repetition_penalty: Annotated[
        Annotated[float, Meta(ge=1, le=2)] | None,
        Meta(description="repetition penalty; 1 disables it, empty takes the model's own"),
    ] = None
    max_seconds: Annotated[Positive, Meta(description="longest speech per text in seconds")] = 60.0
    seconds_per_character: Annotated[
        Positive, Meta(description="longest speech per character of a text in seconds, in addition to 3 s per text")
    ] = 0.5
    seed: Annotated[NotNegative, Meta(description="random seed")] = 42
    device: Device = "auto"
    precision: Annotated[
        Literal["auto", "float32", "bfloat16"],
        Meta(description="precision; auto is bfloat16 on GPUs that support it, otherwise float32"),
    ] = "auto"
    compile: Annotated[bool, Meta(description="capture a CUDA graph (GPU only), faster from some fifty frames")] = True


class RunSettings(Section, frozen=True):
    """The pipeline, `fishtui run`, and its submission to SLURM."""

    source: Annotated[
        OptionalPath, Meta(description="folder of recordings to normalize into paths.data; empty skips normalize")
    ] = ""
    name: Annotated[
        str, Meta(pattern=r"^(?!\.{1,2}$)[^/\x00]+$", description="name of the training, without slashes")
    ] = "voice"
    evaluate: Annotated[
        bool, Meta(description="evaluate the checkpoints before merge, which then takes the recommended one")
    ] = True
    text: Annotated[str, Meta(description="text to synthesize")] = "Good morning. It is nice to hear you."
    reference: Annotated[
        OptionalPath, Meta(description="reference recording of the voice; empty takes a clip held out for validation")
    ] = ""
    sbatch: Annotated[
        tuple[str, ...], Meta(description="options of sbatch, such as --partition=gpu --time=8:00:00")
    ] = ()
    notify: Annotated[
        tuple[str, ...],
        Meta(
            description="Apprise addresses that get a message when a run or pipeline ends, such as ntfy://TOPIC",
            extra={"is_secret": True},
        ),
    ] = ()


class ListenSettings(Section, frozen=True):
    """Listening in a browser."""

    port: Annotated[
        int, Meta(ge=0, le=65_535, description="port to serve recordings on; 0 for any free one, a new one each time")
    ] = 0


class UiSettings(Section, frozen=True):
    """The interface."""

    mouse: Annotated[
        bool,
        Meta(description="react to the mouse, except in GNU screen; if false, the mouse selects text in the terminal"),
    ] = True
    autoplay: Annotated[
        bool, Meta(description="play each clip when the cursor moves to it; p on the screen Clips switches it")
    ] = False


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All settings of a project."""

    paths: PathSettings = PathSettings()
    normalize: NormalizeSettings = NormalizeSettings()
    slice: SliceSettings = SliceSettings()
    scan: ScanSettings = ScanSettings()
    checks: CheckSettings = CheckSettings()
    extract: ExtractSettings = ExtractSettings()
    score: ScoreSettings = ScoreSettings()
    transcribe: TranscribeSettings = TranscribeSettings()
    pack: PackSettings = PackSettings()
    train: TrainSettings = TrainSettings()
    synthesize: SynthesizeSettings = SynthesizeSettings()
    evaluate: EvaluateSettings = EvaluateSettings()
    run: RunSettings = RunSettings()
    listen: ListenSettings = ListenSettings()
    ui: UiSettings = UiSettings()
