"""score: let the language model judge how well each transcript explains its recording."""

from __future__ import annotations

import math
import sqlite3
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import numpy as np

from fishtui.bases import find_base_of
from fishtui.catalog.findings import judge_all
from fishtui.catalog.lookup import find_ids
from fishtui.catalog.scan import scan
from fishtui.catalog.scores import Kind, Loss, gains, read_losses, store_losses, use_model
from fishtui.catalog.store import Catalog, path_in
from fishtui.checkpoint import CheckpointFolder
from fishtui.codes import LARGEST, Layout, damaged_codes, hash_codes, layout_of, parse_codes
from fishtui.dataset import CODES_EXTENSION
from fishtui.errors import DataError
from fishtui.evaluation.choice import choose_adapter
from fishtui.families.family import Family
from fishtui.project import Project
from fishtui.reading import Damaged, read_bounded
from fishtui.runs.ledger import Ledger
from fishtui.runs.reporter import Reporter
from fishtui.settings import Settings
from fishtui.stages.contrast import choose_contrasts
from fishtui.stages.encoding import plan_batches
from fishtui.stages.excluded import STALE
from fishtui.stages.scoring import Judge, Lengths, Pair, Scorer
from fishtui.wording import reason_of

UP_TO_DATE = "up to date"
NOTHING_LEFT = "the transcript is empty without its {…} and <…>"


def score(
    project: Project,
    settings: Settings,
    reporter: Reporter,
    *,
    terms: Sequence[str] = (),
    adapter: str | None = None,
    dry_run: bool = False,
) -> Ledger:
    """Store the gain of each clip that the filter selects, or with an adapter its loss.

    The gain is the loss of a clip's codes given another transcript, minus their loss given their own: a transcript
    that explains nothing gains nothing. Each batch is stored when it ends, so a stopped scoring continues where it was.
    Raises MisuseError for a wrong filter or adapter, CheckpointError if model or adapter is damaged.
    """
    chosen = choose_adapter(project.results, adapter) if adapter else None
    base = CheckpointFolder(find_base_of(project, chosen, settings.paths.checkpoint))
    judge = Judge(settings, base, chosen, adapter or "")
    with Catalog(project, project.path(settings.paths.data)) as catalog:
        if not dry_run:
            scan(catalog, settings, reporter)
        job = ScoringJob(catalog, settings, reporter, judge, "loss" if chosen else "gain", judge.identity())
        plan = job.plan(" ".join(terms))
        if dry_run:
            plan.ledger.done = sum(len(task.clips) for task in plan.tasks)
            return plan.ledger
        use_model(catalog, settings, job.kind, job.model, judge.name)
        job.run(plan)
        judge_all(catalog, settings)
        if job.kind == "gain" and (found := gains(catalog)):
            plan.ledger.counts["median_gain"] = round(max(median(found), 0.0), 4)
    return plan.ledger


@dataclass(frozen=True)
class ScoreTask:
    """Codes to score with their transcript and, for a gain, another one; `text` and `other` are
    cleaned, `stored_text` is as in the catalog.

    `clips` are the ids and names of the clips with these codes and this transcript, `length` that of the longer
    sequence.
    """

    path: Path
    codes_hash: str
    stored_text: str
    text: str
    other: str | None
    length: int
    clips: list[tuple[int, str]] = field(default_factory=list)


@dataclass(frozen=True)
class ScoringPlan:
    """The tasks of a scoring, and the ledger of all other clips."""

    tasks: list[ScoreTask]
    ledger: Ledger


@dataclass(frozen=True)
class ScoringJob:
    """One scoring: `kind` is what it stores, `model` the identity of the judge."""

    catalog: Catalog
    settings: Settings
    reporter: Reporter
    judge: Judge
    kind: Kind
    model: str

    @property
    def family(self) -> Family:
        return self.judge.base.family

    @property
    def layout(self) -> Layout:
        return layout_of(self.judge.base.codec_file)

    def plan(self, terms: str) -> ScoringPlan:
        """Return the clips to score among those that the filter selects. Raises MisuseError."""
        wanted = set(find_ids(self.catalog, terms))
        rows = self.catalog.query(
            """
            SELECT id, name, speaker, files, status, reviewer, text, text_problem, text_fault, codes, codes_problem,
                codes_hash, frames
            FROM clips WHERE gone IS NULL ORDER BY name
            """
        )
        cleaned = {row["id"]: self.family.clean(row["text"] or "") for row in rows if row["status"] != "rejected"}
        others = _contrasts(rows, cleaned) if self.kind == "gain" else {}
        lengths = Lengths(
            self.judge.base.prompts(self.judge.template), self.layout, self.judge.base.config().max_seq_len
        )
        known = read_losses(self.catalog, self.model)
        ledger = Ledger()
        tasks: dict[tuple[str, str], ScoreTask] = {}
        for row in rows:
            if row["id"] not in wanted:
                continue
            text, other = cleaned.get(row["id"], ""), others.get(row["id"])
            if row["status"] == "rejected":
                ledger.skip(row["name"], f"rejected by {row['reviewer']}")
            elif problem := _problem(row):
                ledger.fail(row["name"], problem)
            elif not text:
                ledger.fail(row["name"], NOTHING_LEFT)
            elif self.kind == "gain" and other is None:
                ledger.skip(row["name"], "no clip with another transcript to compare with")
            else:
                key = row["codes_hash"], row["text"]
                before = known.get(key)
                if before is not None and before.other == other:
                    ledger.skip(row["name"], UP_TO_DATE)
                    continue
                try:
                    length = max(lengths.of(each, row["frames"]) for each in (text, other) if each)
                except DataError as error:
                    ledger.fail(row["name"], error.problem)
                    continue
                path = path_in(self.catalog, row["name"] + CODES_EXTENSION)
                task = tasks.setdefault(key, ScoreTask(path, *key, text, other, length))
                task.clips.append((row["id"], row["name"]))
        return ScoringPlan(list(tasks.values()), ledger)

    def run(self, plan: ScoringPlan) -> None:
        """Score the tasks, and store each batch. Raises FishtuiError."""
        if not plan.tasks:
            return
        total = sum(len(task.clips) for task in plan.tasks)
        self.reporter.progress(0, total, note="loading the model")
        scorer = self.judge.load()
        each = 2 if self.kind == "gain" else 1
        positions = [float(each * task.length) for task in plan.tasks]
        finished = 0
        for batch in plan_batches(positions, len(plan.tasks), self.settings.score.batch_tokens):
            some = [plan.tasks[index] for index in batch]
            self._score(scorer, some, plan.ledger)
            finished += sum(len(task.clips) for task in some)
            self.reporter.progress(finished, total)
        if scorer.halved:
            plan.ledger.counts["batches_halved"] = scorer.halved
            self.reporter.warning(
                f"memory ran out {scorer.halved} times and the batch was halved: lower score.batch_tokens"
            )

    def _score(self, scorer: Scorer, tasks: Sequence[ScoreTask], ledger: Ledger) -> None:
        """Score one batch, store what was computed, and enter its clips in the ledger."""
        pairs: list[Pair] = []
        places: dict[int, list[int]] = defaultdict(list)
        problems: dict[int, str] = {}
        for number, task in enumerate(tasks):
            try:
                codes = self._read(task)
            except DataError as error:
                problems[number] = error.problem
                continue
            for text in (task.text, task.other):
                if text:
                    places[number].append(len(pairs))
                    pairs.append((text, codes))
        values = scorer.losses(pairs)
        found: list[Loss] = []
        clips: list[int] = []
        for number, task in enumerate(tasks):
            losses = [values[place] for place in places[number]]
            problem = problems.get(number) or _problem_of(losses)
            if problem:
                for _, name in task.clips:
                    ledger.fail(name, problem)
                continue
            loss, other_loss = (*losses, None)[:2]
            found.append(Loss(task.codes_hash, task.stored_text, loss or 0.0, task.other, other_loss))
            clips += [clip for clip, _ in task.clips]
            ledger.done += len(task.clips)
        store_losses(self.catalog, self.settings, self.model, found, clips)

    def _read(self, task: ScoreTask) -> np.ndarray:
        """Return the codes of a task. Raises DataError if they are missing, damaged or not those that were planned."""
        try:
            content = read_bounded(task.path, LARGEST)
        except OSError as error:
            raise DataError(
                f"cannot read the codes: {reason_of(error)}", "Run `fishtui score` again.", code="cannot-read"
            ) from error
        except Damaged as error:
            raise damaged_codes(error) from error
        codes = parse_codes(content, self.layout)
        if hash_codes(content) != task.codes_hash:
            raise DataError(
                "its codes changed while clips were scored", "Run `fishtui score` again.", code="codes-changed"
            )
        return codes


def _contrasts(rows: Sequence[sqlite3.Row], cleaned: Mapping[int, str]) -> dict[int, str | None]:
    """Return the transcript to compare that of each clip with, by the id of the clip; None without one."""
    usable = [(row["id"], row["speaker"], cleaned[row["id"]]) for row in rows if cleaned.get(row["id"])]
    chosen = choose_contrasts([(speaker, text) for _, speaker, text in usable])
    return {clip: other for (clip, _, _), other in zip(usable, chosen, strict=True)}


def _problem(row: sqlite3.Row) -> str:
    """Return the reason why a clip cannot be scored, empty if it can."""
    if row["codes"] == "missing":
        return "no codes: run `fishtui extract`"
    if row["codes"] == "stale":
        return STALE
    if row["codes"] == "invalid":
        return row["codes_problem"]
    if row["text"] is None:
        return row["text_problem"] or "no transcript"
    return ""


def _problem_of(losses: Sequence[float | None]) -> str:
    """Return the reason why losses are not usable, empty if they are."""
    if None in losses:
        return "too long for this machine's memory; split the recording"
    if not all(math.isfinite(loss or 0.0) for loss in losses):
        return "the model returns no finite loss"
    return ""
