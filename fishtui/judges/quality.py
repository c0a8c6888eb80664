"""The judge of quality: DNSMOS P.835, a network that predicts the ratings of listeners.

Reddy et al. 2022, "DNSMOS P.835: a non-intrusive perceptual objective speech quality metric". The weights are those of
the package speechmos; its code, which also needs librosa and pandas, is not used.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from fishtui.errors import loading
from fishtui.judges.needs import Needs, Package, Setup, Weights, damaged
from fishtui.judges.registry import Figure, Judgement, judge
from fishtui.judges.spoken import Spoken, Voice

RATE = 16_000
# The network hears this many samples, 9.01 s; shorter speech is repeated, longer speech is heard in steps of a second.
LENGTH = 144_160
# The windows of a long recording are spread evenly.
MOST_WINDOWS = 20
# From the network's output to ratings, highest power first, as published with the weights.
CURVES = {
    "quality_speech": (-0.08397278, 1.22083953, 0.0052439),
    "quality_background": (-0.13166888, 1.60915514, -0.39604546),
    "quality": (-0.06766283, 1.11546468, 0.04602535),
}
PACKAGE = Package("speechmos", "speechmos")
FILE = "sig_bak_ovr.onnx"

FIGURES = (
    Figure("quality", "of 5", "higher", "overall quality as listeners would rate it, from 1 to 5"),
    Figure("quality_speech", "of 5", "higher", "quality of the speech, without its background"),
    Figure("quality_background", "of 5", "higher", "absence of noise"),
)


def _needs(setup: Setup) -> Needs:
    weights = Weights(PACKAGE.file("dnsmos_models"), ((FILE,),), package=PACKAGE)
    return Needs((PACKAGE, Package("onnxruntime", "onnxruntime")), weights, "DNSMOS P.835, in the package speechmos")


@judge("quality", "1", "quality as listeners would rate it", figures=FIGURES, needs=_needs)
def quality(spoken: Spoken, voice: Voice, setup: Setup) -> Judgement:
    """Predict the ratings of listeners: the means over windows. Raises FishtuiError for damaged weights."""
    windows = _windows(np.clip(spoken.at(RATE), -1.0, 1.0))
    session = _session(PACKAGE.file("dnsmos_models") / FILE)
    outputs = np.array([session.run(None, {"input_1": window[None]})[0][0] for window in windows], np.float64)
    curves = enumerate(CURVES.items())
    return Judgement({name: float(np.polyval(curve, outputs[:, column]).mean()) for column, (name, curve) in curves})


def _windows(samples: np.ndarray) -> list[np.ndarray]:
    """Return the windows that the network hears, float32 of shape (LENGTH,) each."""
    if len(samples) < LENGTH:
        return [np.tile(samples, -(-LENGTH // len(samples)))[:LENGTH]]
    count = min((len(samples) - LENGTH) // RATE + 1, MOST_WINDOWS)
    starts = np.linspace(0, (len(samples) - LENGTH) // RATE * RATE, count).astype(int)
    return [samples[start : start + LENGTH] for start in starts]


@lru_cache(maxsize=1)
def _session(path: Path) -> Any:
    with loading("onnxruntime"):
        import onnxruntime
    options = onnxruntime.SessionOptions()
    # Only errors: warnings would be written into the run's log for every window.
    options.log_severity_level = 3
    # Threads that wait for work take the processor from other programs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        # onnxruntime raises classes of its own that share no base.
        raise damaged(path, error) from error
