"""`python -m tests.bench gpu`: the rows of the README's GPU table, as Markdown, with random weights.

The models have the published sizes.

`--device cpu --small` runs the code of every row with tiny models on the CPU. A row that fails has its error as its
figure, so does one that takes longer than `ROW_SECONDS`, and rows that come after `BUDGET` seconds are left open.
"""

from __future__ import annotations

import argparse
import platform
import signal
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import lightning
import torch

from fishtui.codec.config import OFFICIAL
from fishtui.codec.model import Codec
from fishtui.devices import allow_tf32
from fishtui.families.registry import DEFAULT
from fishtui.families.s1_mini.config import read_config
from fishtui.lm.config import IGNORED, ModelConfig
from fishtui.lm.generate import Batch, Continuation
from fishtui.lm.loss import losses
from fishtui.lm.model import DualAR
from fishtui.settings import TrainSettings
from fishtui.training.forecast import meta_model
from fishtui.training.lora import trainable
from tests.codec.builders import TINY
from tests.lm.tiny import PLAIN

BUDGET = 440.0
ROW_SECONDS = 90
STEPS = 3
Row = tuple[str, str, Callable[[], str]]


class Bench:
    """Measures on one device, at the published sizes or with tiny ones."""

    def __init__(self, device: str, small: bool) -> None:
        self.device = torch.device(device)
        self.small = small
        config = Path(__file__).parents[1] / "lm" / "config-s1-mini.json"
        self.config = ModelConfig(**PLAIN) if small else read_config(config)
        self.rows, self.length = (1, 64) if small else (4, 4096)
        self.exact: torch.Tensor | None = None

    def seconds(self, work: Callable[[], object], times: int = STEPS) -> float:
        """Return the seconds of one call, after one call that is not counted."""
        work()
        self._wait()
        started = time.perf_counter()
        for _ in range(times):
            work()
        self._wait()
        return (time.perf_counter() - started) / times

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def product(self) -> float:
        """Return the floating-point operations per second of a plain product in bfloat16."""
        size = 64 if self.small else 8192
        factor = torch.randn(size, size, device=self.device, dtype=torch.bfloat16)
        return 2 * size**3 / self.seconds(lambda: factor @ factor)

    def extraction(self, dtype: torch.dtype, convolutions: bool, products: bool) -> str:
        """Return the seconds of audio per second, and the share of codes that are those of float32."""
        allow_tf32(products)
        torch.backends.cudnn.allow_tf32 = convolutions
        config = TINY if self.small else OFFICIAL
        torch.manual_seed(0)
        with torch.device("meta"):
            codec = Codec(config)
        codec.to_empty(device=self.device)
        for parameter in codec.parameters():
            parameter.data.uniform_(0.5, 1.0)
            if parameter.dim() > 1:
                parameter.data.sub_(0.75).mul_(parameter[0].numel() ** -0.5)
        codec.prepare(dtype)
        clips, length = (2, 0.5) if self.small else (16, 7.5)
        audio = torch.rand(clips, 1, round(length * config.sample_rate), device=self.device) - 0.5
        pace = clips * length / self.seconds(lambda: codec.encode(audio))
        codes = codec.encode(audio).cpu()
        self.exact = codes if self.exact is None else self.exact
        allow_tf32(False)
        return f"{pace:,.0f}, {(codes == self.exact).float().mean():.1%} of codes equal"

    def step(self, method: str, checkpointing: bool, compiled: bool = False) -> str:
        """Return tokens per second, the share of the product's pace, and the peak memory of a step."""
        settings = TrainSettings(method=method)  # type: ignore[arg-type]
        precision = torch.bfloat16
        model = self._filled(meta_model(settings, self.config, precision)).train()
        model.gradient_checkpointing = checkpointing
        if compiled:
            for layer in model.layers:
                layer.compile(dynamic=True)
        optimizer = torch.optim.AdamW(trainable(model).values(), lr=1e-4, fused=self.device.type == "cuda")
        codes = torch.randint(self.config.codebook_size, (self.rows, self.config.num_codebooks, self.length))
        tokens = torch.cat([codes[:, :1], codes], dim=1)
        labels = tokens.roll(-1, 2)
        labels[:, :, -1] = IGNORED
        segments = (torch.arange(self.length) // 1000 + 1).expand(self.rows, -1)
        there = tokens.to(self.device)
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()

        def work() -> None:
            with torch.autocast(self.device.type, precision):
                total = losses(model, there, labels, segments).total
            total.backward()
            torch.nn.utils.clip_grad_norm_(trainable(model).values(), 1.0)
            optimizer.step()
            optimizer.zero_grad()

        pace = self.rows * self.length / self.seconds(work)
        peak = torch.cuda.max_memory_allocated() / 1e9 if self.device.type == "cuda" else 0.0
        # Two operations a weight forward, two for the gradient of the input, two for that of the weight if trained.
        slow = sum(each.numel() for each in model.layers.parameters()) + self.config.vocab_size * self.config.dim
        fast = self.config.num_codebooks * sum(each.numel() for each in model.fast_layers.parameters())
        share = pace * (slow + fast) * (6 if method == "full" else 4) / self.product()
        return f"{pace:,.0f}, {share:.0%} of the product, {peak:.0f} GB"

    def synthesis(self, rows: int, compile: bool) -> str:
        """Return the frames per second of all rows."""
        with torch.device("meta"):
            model = DualAR(self.config, semantic_begin=0, im_end=self.config.vocab_size - 1).to(torch.bfloat16)
        model = self._filled(model).eval()
        frames = 8 if self.small else 100
        batch = Batch(model, DEFAULT.sampling(), rows=rows, compile=compile)
        for seed in range(rows):
            prompt = torch.zeros(1 + self.config.num_codebooks, 20, dtype=torch.long)
            batch.add(Continuation(prompt, frames + 5, torch.Generator(self.device).manual_seed(seed)))
        batch.step()
        live = len(batch.live)
        return f"{live / self.seconds(batch.step, frames - 2):,.0f}"

    def _filled(self, model: DualAR) -> DualAR:
        model.to_empty(device=self.device)
        for name, parameter in model.named_parameters():
            parameter.data.normal_(mean=1.0 if "norm" in name else 0.0, std=0.02)
        return model

    def table(self) -> Iterator[Row]:
        """Yield name, unit and measurement of each row."""
        audio, tokens, frames = "audio s/s", "tokens/s", "frames/s"
        yield "product of 8,192 × 8,192, bfloat16", "TFLOP/s", lambda: f"{self.product() / 1e12:,.1f}"
        for name, dtype, convolutions, products in (
            ("float32", torch.float32, False, False),
            ("float32, TF32 in convolutions", torch.float32, True, False),
            ("float32, TF32", torch.float32, True, True),
            ("bfloat16", torch.bfloat16, False, False),
        ):
            yield f"extraction, {name}", audio, partial(self.extraction, dtype, convolutions, products)
        for method, title in (("lora", "LoRA step"), ("full", "full fine-tuning step")):
            for checkpointing, more in ((False, ""), (True, ", gradient checkpointing")):
                yield f"{title}, 4 × 4,096{more}", tokens, partial(self.step, method, checkpointing)
        yield "LoRA step, 4 × 4,096, compiled blocks", tokens, partial(self.step, "lora", False, True)
        for rows in (1, 8, 32):
            for compile, more in ((False, ""), (True, ", captured graph")):
                yield f"synthesis, {rows} at once{more}", frames, partial(self.synthesis, rows, compile)


def _too_long(number: int, frame: object) -> None:
    raise TimeoutError(f"longer than {ROW_SECONDS} s")


def main(arguments: list[str]) -> int:
    """Print the table; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench gpu")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--small", action="store_true", help="tiny models, to test the rows")
    given = parser.parse_args(arguments)
    if given.device.startswith("cuda") and not torch.cuda.is_available():
        print("error: no GPU that torch can use\nRun it on a machine with one, or with --device cpu --small.")
        return 2
    signal.signal(signal.SIGALRM, _too_long)
    started = time.perf_counter()
    card = torch.cuda.get_device_name() if given.device.startswith("cuda") else platform.processor() or "CPU"
    cuda = torch.version.cuda if given.device.startswith("cuda") else "none"
    print(f"{card}; torch {torch.__version__}, CUDA {cuda}, Lightning {lightning.__version__}\n")
    print("| what | unit | measured |\n|---|---|---:|")
    for name, unit, measure in Bench(given.device, given.small).table():
        if time.perf_counter() - started > BUDGET:
            figure = "open: no time left"
        else:
            signal.alarm(ROW_SECONDS)
            try:
                figure = measure()
            except Exception as error:
                figure = f"{type(error).__name__}: {str(error).splitlines()[0][:80] if str(error) else ''}"
            finally:
                signal.alarm(0)
        if given.device.startswith("cuda"):
            torch.cuda.empty_cache()
        print(f"| {name} | {unit} | {figure} |", flush=True)
    return 0
