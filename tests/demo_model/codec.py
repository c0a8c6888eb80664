"""Train the codec of the demo, with the layers and the forward pass of fishtui's own.

It learns without quantization first. Then principal components and k-means start the projections and codebooks, because
codebooks from a random start collapse to one code. Training continues straight through them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import cos, pi

import msgspec
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from fishtui.codec.config import OFFICIAL, CodecConfig
from fishtui.codec.layers import Past, ResidualUnit, Snake
from fishtui.codec.model import Codec
from fishtui.codec.quantizer import ResidualQuantizer, VectorQuantizer
from tests.demo_model.data import RATE, Clip, Samples, by_speaker, draw_sequence, join
from tests.demo_model.spectral import distance, log_mel

CONFIG = CodecConfig(
    sample_rate=RATE,
    encoder_dim=12,
    encoder_rates=(8, 4, 5),
    encoder_transformer=msgspec.structs.replace(OFFICIAL.encoder_transformer, layers=(0, 0, 0)),
    latent_dim=96,
    downsample=(2,),
    semantic_codebook_size=256,
    residual_codebooks=7,
    residual_codebook_size=256,
    codebook_dim=8,
    quantizer_transformer=msgspec.structs.replace(
        OFFICIAL.quantizer_transformer, layers=1, dim=96, heads=4, head_dim=24, intermediate=256, window=32
    ),
    decoder_dim=128,
    decoder_rates=(5, 4, 8),
)
# The language model uses these many of them; more take it longer, and change the sound little.
CODEBOOKS = 4
FRAMES = 24
ROWS = 4
PEAK = (0.1, 0.95)
CONTINUOUS_STEPS = 1500
STEPS = 12_000
WARM_UP = 200
RATE_MAX = 1.5e-3
RATE_MIN = 1e-4
COMMITMENT = 0.05
HINT = 1.0
HINT_HOP = 80
HINT_WIDTH = 256
HINT_SPECTRA = ((256, 40), (512, 64))
# Of a code's share of use, the part of it that each step replaces, and the least that keeps a code as it is.
DECAY = 0.98
LEAST_USE = 0.1
START_BATCHES = 150


class Hint(nn.Module):
    """Predicts log-mel spectra from the vectors of frames, so that the encoder soon learns to keep what they hold.

    Its only use is this loss: through the decoder alone, few of the vectors' dimensions come into use.
    """

    def __init__(self) -> None:
        super().__init__()
        self.count = CONFIG.frame_length // HINT_HOP
        self.layers = nn.Sequential(
            nn.Linear(CONFIG.latent_dim, HINT_WIDTH),
            nn.GELU(),
            nn.Linear(HINT_WIDTH, self.count * sum(bands for _, bands in HINT_SPECTRA)),
        )

    def forward(self, z: Tensor, audio: Tensor) -> Tensor:
        """Return the mean difference for vectors z (B, T, latent_dim) of audio (B, samples)."""
        spectra = [log_mel(audio, window, bands, HINT_HOP)[:, :-1] for window, bands in HINT_SPECTRA]
        return (self.layers(z).unflatten(-1, (self.count, -1)).flatten(1, 2) - torch.cat(spectra, -1)).abs().mean()


@dataclass
class CodecState:
    """Everything that training changes."""

    codec: Codec
    hint: Hint
    optimizer: torch.optim.Optimizer
    step: int = 0
    usage: list[Tensor] = field(default_factory=list)
    sums: list[Tensor] = field(default_factory=list)

    def state_dict(self) -> dict:
        return {
            "codec": self.codec.state_dict(),
            "hint": self.hint.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "usage": self.usage,
            "sums": self.sums,
        }

    def load_state_dict(self, state: dict) -> None:
        self.codec.load_state_dict(state["codec"])
        self.hint.load_state_dict(state["hint"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.usage, self.sums = state["step"], state["usage"], state["sums"]


_fused = torch.compile(lambda x, alpha: x + (x * alpha).sin().square() / (alpha + 1e-9), dynamic=True)


class FusedSnake(Snake):
    """The same activation, compiled: alone it takes most of a step."""

    def forward(self, x: Tensor, past: Past) -> Tensor:
        return _fused(x, self.alpha.flatten())


def fuse(codec: Codec) -> None:
    """Let the activations of `codec` be compiled ones."""
    for module in codec.modules():
        if isinstance(module, Snake):
            module.__class__ = FusedSnake


def begin() -> CodecState:
    """Return an untrained codec."""
    torch.manual_seed(0)
    codec = Codec(CONFIG)
    with torch.no_grad():
        set_weights(codec)
    fuse(codec)
    hint = Hint()
    parameters = [p for name, p in codec.named_parameters() if "codebook" not in name] + [*hint.parameters()]
    return CodecState(codec, hint, torch.optim.AdamW(parameters, RATE_MAX, (0.8, 0.99), weight_decay=1e-4, fused=True))


def set_weights(codec: Codec) -> None:
    """Set random weights with which the signal keeps its level from layer to layer.

    The activations turn louder signals into noise, from which nothing is learnt for a long time.
    """
    for module in codec.modules():
        if isinstance(module, nn.Conv1d | nn.ConvTranspose1d):
            inputs, kernel = module.in_channels // module.groups, module.kernel_size[0]
            taps = kernel // module.stride[0] if isinstance(module, nn.ConvTranspose1d) else kernel
            nn.init.trunc_normal_(module.weight, std=(inputs * taps) ** -0.5)
            nn.init.zeros_(module.bias)
    for module in codec.modules():
        if isinstance(module, ResidualUnit):
            module.block[-1].conv.weight.mul_(0.2)
    for name, parameter in codec.named_parameters():
        if name.endswith("gamma"):
            nn.init.constant_(parameter, 0.3)
    # Recordings are quiet.
    codec.encoder.block[0].conv.weight.mul_(10)
    codec.decoder.model[-1].conv.weight.mul_(0.05)


def training_batch(clips: Sequence[Clip], step: int) -> Tensor:
    """Return rows of joined digits, (ROWS, samples, 1), each of one speaker and of its own level."""
    random = np.random.default_rng([1, step])
    speakers = by_speaker(clips)
    length = FRAMES * CONFIG.frame_length
    rows = np.zeros((ROWS, length, 1), np.float32)
    for row in rows:
        own = speakers[random.choice(sorted(speakers))]
        samples = join(draw_sequence(own, 6, random), random)
        begin = random.integers(max(1, len(samples) - length))
        part = samples[begin : begin + length]
        peak = np.exp(random.uniform(*np.log(PEAK)))
        row[: len(part), 0] = part * (peak / max(0.05, np.abs(part).max()))
    return torch.from_numpy(rows)


def train_step(state: CodecState, clips: Sequence[Clip]) -> dict[str, float]:
    """Take one step; return its figures."""
    codec = state.codec
    if state.step == CONTINUOUS_STEPS:
        start_codebooks(state, clips)
    audio = training_batch(clips, state.step)
    for group in state.optimizer.param_groups:
        group["lr"] = learning_rate(state.step)
    z = reduce(codec, audio)
    commitment = z.new_zeros(())
    value = z
    if state.step >= CONTINUOUS_STEPS:
        value, commitment = quantize(state, z)
    heard = render(codec, value)
    spectral = distance(heard[..., 0], audio[..., 0])
    hint = state.hint(value, audio[..., 0])
    loss = spectral + HINT * hint + COMMITMENT * commitment
    state.optimizer.zero_grad()
    loss.backward()
    norm = nn.utils.clip_grad_norm_(codec.parameters(), 1.0)
    if torch.isfinite(norm):
        state.optimizer.step()
    state.step += 1
    return {
        "spectral": spectral.item(),
        "hint": hint.item(),
        "commitment": commitment.item(),
        "gradient": norm.item(),
    }


def learning_rate(step: int) -> float:
    """Return a rate that rises at first, then falls as a cosine."""
    if step < WARM_UP:
        return RATE_MAX * (step + 1) / WARM_UP
    return RATE_MIN + (RATE_MAX - RATE_MIN) * (1 + cos(pi * min(1, step / STEPS))) / 2


def reduce(codec: Codec, audio: Tensor) -> Tensor:
    """Audio (B, samples, 1) → one vector per frame (B, frames, latent_dim)."""
    past = Past()
    return codec.quantizer.reduce(codec.encoder(audio, past, audio.shape[1]), past)


def render(codec: Codec, z: Tensor) -> Tensor:
    """One vector per frame → audio (B, samples, 1)."""
    past = Past()
    return codec.decoder(codec.quantizer.upsample(codec.quantizer.post_module(z, past), past), past)


def stages(codec: Codec) -> list[VectorQuantizer]:
    """Return the vector quantizers, each of which encodes what the earlier ones left."""
    parts: tuple[ResidualQuantizer, ...] = (codec.quantizer.semantic_quantizer, codec.quantizer.quantizer)
    return [stage for part in parts for stage in part.quantizers]


def quantize(state: CodecState, z: Tensor) -> tuple[Tensor, Tensor]:
    """Quantize straight through, with the last stages of some rows left out; update the codebooks.

    Returns the value (B, T, dim), and the mean distance of the points from their entries.
    """
    quantizers = stages(state.codec)
    random = torch.Generator().manual_seed(state.step)
    counts = torch.randint(1, len(quantizers) + 1, (len(z),), generator=random)
    counts[torch.rand(len(z), generator=random) < 0.5] = len(quantizers)
    value, rest, commitments = torch.zeros_like(z), z, []
    for index, quantizer in enumerate(quantizers):
        point = functional.linear(rest, quantizer.in_proj.weight.squeeze(-1), quantizer.in_proj.bias)
        codes = quantizer.encode(rest)
        entry = quantizer.codebook(codes).detach()
        spread = point.detach().var((0, 1)).sum() + 1e-6
        commitments.append((point - entry).square().sum(-1).mean() / spread)
        through = point + (entry - point).detach()
        part = functional.linear(through, quantizer.out_proj.weight.squeeze(-1), quantizer.out_proj.bias)
        value = value + part * (index < counts)[:, None, None]
        rest = rest - part
        update_codebook(state, index, point.detach().flatten(0, 1), codes.flatten(), random)
    return value, torch.stack(commitments).mean()


@torch.no_grad()
def update_codebook(state: CodecState, index: int, points: Tensor, codes: Tensor, random: torch.Generator) -> None:
    """Move each entry to the running mean of its points; move entries that are hardly used to points of the batch."""
    book = stages(state.codec)[index].codebook.weight
    used = functional.one_hot(codes, len(book)).type_as(points)
    usage, sums = state.usage[index], state.sums[index]
    usage.mul_(DECAY).add_(used.sum(0), alpha=1 - DECAY)
    sums.mul_(DECAY).add_(used.T @ points, alpha=1 - DECAY)
    unused = (usage < LEAST_USE * usage.mean()).nonzero().flatten()
    if len(unused):
        chosen = torch.randint(len(points), (len(unused),), generator=random)
        usage[unused] = usage.mean()
        sums[unused] = points[chosen] * usage.mean()
    book.copy_(sums / usage[:, None])


@torch.no_grad()
def start_codebooks(state: CodecState, clips: Sequence[Clip]) -> None:
    """Set projections to principal components and codebooks to centres, each stage on what the earlier ones left."""
    codec, random = state.codec, torch.Generator().manual_seed(6)
    rest = torch.cat([reduce(codec, training_batch(clips, 10**6 + i)).flatten(0, 1) for i in range(START_BATCHES)])
    state.usage, state.sums = [], []
    for index, quantizer in enumerate(stages(codec)):
        dims = quantizer.codebook.embedding_dim - 1
        mean = rest.mean(0)
        _, _, axes = torch.linalg.svd(rest - mean, full_matrices=False)
        axes = axes[:dims]
        points = (rest - mean) @ axes.T
        # The search compares directions only: one more, constant dimension makes nearby points of similar direction.
        radius = 2 * points.square().sum(-1).mean().sqrt()
        # Not zero, because the file has directions of the weights, without length.
        quantizer.in_proj.weight.normal_(std=1e-4, generator=random)
        quantizer.in_proj.weight[:dims, :, 0] = axes
        quantizer.in_proj.bias.copy_(functional.pad(-(axes @ mean), (0, 1), value=radius.item()))
        quantizer.out_proj.weight.normal_(std=1e-4, generator=random)
        quantizer.out_proj.weight[:, :dims, 0] = axes.T
        quantizer.out_proj.bias.copy_(mean)
        book = centres(points, quantizer.codebook.num_embeddings, seed=index)
        quantizer.codebook.weight.copy_(functional.pad(book, (0, 1), value=radius.item()))
        share = ROWS * FRAMES / len(book)
        state.usage.append(torch.full((len(book),), share))
        state.sums.append(quantizer.codebook.weight * share)
        codes = quantizer.encode(rest[None])
        rest = rest - quantizer.decode(codes)[0]
        print(f"codebook {index}: {len(codes.unique())} codes used, {rest.square().mean():.4f} left", flush=True)


def centres(points: Tensor, count: int, seed: int, rounds: int = 20) -> Tensor:
    """Return `count` centres of `points` (n, dims) by k-means."""
    random = torch.Generator().manual_seed(seed)
    found = points[torch.randperm(len(points), generator=random)[:count]]
    for _ in range(rounds):
        nearest = torch.cat([torch.cdist(part, found).argmin(1) for part in points.split(4096)])
        total = torch.zeros_like(found).index_add_(0, nearest, points)
        members = torch.bincount(nearest, minlength=count)[:, None]
        spare = points[torch.randint(len(points), (count,), generator=random)]
        found = torch.where(members > 0, total / members.clamp(min=1), spare)
    return found


def trained(weights: dict[str, Tensor], codebooks: int = 1 + CONFIG.residual_codebooks) -> Codec:
    """Return the codec of trained `weights` for inference, with its first codebooks only."""
    config = msgspec.structs.replace(CONFIG, residual_codebooks=codebooks - 1)
    codec = Codec(config)
    codec.load_state_dict({name: weights[name] for name in codec.state_dict()})
    return codec.prepare()


def reconstruct(codec: Codec, samples: Samples) -> Samples:
    """Return `samples` encoded and decoded."""
    audio = torch.from_numpy(samples)[None, None]
    return codec.decode(codec.encode(audio))[0, 0, : len(samples)].numpy()
