"""Train the language model of the demo, by fishtui's own stages, on sequences of digits from all speakers but one."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from fishtui.audio.encode import write_audio
from fishtui.checkpoint import CheckpointFolder
from fishtui.codec.model import Codec
from fishtui.families.registry import DEFAULT
from fishtui.lm.config import ModelConfig
from fishtui.project import Project
from tests.demo_model.data import RATE, WORDS, Clip, by_speaker, draw_sequence, join, levelled
from tests.demo_model.measure import text_of
from tests.tinymodels.checkpoint import published_tensors, write_codec_files
from tests.tinymodels.s1 import write_random_model, write_tokenizer

# Clear recordings of an unmistakable voice: the recognizer reads them best.
HELD_OUT = "jackson"
NAME = "base"
# Each word, with and without the space before it, is one token, and so are the parts of the speaker's mark.
MERGES = (*WORDS, *(f" {word}" for word in WORDS), "<|", "|>", "speaker")


@dataclass(frozen=True)
class Round:
    """A training that continues from the model of the one before, on sequences that no other round has.

    `voices` are pairs of speed and tilt, which change the recordings: faster, slower, brighter and darker ones sound
    like further speakers. `sequences` are those of each speaker in each voice, of at most `longest` digits. `schedule`
    holds learning rates, and the step that each holds up to.
    """

    voices: tuple[tuple[float, float], ...]
    sequences: int
    schedule: tuple[tuple[float, int], ...]
    longest: int = 6


# With the sequences of the first round alone, the model learns them by heart, and skips digits of others.
ROUNDS = (
    Round(
        ((0.85, 0.0), (0.92, 0.0), (1.0, 0.0), (1.08, 0.0), (1.16, 0.0)),
        sequences=240,
        schedule=((1e-3, 2600), (3e-4, 2750)),
    ),
    Round(
        ((0.88, 0.0), (0.96, 0.0), (1.0, 0.0), (1.04, 0.0), (1.12, 0.0)),
        sequences=480,
        schedule=((6e-4, 1500), (2e-4, 2300), (6e-5, 2700)),
    ),
    Round(
        ((0.8, 0.0), (0.9, 0.3), (1.0, -0.3), (1.0, 0.0), (1.1, 0.3), (1.2, -0.3)),
        sequences=400,
        schedule=((5e-4, 1500), (2e-4, 2300), (6e-5, 2700)),
        longest=8,
    ),
)
SETTINGS = """\
# Trains the language model of `fishtui demo`.
[paths]
checkpoint = "checkpoints/start"

[pack]
validation = 0.02

[train]
method = "full"
batch_size = 4
max_length = 512
warmup = 100
weight_decay = 0.01
validate_every = 250
keep = 2
device = "cpu"

[synthesize]
device = "cpu"
repetition_penalty = 1.0
"""


def sizes(ids: dict[str, int], codec: Codec) -> ModelConfig:
    """Return the sizes of the model for a tokenizer with these special tokens, and for `codec`."""
    return ModelConfig(
        vocab_size=max(ids.values()) + 1,
        num_codebooks=len(codec.config.codebook_sizes),
        codebook_size=max(codec.config.codebook_sizes),
        max_seq_len=2048,
        rope_base=10_000,
        norm_eps=1e-6,
        scale_codebook_embeddings=True,
        tie_word_embeddings=False,
        dim=192,
        n_layer=4,
        n_head=6,
        n_local_heads=2,
        head_dim=32,
        intermediate_size=512,
        attention_qkv_bias=False,
        attention_o_bias=False,
        attention_qk_norm=True,
        fast_dim=128,
        n_fast_layer=2,
        fast_n_head=4,
        fast_n_local_heads=2,
        fast_head_dim=32,
        fast_intermediate_size=256,
        fast_attention_qkv_bias=False,
        fast_attention_o_bias=False,
        fast_attention_qk_norm=False,
    )


def write_base(folder: Path, codec: Codec) -> None:
    """Write a checkpoint folder with `codec` and random weights of the language model."""
    folder.mkdir(parents=True, exist_ok=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(4)
        ranks, specials = (folder / name for name in DEFAULT.tokenizer_names)
        ids = write_tokenizer(ranks, specials, MERGES, codec.config.semantic_codebook_size)
        files = CheckpointFolder(folder)
        write_random_model(files.config_file, folder / DEFAULT.weight_names(())[0], sizes(ids, codec), ids)
    write_codec_files(*files.codec_files, codec.config, published_tensors(codec))


def write_clips(folder: Path, clips: Sequence[Clip], part: Round, seed: int) -> None:
    """Write the sequences of digits of a round, with their transcripts."""
    random = np.random.default_rng(seed)
    for speaker, own in sorted(by_speaker(clips).items()):
        for speed, tilt in part.voices:
            target = folder / f"{speaker}-{speed:.2f}{tilt:+.1f}"
            target.mkdir(parents=True, exist_ok=True)
            for number in range(part.sequences):
                drawn = draw_sequence(own, int(random.integers(2, part.longest + 1)), random)
                samples = join([tilted(at_speed(clip, speed), tilt) for clip in drawn], random)
                write_audio(target / f"{number:03d}.wav", samples, RATE)
                (target / f"{number:03d}.lab").write_text(
                    text_of([clip.digit for clip in drawn]) + "\n", encoding="utf-8"
                )


def at_speed(clip: Clip, speed: float) -> Clip:
    """Return `clip` played faster or slower, its pitch and timbre with it."""
    if speed == 1:
        return clip
    times = np.arange(0, len(clip.samples) - 1, speed)
    samples = np.interp(times, np.arange(len(clip.samples)), clip.samples).astype(np.float32)
    return Clip(clip.digit, clip.speaker, clip.take, samples)


def tilted(clip: Clip, tilt: float) -> Clip:
    """Return `clip` with its high frequencies raised, or lowered if `tilt` is below 0; at the level of other clips."""
    if tilt == 0:
        return clip
    earlier = np.concatenate([np.zeros(1, np.float32), clip.samples[:-1]])
    return Clip(clip.digit, clip.speaker, clip.take, levelled(clip.samples - tilt * earlier))


def at_most(part: Round, steps: int) -> Round:
    """Return the round with at most `steps` steps."""
    return replace(part, schedule=tuple((rate, min(until, steps)) for rate, until in part.schedule))


def trained(state: Path) -> Path:
    """Return the folder of the trained model."""
    return state / "language"


def train(state: Path, clips: Sequence[Clip], codec: Codec, rounds: Sequence[Round] = ROUNDS) -> Path:
    """Train all rounds, each from its newest checkpoint if there is one; return the folder of the model."""
    clips = [clip for clip in clips if clip.speaker != HELD_OUT]
    models: list[Path] = []
    for number, part in enumerate(rounds):
        project = Project(state / f"language-{number}")
        models.append(train_round(project, models[-1] if models else None, clips, codec, part, seed=5 + number))
    write_mean(models[-2:], trained(state))
    return trained(state)


def write_mean(models: Sequence[Path], target: Path) -> None:
    """Write a checkpoint folder with the mean of the weights of these models.

    The mean of the last two rounds learns another voice with fewer errors than either of them.
    """
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(models[0], target)
    name = DEFAULT.weight_names(())[0]
    weights = [torch.load(model / name, weights_only=True) for model in models]
    mean = {
        key: torch.stack([each[key].float() for each in weights]).mean(0).to(value) for key, value in weights[0].items()
    }
    torch.save(mean, target / name)


def train_round(
    project: Project, model: Path | None, clips: Sequence[Clip], codec: Codec, part: Round, seed: int
) -> Path:
    """Train a round from `model`, or random weights; return the folder of its model. Finished parts are kept."""
    project.root.mkdir(parents=True, exist_ok=True)
    project.settings_file.write_text(SETTINGS, encoding="utf-8")
    output = project.checkpoints / NAME
    if output.exists():
        return output
    prepare_data(project, clips, codec, part, seed)
    start = project.checkpoints / "start"
    if model is not None:
        shutil.copytree(model, start, dirs_exist_ok=True)
    fishtui(project, "pack")
    for rate, until in part.schedule:
        fishtui(project, "train", NAME, "--resume", "--learning-rate", str(rate), "--max-steps", str(until))
    step = str(part.schedule[-1][1])
    fishtui(project, "merge", NAME, "--step", step, "--output", str(output))
    return output


def prepare_data(project: Project, clips: Sequence[Clip], codec: Codec, part: Round, seed: int) -> None:
    """Write the recordings of a round and their codes."""
    project.root.mkdir(parents=True, exist_ok=True)
    project.settings_file.write_text(SETTINGS, encoding="utf-8")
    if not (project.checkpoints / "start").exists():
        write_base(project.checkpoints / "start", codec)
    if not (project.root / "data").exists():
        write_clips(project.root / "data", clips, part, seed)
    fishtui(project, "extract")


def fishtui(project: Project, *words: str) -> None:
    """Run a stage as a user does."""
    command = [sys.executable, "-m", "fishtui", *words, "--project", str(project.root)]
    if subprocess.run(command).returncode:
        raise SystemExit(f"failed: {' '.join(command)}")
