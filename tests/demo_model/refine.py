"""Train the decoder further, against a discriminator, for the codes that the language model uses.

Encoder and codebooks stay as they are, so that codes keep their meaning.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from fishtui.codec.layers import Past
from fishtui.codec.model import Codec
from tests.demo_model import codec as training
from tests.demo_model.data import Clip
from tests.demo_model.spectral import distance, hann, level

STEPS = 1600
RATE = 2e-4
WINDOWS = (128, 256, 512)
CHANNELS = 16
REALISM = 0.1
FEATURES = 0.5


class Discriminator(nn.Module):
    """Distinguishes recordings from reconstructions by a spectrogram of one resolution."""

    def __init__(self, window: int) -> None:
        super().__init__()
        self.window = window
        self.layers = nn.ModuleList(
            nn.Conv2d(inputs, CHANNELS, (3, 7), stride=(1, stride), padding=(1, 3))
            for inputs, stride in ((2, 1), (CHANNELS, 2), (CHANNELS, 2))
        )
        self.last = nn.Conv2d(CHANNELS, 1, 3, padding=1)

    def forward(self, audio: Tensor) -> list[Tensor]:
        """Return the outputs of every layer for audio (B, samples); the last one is 1 for recordings."""
        parts = torch.stft(audio, self.window, self.window // 4, window=hann(self.window), return_complex=True)
        x = torch.stack([parts.real, parts.imag], 1).transpose(2, 3)
        outputs = []
        for layer in self.layers:
            x = functional.leaky_relu(layer(x), 0.2)
            outputs.append(x)
        return [*outputs, self.last(x)]


class RefineState:
    """Everything that training changes."""

    def __init__(self, weights: dict[str, Tensor]) -> None:
        torch.manual_seed(9)
        self.codec = training.trained(weights, training.CODEBOOKS)
        quantizer = self.codec.quantizer
        self.parts = nn.ModuleList([quantizer.post_module, quantizer.upsample, self.codec.decoder])
        self.parts.train().requires_grad_(True)
        training.fuse(self.codec)
        self.judges = nn.ModuleList(Discriminator(window) for window in WINDOWS)
        self.optimizers = [
            torch.optim.AdamW(part.parameters(), RATE, (0.8, 0.99), fused=True) for part in (self.parts, self.judges)
        ]
        self.step = 0

    def state_dict(self) -> dict:
        return {
            "codec": self.codec.state_dict(),
            "judges": self.judges.state_dict(),
            "optimizers": [each.state_dict() for each in self.optimizers],
            "step": self.step,
        }

    def load_state_dict(self, state: dict) -> None:
        self.codec.load_state_dict(state["codec"])
        self.judges.load_state_dict(state["judges"])
        for optimizer, own in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(own)
        self.step = state["step"]


def train_step(state: RefineState, clips: Sequence[Clip]) -> dict[str, float]:
    """Take one step of the decoder and one of the discriminators; return their figures."""
    # Other rows than in the training of the codec.
    audio = training.training_batch(clips, 2 * 10**6 + state.step)
    heard = decode(state.codec, audio)[..., 0]
    audio = audio[..., 0]
    scale = level(audio)
    wanted, own = audio * scale, heard * scale
    decoder, discriminator = state.optimizers

    doubt = sum(
        (1 - judge(wanted)[-1]).square().mean() + judge(own.detach())[-1].square().mean() for judge in state.judges
    ) / len(WINDOWS)
    discriminator.zero_grad()
    doubt.backward()
    discriminator.step()

    spectral = distance(heard, audio)
    realism = features = heard.new_zeros(())
    for judge in state.judges:
        with torch.no_grad():
            real = judge(wanted)
        made = judge(own)
        realism = realism + (1 - made[-1]).square().mean() / len(WINDOWS)
        pairs = zip(made[:-1], real[:-1], strict=True)
        features = features + sum((a - b).abs().mean() / b.abs().mean() for a, b in pairs) / len(WINDOWS)
    decoder.zero_grad()
    (spectral + REALISM * realism + FEATURES * features / 3).backward()
    nn.utils.clip_grad_norm_(state.parts.parameters(), 1.0)
    decoder.step()
    state.step += 1
    return {
        "spectral": spectral.item(),
        "doubt": doubt.item(),
        "realism": realism.item(),
        "features": features.item(),
    }


def decode(codec: Codec, audio: Tensor) -> Tensor:
    """Return audio (B, samples, 1) after encoding and decoding, with gradients for the decoder only."""
    with torch.no_grad():
        codes = codec.quantizer.quantize(training.reduce(codec, audio))
    past = Past()
    return codec.decoder(codec.quantizer.decode(codes, past), past)
