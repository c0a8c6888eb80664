"""The logits in the precision and on the device of training, against float32 on the CPU."""

from __future__ import annotations

import torch
from torch import Tensor

from fishtui.devices import free_memory
from fishtui.lm.model import DualAR
from fishtui.load import load_model
from fishtui.selftest.line import Line, State
from fishtui.selftest.subject import Subject
from fishtui.wording import size

# Share of the logits' deviation. Rounding to bfloat16 through 36 layers stays below the first.
GOOD = 0.1
HIGHEST = 0.2
POSITIONS = 48
# Share of the free memory that the second copy of the model may take.
USABLE = 0.8


def check_precision(subject: Subject) -> Line:
    """Compare the token logits of a short sequence: bfloat16 on the GPU, or on the CPU, with float32 on the CPU."""
    subject.clock.check()
    needed = 4 * sum(parameter.numel() for parameter in subject.model.parameters())
    # On a CPU a third copy, in bfloat16, is made.
    free = free_memory(torch.device("cpu")) * USABLE / (1.5 if subject.device.type == "cpu" else 1)
    if needed > free:
        found = f"not compared: float32 on the CPU needs {size(needed)}, and {size(free)} may be used"
        return Line(name="precision", state="skipped", found=found)
    folder, where = subject.voice.checkpoint.path, subject.device
    inputs, _ = subject.voice.prompts.training_sequence([(subject.texts[0], subject.codes[0])])
    tokens = torch.from_numpy(inputs[None, :, :POSITIONS])
    exact = _logits(load_model(folder, dtype=torch.float32), tokens)
    subject.clock.check()
    supported = where.type == "cpu" or torch.cuda.is_bf16_supported(including_emulation=False)
    dtype = torch.bfloat16 if supported else torch.float32
    model = subject.model if subject.voice.precision == dtype else load_model(folder, where, dtype)
    rounded = _logits(model, tokens.to(where))
    difference = float((rounded - exact).norm() / (exact - exact.mean()).norm())
    agreement = float((rounded.argmax(-1) == exact.argmax(-1)).float().mean())
    # A difference that is not a number fails.
    state: State = "pass" if difference <= GOOD else "warn" if difference <= HIGHEST else "fail"
    what = f"{str(dtype).removeprefix('torch.')} on the {'GPU' if where.type == 'cuda' else 'CPU'}"
    return Line(
        name="precision",
        state=state,
        found=f"logits in {what} differ by {difference:.1%} from float32 on the CPU (at most {GOOD:.0%});"
        f" {agreement:.0%} of the most likely tokens agree",
        remedy=""
        if state == "pass"
        else "Set train.precision and synthesize.precision to float32; update driver and torch.",
        figures={"difference": difference, "agreement": agreement},
    )


def _logits(model: DualAR, tokens: Tensor) -> Tensor:
    """Return the token logits (S, vocab_size) of tokens (1, rows, S), float32 on the CPU."""
    with torch.inference_mode():
        return model.token_logits(model.slow(tokens))[0].float().cpu()
