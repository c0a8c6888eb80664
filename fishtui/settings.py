"""Typed settings, and where each value came from: defaults < fishtui.toml < environment < command line."""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from fishtui.errors import MisuseError
from fishtui.wording import did_you_mean, reason_of

ENVIRONMENT_PREFIX = "FISHTUI_"
REPAIR = "Fix the file in an editor, or compare it with a new one from `fishtui init`."

Device = Annotated[str, Meta(pattern=r"^(auto|cpu|cuda(:\d+)?)$")]
AtLeastOne = Annotated[int, Meta(ge=1)]
NotNegative = Annotated[int, Meta(ge=0)]
Share = Annotated[float, Meta(ge=0, le=1)]
Positive = Annotated[float, Meta(gt=0)]
NotBelowZero = Annotated[float, Meta(ge=0)]


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of the settings file."""


# All numbers are smaller: libraries that get them count in 64 bits. Infinity, and what is no number, can't be written
# as JSON either.
LIMIT = 2**63


class PathSettings(Section, frozen=True):
    """Where things lie; relative paths start at the project folder."""

    data: Annotated[str, Meta(description="the dataset: SPEAKER/clip.wav with clip.lab")] = "data"
    protos: Annotated[str, Meta(description="the packed shards")] = "data/protos"
    checkpoint: Annotated[str, Meta(description="the pretrained model")] = "checkpoints/openaudio-s1-mini"


class NormalizeSettings(Section, frozen=True):
    """Loudness of the recordings."""

    loudness: Annotated[float, Meta(ge=-70, le=0, description="target loudness in LUFS")] = -23.0
    peak: Annotated[float, Meta(ge=-40, le=0, description="highest sample peak in dBFS")] = -1.0
    workers: Annotated[NotNegative, Meta(description="processes; 0 takes one per core")] = 0


class ScanSettings(Section, frozen=True):
    """Following the dataset on disk."""

    workers: Annotated[NotNegative, Meta(description="processes that read and measure; 0 takes one per core")] = 0
    poll: Annotated[bool, Meta(description="look every two seconds, on a file system that tells of no changes")] = False


class CheckSettings(Section, frozen=True):
    """Limits of the checks: what lies beyond is found by `fishtui validate`."""

    ignore: Annotated[tuple[str, ...], Meta(description="codes of checks that are left out")] = ()
    min_seconds: Annotated[NotBelowZero, Meta(description="shortest clip")] = 0.5
    max_seconds: Annotated[Positive, Meta(description="longest clip")] = 30.0
    min_sample_rate: Annotated[NotNegative, Meta(description="lowest sample rate in Hz")] = 22_050
    loudness_tolerance: Annotated[
        NotBelowZero, Meta(description="furthest from normalize.loudness, in LU, either way")
    ] = 6.0
    max_clipped_runs: Annotated[NotNegative, Meta(description="places where the waveform is cut off, at most")] = 2
    min_high_band: Annotated[
        float, Meta(le=0, description="least energy above 8 kHz, in dB relative to that below")
    ] = -60.0
    max_channel_difference: Annotated[
        Share, Meta(description="furthest that a channel may be from the mean of all, as a share")
    ] = 0.1
    max_dc_offset: Annotated[Share, Meta(description="largest offset from zero, as a share of full scale")] = 0.005
    max_end_silence: Annotated[NotBelowZero, Meta(description="longest silence before or after speech, in seconds")] = (
        0.75
    )
    max_silence: Annotated[NotBelowZero, Meta(description="longest pause inside, in seconds")] = 1.5
    min_snr: Annotated[float, Meta(description="lowest ratio of speech to noise, in dB")] = 15.0
    rate_ratio: Annotated[
        float, Meta(ge=1, description="furthest from the speaker's median rate of speech, as a factor")
    ] = 1.4
    rate_spread: Annotated[
        NotBelowZero, Meta(description="the same, in robust standard deviations: both must be passed")
    ] = 4.0
    min_clips: Annotated[
        AtLeastOne, Meta(description="fewest clips of a speaker that rate and script of one are compared with")
    ] = 8
    script_share: Annotated[
        Share, Meta(description="share of a speaker's clips in one script, from which on others are foreign")
    ] = 0.8
    similar_words: Annotated[AtLeastOne, Meta(description="shortest transcripts that are compared, in words")] = 5
    min_speaker_minutes: Annotated[NotBelowZero, Meta(description="least audio of a speaker, in minutes")] = 1.0


class ExtractSettings(Section, frozen=True):
    """Codec tokens of each clip."""

    batch_size: Annotated[AtLeastOne, Meta(description="clips in a batch, at most")] = 16
    batch_seconds: Annotated[Positive, Meta(description="audio in a batch, padding included, in seconds, at most")] = (
        120.0
    )
    workers: Annotated[AtLeastOne, Meta(description="processes that decode audio ahead of the model")] = 1
    device: Annotated[Device, Meta(description="auto, cpu, cuda or cuda:N")] = "auto"
    precision: Annotated[
        Literal["float32", "tf32", "bfloat16"],
        Meta(description="float32 gives the published codes; the others are quicker and change some"),
    ] = "float32"
    resampler: Annotated[
        Literal["best", "published"],
        Meta(description="best: Kaiser window; published: the filter that published codes were made with"),
    ] = "best"
    devices: Annotated[AtLeastOne, Meta(description="processes on each machine, each with a GPU of its own")] = 1
    nodes: Annotated[AtLeastOne, Meta(description="machines that work together")] = 1


class PackSettings(Section, frozen=True):
    """Shards of transcripts and codes, and the part that is held out."""

    text_extension: Annotated[str, Meta(pattern=r"^\.[^./\\]+$", description="ending of a transcript's file name")] = (
        ".lab"
    )
    shard_size: Annotated[Positive, Meta(description="a shard is closed once it passes this, in MB")] = 10.0
    workers: Annotated[NotNegative, Meta(description="processes; 0 takes one per core")] = 0
    validation: Annotated[Share, Meta(description="share of the clips held out from training")] = 0.05


class TrainSettings(Section, frozen=True):
    """Fine-tuning."""

    method: Annotated[Literal["lora", "full"], Meta(description="adapt by LoRA, or train every weight")] = "lora"
    lora: Annotated[
        str,
        Meta(pattern=r"^r_\d+_alpha_\d+(_fast)?$", description="r_R_alpha_A, with _fast for the fast transformer only"),
    ] = "r_8_alpha_16"
    targets: Annotated[
        tuple[str, ...],
        Meta(description="what LoRA adapts, in place of the preset's: attention mlp embeddings output, fast_…"),
    ] = ()
    dropout: Annotated[float, Meta(ge=0, lt=1, description="dropout before the adapters")] = 0.01
    template: Annotated[
        Literal["interleave", "instruct"],
        Meta(description="the prompt, in training and in synthesis; instruct is for compatibility"),
    ] = "interleave"
    learning_rate: Annotated[Positive, Meta(description="after the warm-up")] = 1e-4
    warmup: Annotated[NotNegative, Meta(description="steps until the full learning rate")] = 10
    weight_decay: Annotated[float, Meta(ge=0, description="AdamW's weight decay")] = 0.0
    clip_norm: Annotated[Positive, Meta(description="gradient norm is clipped at this")] = 1.0
    batch_size: Annotated[AtLeastOne, Meta(description="rows in a batch of each process")] = 4
    accumulate: Annotated[AtLeastOne, Meta(description="batches per optimizer step")] = 1
    max_length: Annotated[int, Meta(ge=16, description="tokens in a row; a longer clip is left out and named")] = 4096
    clips_per_sequence: Annotated[
        AtLeastOne, Meta(description="clips of one speaker that follow each other, at most")
    ] = 4
    max_steps: Annotated[AtLeastOne, Meta(description="optimizer steps in all")] = 10_000
    validate_every: Annotated[AtLeastOne, Meta(description="steps between validations, and checkpoints")] = 100
    keep: Annotated[AtLeastOne, Meta(description="newest checkpoints kept, beside the best")] = 5
    seed: Annotated[NotNegative, Meta(description="of data order, adapters and dropout")] = 42
    device: Annotated[Device, Meta(description="auto, cpu, cuda or cuda:N")] = "auto"
    precision: Annotated[
        Literal["auto", "float32", "bfloat16"], Meta(description="auto: bfloat16 on a GPU that has it, else float32")
    ] = "auto"
    gradient_checkpointing: Annotated[
        Literal["auto", "on", "off"],
        Meta(description="less memory for a third more time; auto: only when memory asks for it"),
    ] = "auto"
    devices: Annotated[AtLeastOne, Meta(description="processes on each machine, each with a GPU of its own")] = 1
    nodes: Annotated[AtLeastOne, Meta(description="machines that train together")] = 1
    strategy: Annotated[
        Literal["ddp", "fsdp"],
        Meta(description="of several processes: ddp, each holds the whole model; fsdp, they share its blocks out"),
    ] = "ddp"


class SynthesizeSettings(Section, frozen=True):
    """Speech from text."""

    temperature: Annotated[float, Meta(ge=0, le=2, description="0 takes the likeliest")] = 0.7
    top_p: Annotated[float, Meta(gt=0, le=1, description="share of probability that is sampled from")] = 0.7
    repetition_penalty: Annotated[float, Meta(ge=1, le=2, description="1 is none")] = 1.5
    max_seconds: Annotated[Positive, Meta(description="longest speech for one text")] = 60.0
    seed: Annotated[NotNegative, Meta(description="of sampling")] = 42
    device: Annotated[Device, Meta(description="auto, cpu, cuda or cuda:N")] = "auto"
    precision: Annotated[
        Literal["auto", "float32", "bfloat16"], Meta(description="auto: bfloat16 on a GPU that has it, else float32")
    ] = "auto"
    compile: Annotated[bool, Meta(description="compile the model first: slow to start, then quicker (GPU)")] = False


class RunSettings(Section, frozen=True):
    """The pipeline: what `fishtui run` makes of the recordings, and how it is submitted to a cluster."""

    source: Annotated[
        str, Meta(description="recordings that normalize brings into paths.data; empty leaves normalize out")
    ] = ""
    name: Annotated[
        str, Meta(pattern=r"^(?!\.{1,2}$)[^/\x00]+$", description="the training's name, without slashes")
    ] = "voice"
    text: Annotated[str, Meta(description="what synthesize says at the end")] = "Good morning. It is nice to hear you."
    reference: Annotated[str, Meta(description="a recording of the voice; empty takes a clip that was held out")] = ""
    sbatch: Annotated[
        tuple[str, ...], Meta(description="options for sbatch, such as --partition=gpu --time=8:00:00")
    ] = ()


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All settings of a project."""

    paths: PathSettings = PathSettings()
    normalize: NormalizeSettings = NormalizeSettings()
    scan: ScanSettings = ScanSettings()
    checks: CheckSettings = CheckSettings()
    extract: ExtractSettings = ExtractSettings()
    pack: PackSettings = PackSettings()
    train: TrainSettings = TrainSettings()
    synthesize: SynthesizeSettings = SynthesizeSettings()
    run: RunSettings = RunSettings()


@dataclass(frozen=True)
class Setting:
    """One setting: its dotted name, default, type and one line of help."""

    name: str
    default: Any
    type: Any
    help: str


class SettingError(MisuseError):
    """A setting that does not exist, or a value that it cannot have.

    `name` is the setting, `value` what was given for it, `reason` why that is wrong, without the other two.
    """

    def __init__(self, source: str, name: str, value: Any, reason: str, remedy: str, *, code: str) -> None:
        shown = f"{name} = {value!r}" if code == "bad-setting" else name
        super().__init__(f"{source}: {shown}: {reason}", remedy, code=code)
        self.name = name
        self.value = value
        self.reason = reason


@dataclass(frozen=True)
class Loaded:
    """The settings in force, and for each dotted name that isn't a default's where its value came from."""

    values: Settings
    sources: Mapping[str, str] = field(default_factory=dict)


@cache
def known() -> Mapping[str, Setting]:
    """Every setting there is by its name, section by section."""
    return {
        (name := f"{section.name}.{item.name}"): Setting(name, item.default, item.type, _description(item.type))
        for section in msgspec.structs.fields(Settings)
        for item in msgspec.structs.fields(section.type)
    }


def load(settings_file: Path, environment: Mapping[str, str] | None = None, overrides: Iterable[str] = ()) -> Loaded:
    """Settings from all their sources; `overrides` are `section.key=value`, the last one wins.

    Raises MisuseError that names the file or variable, the key, the nearest known key, and what is wrong.
    """
    catalog = known()
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}

    def take(name: str, value: Any, source: str) -> None:
        values[name] = _convert(_find(catalog, name, value, source), value, source)
        sources[name] = source

    for name, value in _read_toml(settings_file):
        take(name, value, settings_file.name)
    variables = {ENVIRONMENT_PREFIX + name.replace(".", "_").upper(): name for name in catalog}
    for variable, value in (os.environ if environment is None else environment).items():
        if variable in variables:
            take(variables[variable], value, f"${variable}")
    for override in overrides:
        name, equals, value = override.partition("=")
        if not equals:
            raise MisuseError(f"--set {override}: no value", "Write it as --set section.key=value.", code="no-value")
        take(name.strip(), value, "--set")

    return Loaded(_build(values), sources)


def _read_toml(path: Path) -> Iterator[tuple[str, Any]]:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise MisuseError(f"{path}: cannot read: {reason_of(error)}", REPAIR, code="bad-settings-file") from error
    for section, table in content.items():
        if not isinstance(table, dict):
            raise MisuseError(
                f"{path}: {section} is outside a section",
                f"Put it into one of [{'], ['.join(_sections())}].",
                code="no-section",
            )
        if section not in _sections():
            remedy = did_you_mean(section, _sections()) or f"The sections are [{'], ['.join(_sections())}]."
            raise MisuseError(f"{path}: unknown section [{section}]", remedy, code="unknown-section")
        yield from ((f"{section}.{key}", value) for key, value in table.items())


def _sections() -> list[str]:
    return [section.name for section in msgspec.structs.fields(Settings)]


def _find(catalog: Mapping[str, Setting], name: str, value: Any, source: str) -> Setting:
    if name not in catalog:
        remedy = did_you_mean(name, catalog) or "Run `fishtui init` in a new folder: its fishtui.toml lists them all."
        raise SettingError(source, name, value, "unknown setting", remedy, code="unknown-setting")
    return catalog[name]


def _convert(setting: Setting, value: Any, source: str) -> Any:
    if isinstance(value, str) and isinstance(setting.default, tuple):
        value = _listed(value)
    try:
        # Text from the environment and the command line can be a number; text in the file cannot.
        found = msgspec.convert(value, setting.type, strict=not source.startswith(("$", "--")))
        if isinstance(found, int | float) and not abs(found) < LIMIT:
            raise msgspec.ValidationError("Expected a finite number below 2^63")
        return found
    except msgspec.ValidationError as error:
        reason = str(error).partition(" - at ")[0]
        if " matching regex " in reason:
            # The help explains the pattern in words.
            reason = "not a valid value"
        remedy = f"{setting.name}: {setting.help}."
        raise SettingError(source, setting.name, value, reason, remedy, code="bad-setting") from error


def _listed(text: str) -> tuple[Any, ...]:
    """The words of a list, as it stands in the file (`["a", "b"]`) or with nothing but blanks or commas between."""
    if text.lstrip().startswith("["):
        with suppress(ValueError):
            return tuple(json.loads(text))
    return tuple(part for part in re.split(r'[\s,"\[\]]+', text) if part)


def _build(values: Mapping[str, Any]) -> Settings:
    tables: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        section, _, key = name.partition(".")
        tables.setdefault(section, {})[key] = value
    types = {section.name: section.type for section in msgspec.structs.fields(Settings)}
    return Settings(**{section: types[section](**table) for section, table in tables.items()})


def _description(annotated: Any) -> str:
    """The outermost description in nested Annotated types."""
    described = [
        meta.description for meta in getattr(annotated, "__metadata__", ()) if getattr(meta, "description", None)
    ]
    return described[-1] if described else ""


def template() -> str:
    """A commented settings file with every key at its default."""
    lines = ["# Settings of this project. Every key is optional; those commented out stand at their defaults.", ""]
    for section in msgspec.structs.fields(Settings):
        lines += [f"# {section.type.__doc__}", f"[{section.name}]"]
        for item in msgspec.structs.fields(section.type):
            lines.append(written(known()[f"{section.name}.{item.name}"]))
        lines.append("")
    return "\n".join(lines)


def written(setting: Setting, value: Any = None) -> str:
    """The setting's line in a commented settings file: with a value; or with its default, and commented out."""
    # A JSON scalar or list of them is also a TOML value.
    content = msgspec.json.encode(setting.default if value is None else value).decode()
    line = f"{'# ' if value is None else ''}{setting.name.partition('.')[2]} = {content}"
    return f"{line:<44}  # {setting.help}"


def schema() -> dict[str, Any]:
    """The JSON schema of the settings, as published in `schemas/settings.schema.json`."""
    return msgspec.json.schema(Settings)
