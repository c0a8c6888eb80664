"""The loss of a model on recordings that it must know how to predict."""

from __future__ import annotations

from statistics import mean

import numpy as np
import torch
from numpy.typing import NDArray

from fishtui.lm.loss import losses
from fishtui.selftest.clips import WRONG
from fishtui.selftest.line import Line, State
from fishtui.selftest.subject import Subject
from fishtui.training.gate import UNUSUAL, guessing_loss

# Shares of the loss of guessing: published models start near 0.4, S2-Pro without one of its factors above 0.5.
HEALTHY = 0.55
LOWEST = 0.02
# In nats: how much lower the loss with the right transcript is on average, and with the right order of the frames.
TRANSCRIPT_MARGIN = 0.1
ORDER_MARGIN = 1.0


def check_loss(subject: Subject) -> Line:
    """Compare the teacher-forced loss of each clip with the right and with wrong transcripts, and with mixed frames."""
    right, others, mixed = [], [], []
    recognized = 0
    for text, codes in zip(subject.texts, subject.codes, strict=True):
        own = loss_of(subject, text, codes)
        wrong = [loss_of(subject, subject.clean(each), codes) for each in WRONG]
        order = np.random.default_rng(0).permutation(codes.shape[1])
        right.append(own)
        others.append(mean(wrong))
        mixed.append(loss_of(subject, text, codes[:, order]))
        recognized += own < min(wrong)
    guessing = guessing_loss(subject.model.config)
    loss, margin, order_margin = mean(right), mean(others) - mean(right), mean(mixed) - mean(right)
    facts = (
        f"loss {loss:.2f} (healthy {LOWEST * guessing:.1f} to {HEALTHY * guessing:.1f}, guessing {guessing:.1f}); with"
        f" wrong transcripts {margin:+.2f}, with frames in random order {order_margin:+.2f};"
        f" {recognized} of {len(right)} clips fit their own transcript best"
    )
    hears = margin >= TRANSCRIPT_MARGIN and recognized == len(right)
    state: State
    if not LOWEST * guessing <= loss <= UNUSUAL * guessing:
        state, remedy = "fail", "The weights do not fit: a damaged or untrained model, or codes of another codec."
    elif not hears or order_margin < ORDER_MARGIN:
        state, remedy = "fail", "The model does not follow the text: tokenizer, codec or weights are of another model."
    elif loss > HEALTHY * guessing:
        state, remedy = (
            "warn",
            "Compare the files with the published ones.",
        )
    else:
        state, remedy = "pass", ""
    return Line(
        name="loss",
        state=state,
        found=facts,
        remedy=remedy,
        figures={
            "loss": loss,
            "guessing": guessing,
            "wrong_transcripts": mean(others),
            "mixed_frames": mean(mixed),
            "recognized": recognized / len(right),
        },
    )


def loss_of(subject: Subject, text: str, codes: NDArray[np.integer]) -> float:
    """Return the loss of codes (codebooks, frames) with a cleaned text, in nats. Raises OutOfTime."""
    subject.clock.check()
    inputs, labels = (
        torch.from_numpy(each)[None].to(subject.device)
        for each in subject.voice.prompts.training_sequence([(text, codes)])
    )
    # Loaded here: weights that are loaded in inference mode cannot be trained later.
    model = subject.model
    with torch.inference_mode():
        found = losses(model, inputs, labels)
    return float(found.base) + float(found.semantic)
