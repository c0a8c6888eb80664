"""`python -m tests.bench gpu`: the rows of the README's GPU table, as Markdown, with random weights.

The models have the published sizes.

`--device cpu --small` runs the code of every row with tiny models on the CPU. A row that fails has its error as its
figure, so does one that takes longer than `ROW_SECONDS`, and rows that come after `BUDGET` seconds are left open.
"""

from __future__ import annotations

import argparse
import platform
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial

import lightning
import torch

from fishtui.codec.config import OFFICIAL
from fishtui.codec.model import Codec
from fishtui.devices import allow_tf32, free_memory
from fishtui.families.registry import DEFAULT
from fishtui.lm.config import IGNORED
from fishtui.lm.generate import Batch, Continuation
from fishtui.lm.loss import losses
from fishtui.lm.model import DualAR
from fishtui.settings import TrainSettings
from fishtui.training import memory
from fishtui.training.compiled import compile_blocks
from fishtui.training.forecast import meta_model
from fishtui.training.lora import trainable
from fishtui.wording import size
from tests.bench import merging
from tests.codec.builders import TINY
from tests.fakedevice import models
from tests.golden_data import GOLDEN

BUDGET = 440.0
ROW_SECONDS = 90
STEPS = 3
Row = tuple[str, str, Callable[[], str]]


class Bench:
    """Measures on one device, at the published sizes or with tiny ones."""

    def __init__(self, device: str, small: bool) -> None:
        self.device = torch.device(device)
        self.small = small
        known = models.TINY if small else models.OFFICIAL
        self.configs = {name.removeprefix("tiny "): read for name, read in known.items()}
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

    def step(self, name: str, method: str, checkpointing: bool, compiled: bool = False) -> str:
        """Return tokens per second, the share of the product's pace, and the peak memory of a step."""
        settings, config = TrainSettings(method=method), self.configs[name]()  # type: ignore[arg-type]
        precision = torch.bfloat16
        sizes = meta_model(settings, config, precision)
        needed = memory.estimate(sizes, self.rows * self.length, 2, checkpointing, self.device).total
        if needed > (free := free_memory(self.device)):
            return f"not measured: about {size(needed)} needed, {size(free)} free"
        model = self._filled(sizes).train()
        model.gradient_checkpointing = checkpointing
        if compiled:
            # A compiler of C++ takes minutes for a CPU, and no row of the table needs it.
            compile_blocks(model, **({} if self.device.type == "cuda" else {"backend": "eager"}))
        optimizer = torch.optim.AdamW(trainable(model).values(), lr=1e-4, fused=self.device.type == "cuda")
        codes = torch.randint(config.codebook_size, (self.rows, config.num_codebooks, self.length))
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
        slow = sum(each.numel() for each in model.layers.parameters()) + config.vocab_size * config.dim
        fast = config.num_codebooks * sum(each.numel() for each in model.fast_layers.parameters())
        share = pace * (slow + fast) * (6 if method == "full" else 4) / self.product()
        return f"{pace:,.0f}, {share:.0%} of the product, {peak:.0f} GB"

    def synthesis(self, name: str, rows: int, compile: bool) -> str:
        """Return the frames per second of all rows."""
        config = self.configs[name]()
        with torch.device("meta"):
            model = DualAR(config, semantic_begin=0, im_end=config.vocab_size - 1).to(torch.bfloat16)
        needed = sum(each.nbytes for each in model.parameters())
        if needed > (free := free_memory(self.device)):
            return f"not measured: about {size(needed)} needed, {size(free)} free"
        model = self._filled(model).eval()
        frames = 8 if self.small else 100
        batch = Batch(model, DEFAULT.sampling(), rows=rows, compile=compile)
        for seed in range(rows):
            prompt = torch.zeros(1 + config.num_codebooks, 20, dtype=torch.long)
            batch.add(Continuation(prompt, frames + 5, torch.Generator(self.device).manual_seed(seed)))
        batch.step()
        live = len(batch.live)
        return f"{live / self.seconds(batch.step, frames - 2):,.0f}"

    def merge(self) -> str:
        """Return the merges per minute, which the processor and the disk do."""
        try:
            merging.prepare(GOLDEN / "checkpoint" / "config.json" if self.small else merging.PUBLISHED)
            return f"{merging.measure('', plain=False):,.1f}"
        finally:
            shutil.rmtree(merging.FOLDER, ignore_errors=True)

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
        model, large = self.configs
        for method, title in (("lora", "LoRA step"), ("full", "full fine-tuning step")):
            for checkpointing, more in ((False, ""), (True, ", gradient checkpointing")):
                yield f"{title}, 4 × 4,096{more}", tokens, partial(self.step, model, method, checkpointing)
        yield "LoRA step, 4 × 4,096, compiled blocks", tokens, partial(self.step, model, "lora", False, True)
        for rows in (1, 8, 32):
            for compile, more in ((False, ""), (True, ", captured graph")):
                yield f"synthesis, {rows} at once{more}", frames, partial(self.synthesis, model, rows, compile)
        yield f"{large}, LoRA step, 4 × 4,096", tokens, partial(self.step, large, "lora", False)
        yield f"{large}, the same, gradient checkpointing", tokens, partial(self.step, large, "lora", True)
        for rows in (1, 8):
            yield (
                f"{large}, synthesis, {rows} at once, captured graph",
                frames,
                partial(self.synthesis, large, rows, True),
            )
        yield "merge, including the proof", "merges/min", self.merge


def _driver() -> str:
    """Return the version of the NVIDIA driver."""
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout.splitlines()[0]
    except (OSError, subprocess.SubprocessError, IndexError):
        return "unknown"


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
    is_gpu = given.device.startswith("cuda")
    card = f"{torch.cuda.get_device_name()}, driver {_driver()}" if is_gpu else platform.processor() or "CPU"
    cuda = torch.version.cuda if is_gpu else "none"
    print(f"{card}; torch {torch.__version__}, CUDA {cuda}, Lightning {lightning.__version__}\n")
    print("| what | unit | measured |\n|---|---|---:|")
    for name, unit, measure in Bench(given.device, given.small).table():
        if time.perf_counter() - started > BUDGET:
            figure = "open: no time left"
        else:
            # Again and again, because a compiler catches errors of any kind.
            signal.setitimer(signal.ITIMER_REAL, ROW_SECONDS, 5)
            try:
                figure = measure()
            except Exception as error:
                figure = f"{type(error).__name__}: {str(error).splitlines()[0][:80] if str(error) else ''}"
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
        if is_gpu:
            torch.cuda.empty_cache()
        print(f"| {name} | {unit} | {figure} |", flush=True)
    return 0
