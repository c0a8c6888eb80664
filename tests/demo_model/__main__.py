"""Train the model of `fishtui demo`: python -m tests.demo_model STEP --data RECORDINGS --state FOLDER.

RECORDINGS are the files DIGIT_SPEAKER_TAKE.flac of the Free Spoken Digit Dataset, takes 0 to 39. On one core that does
nothing else, the codec takes about 40 minutes, the recognizer 20, the language model 120 and the refined decoder 20.
Each step continues from the state in FOLDER after an interruption; `all` runs every step.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from fishtui.codec.model import Codec
from fishtui.judges.ctc import CtcNetwork
from tests.demo_model import codec, export, language, loop, measure, recognizer, recordings, refine
from tests.demo_model.data import load_clips
from tests.demo_model.spectral import distance


def train_codec(data: Path, state: Path, steps: int | None) -> None:
    """Train the codec on the takes of all speakers that are not measured."""
    clips = [clip for clip in load_clips(data) if not clip.measured]
    training = codec.begin()
    loop.train(training, lambda: codec.train_step(training, clips), steps or codec.STEPS, state / "codec.pt")


def train_recognizer(data: Path, state: Path, steps: int | None) -> None:
    """Train the recognizer on the same takes."""
    clips = [clip for clip in load_clips(data) if not clip.measured]
    training, steps = recognizer.RecognizerState(), steps or recognizer.STEPS
    loop.train(training, lambda: recognizer.train_step(training, clips, steps), steps, state / "recognizer.pt")


def train_language(data: Path, state: Path, steps: int | None) -> None:
    """Train the language model with the codec."""
    clips = [clip for clip in load_clips(data) if not clip.measured]
    own = load_codec(state, codec.CODEBOOKS)
    rounds = language.ROUNDS if steps is None else [language.at_most(part, steps) for part in language.ROUNDS]
    language.train(state, clips, own, rounds)


def refine_codec(data: Path, state: Path, steps: int | None) -> None:
    """Train the decoder further."""
    clips = [clip for clip in load_clips(data) if not clip.measured]
    training = refine.RefineState(torch.load(state / "codec.pt", weights_only=True)["codec"])
    loop.train(training, lambda: refine.train_step(training, clips), steps or refine.STEPS, state / "refined.pt")


def measure_all(data: Path, state: Path, steps: int | None) -> None:
    """Measure recordings, reconstructions, and the language model, as far as they are trained."""
    judge = load_recognizer(state)
    spoken = measure.sequences([clip for clip in load_clips(data) if clip.measured], steps or measure.SEQUENCES)
    measure.report("recordings", measure.digits_right(judge, spoken))
    if (state / "codec.pt").exists():
        for codebooks in (4, 6, 8):
            own = load_codec(state, codebooks)
            measure_codec(judge, spoken, own, f"codec, {codebooks} codebooks")
    if (state / "refined.pt").exists():
        measure_codec(judge, spoken, load_refined(state), "codec, refined")
    model = language.trained(state)
    if model.exists():
        measure.report("language model", measure.speak(judge, model, spoken))


def measure_codec(judge: CtcNetwork, spoken: Sequence[measure.Spoken], own: Codec, title: str) -> None:
    """Measure reconstructions: digits right, and the distance of spectra that the codec is trained on."""
    made = [(each, codec.reconstruct(own, each.samples)) for each in spoken]
    pairs = [(torch.from_numpy(samples)[None], torch.from_numpy(each.samples)[None]) for each, samples in made]
    apart = sum(distance(*pair).item() for pair in pairs) / len(pairs)
    shares = measure.digits_right(judge, [replace(each, samples=samples) for each, samples in made])
    measure.report(f"{title}, spectral distance {apart:.3f}", shares)


def export_all(data: Path, state: Path, steps: int | None) -> None:
    """Write the files that the package ships, weights and recordings, into `shipped` of the state's folder."""
    size = export.export(language.trained(state), load_refined(state), load_recognizer(state), state / "shipped")
    print(f"{state / 'shipped'}: {size:,} bytes of the model")
    recordings.write_recordings(load_clips(data), state / "shipped" / "recordings")


def load_codec(state: Path, codebooks: int) -> Codec:
    """Return the codec as trained so far."""
    return codec.trained(torch.load(state / "codec.pt", weights_only=True)["codec"], codebooks)


def load_refined(state: Path) -> Codec:
    """Return the codec with the decoder as refined so far."""
    return codec.trained(torch.load(state / "refined.pt", weights_only=True)["codec"], codec.CODEBOOKS)


def load_recognizer(state: Path) -> CtcNetwork:
    """Return the recognizer as trained so far."""
    model = recognizer.untrained()
    model.load_state_dict(torch.load(state / "recognizer.pt", weights_only=True)["model"])
    return model.eval()


def run_all(data: Path, state: Path, steps: int | None) -> None:
    """Run every step."""
    for step in (train_codec, train_recognizer, train_language, refine_codec, measure_all, export_all):
        step(data, state, steps)


STEPS: dict[str, Callable[[Path, Path, int | None], None]] = {
    "codec": train_codec,
    "recognizer": train_recognizer,
    "language": train_language,
    "refine": refine_codec,
    "measure": measure_all,
    "export": export_all,
    "all": run_all,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.demo_model", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("step", choices=STEPS)
    parser.add_argument("--data", type=Path, required=True, help="folder of the recordings")
    parser.add_argument("--state", type=Path, required=True, help="folder of what is trained; continued if it exists")
    parser.add_argument("--steps", type=int, help="training steps in all; of measure, sequences per speaker")
    words = parser.parse_args()
    loop.prepare()
    words.state.mkdir(parents=True, exist_ok=True)
    STEPS[words.step](words.data, words.state, words.steps)


if __name__ == "__main__":
    main()
