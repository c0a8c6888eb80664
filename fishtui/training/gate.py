"""The gate before the first step of a training: a model that knows speech starts with a low loss.

A model that guesses has a loss of ln(tokens) + ln(codes), 20.3 nats for the published sizes; one with random weights
has as much or more. A model that knows only which tokens are speech, and nothing about speech, has 16.6. A published
model starts near 8, and a voice, language or recording that it has never heard costs it a few nats. So a first loss
above 16.6 is a model whose weights do not fit: untrained, damaged, or with codes or a tokenizer of another one.
"""

from __future__ import annotations

import math

from fishtui.errors import CheckpointError
from fishtui.lm.config import ModelConfig
from fishtui.runs.reporter import Reporter
from fishtui.wording import number

# Share of the loss of guessing above which a first loss is unusual.
UNUSUAL = 0.7


def guessing_loss(config: ModelConfig) -> float:
    """Return the loss of a model that takes all tokens and all codes to be equally likely."""
    return math.log(config.vocab_size) + math.log(config.codebook_size)


def highest_first_loss(config: ModelConfig) -> float:
    """Return the loss of a model that knows only that speech consists of semantic tokens and `<|im_end|>`."""
    return math.log(config.codebook_size + 1) + math.log(config.codebook_size)


def check_first_loss(loss: float, config: ModelConfig, reporter: Reporter) -> None:
    """Raise CheckpointError, code `untrained-model`, if a training starts with a loss that no pretrained model has.

    Reports a loss that is unusual. A loss that is not finite is found by the first step.
    """
    highest = highest_first_loss(config)
    if loss > highest:
        raise CheckpointError(
            f"the first loss is {number(loss)}, and a pretrained model starts below {number(highest)}: the model knows"
            " nothing about these clips",
            "Check it with `fishtui doctor --model`; to train a model from random weights, give --no-gate.",
            code="untrained-model",
        )
    if loss > UNUSUAL * guessing_loss(config):
        reporter.warning(
            f"the first loss is {number(loss)}, which is unusually high: check the transcripts, and the model with"
            " `fishtui doctor --model`",
            "train.gate",
        )
