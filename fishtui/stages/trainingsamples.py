"""Samples of a training: lines that the model speaks at each validation, judged for failures and similarity."""

from __future__ import annotations

import time
from pathlib import Path
from statistics import fmean

import msgspec
import numpy as np
import torch

from fishtui.audio.encode import write_audio
from fishtui.checkpoint import CheckpointFolder
from fishtui.dataset import clip_named
from fishtui.devices import out_of_memory
from fishtui.errors import FishtuiError
from fishtui.evaluation.lines import HELD_OUT, Line
from fishtui.lm.model import DualAR
from fishtui.project import Project
from fishtui.results.reference import Reference
from fishtui.results.samples import SampleRequest, row_id, sample_path, write_note
from fishtui.runs.reporter import Reporter
from fishtui.settings import Settings
from fishtui.speech import Voice
from fishtui.stages.evaluate import EvaluationJob
from fishtui.stages.speaking import Speaker, Task

JUDGES = ("failures", "similarity")
# The default number of lines on a GPU; on a CPU they would take longer than the steps between.
ON_A_GPU = 2


class TrainingSamples:
    """Lets the model in training speak the same lines at each validation, and saves them as samples.

    A problem never ends the training: it is reported, and nothing is spoken from then on.
    """

    def __init__(
        self, project: Project, settings: Settings, results: Path, base: CheckpointFolder, reporter: Reporter
    ) -> None:
        self._project, self._results, self._base, self._reporter = project, results, base, reporter
        judges = tuple(name for name in settings.evaluate.judges if name in JUDGES)
        wanted = msgspec.structs.replace(
            settings.evaluate, judges=judges, lines=max(settings.train.samples, 0), device=settings.train.device
        )
        self._settings = msgspec.structs.replace(settings, evaluate=wanted)
        self._job = EvaluationJob(project, self._settings, reporter, results, (), False, False)
        self._speaker = Speaker(project, self._settings, base)
        self._is_off = False

    def speak(self, model: DualAR, step: int) -> dict[str, float]:
        """Speak the lines after `step` steps, report figures for curves, and return measures of a gain."""
        if self._is_off:
            return {}
        training = model.training
        checkpointing, model.gradient_checkpointing = model.gradient_checkpointing, False
        model.eval()
        device = model.norm.weight.device
        try:
            # Loading a judge or a codec draws random numbers, and the training's own must stay the same.
            with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
                return self._speak(model, step)
        except FishtuiError as error:
            self._give_up(error.problem)
        except RuntimeError as error:
            if not out_of_memory(error):
                raise
            self._give_up("not enough memory for the codec and the caches of generation")
        finally:
            model.train(training)
            model.gradient_checkpointing = checkpointing
            self._speaker.forget()
        return {}

    def _give_up(self, problem: str) -> None:
        self._is_off = True
        self._reporter.warning(f"no samples from now on: {problem}; train.samples=0 speaks none")
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _speak(self, model: DualAR, step: int) -> dict[str, float]:
        lines = [line for line in self._job.lines.lines if line.kind == HELD_OUT]
        if not lines:
            self._give_up("no clip is held out")
            return {}
        self._speaker.use(self._voice(model))
        failed: list[float] = []
        similar: list[float] = []
        for task, speech in self._speaker.speak_tasks(
            [Task(line, bool(line.reference)) for line in lines], lambda note: None
        ):
            if isinstance(speech, FishtuiError):
                self._reporter.warning(speech.problem, f"sample {task.line.text[:40]}")
                continue
            self._save(task.line, step, speech.samples, speech.rate)
            panel = self._job.panel
            outcomes = panel.judge([*panel.states], speech.of(task.line), self._job.speakers.find(task.line.speaker))
            failed += [float(bool(outcomes[name].failures)) for name in outcomes if name == "failures"]
            similar += [each.figures["similarity"] for each in outcomes.values() if "similarity" in each.figures]
        found = {"sample_failures": failed, "sample_similarity": similar}
        means = {name: fmean(values) for name, values in found.items() if values}
        if means:
            self._reporter.metric(step, means)
        return {"similarity": means["sample_similarity"]} if "sample_similarity" in means else {}

    def _voice(self, model: DualAR) -> Voice:
        train = self._settings.train
        voice = Voice(
            self._base.path,
            device=str(model.norm.weight.device),
            precision=train.precision,
            resampler=self._settings.extract.resampler,
        )
        voice.model = model
        voice.template = train.template
        return voice

    def _save(self, line: Line, step: int, samples: np.ndarray, rate: int) -> None:
        reference = self._reference(line)
        row = row_id(self._settings, line.text, reference)
        path = sample_path(self._results, row, step)
        write_audio(path, samples, rate)
        shown = self._project.shown(reference.path) if reference else ""
        # Without the run, because the sample is finished while the run is not.
        write_note(path, SampleRequest(row=row, step=step, text=line.text, reference=shown, run="", asked=time.time()))
        self._reporter.artifact("sample", path)

    def _reference(self, line: Line) -> Reference | None:
        if not line.reference:
            return None
        settings = self._settings
        clip = clip_named(self._project.path(settings.paths.data), line.reference, settings.pack.text_extension)
        return Reference(clip.single_audio(), clip.read_transcript())


def wanted_samples(samples: int, device: torch.device) -> int:
    """Return the number of lines to speak for the setting `train.samples`, whose default depends on the device."""
    return samples if samples >= 0 else ON_A_GPU if device.type == "cuda" else 0
