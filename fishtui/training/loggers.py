"""Logs of a training that other programs read, by Lightning's own loggers, in addition to the events of the run."""

from __future__ import annotations

import csv
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger, WandbLogger

from fishtui.errors import FishtuiError
from fishtui.files import write_text
from fishtui.reading import read_text
from fishtui.runs.reporter import Reporter
from fishtui.settings import TrainSettings
from fishtui.wording import reason_of

WANDB_PROJECT = "fishtui"


@contextmanager
def metrics_logger(
    settings: TrainSettings, results: Path, step: int | None, reporter: Reporter
) -> Iterator[Logger | None]:
    """Log the metrics of `reporter` while the body runs, with the logger of `settings.logger` in the folder `results`.

    A training that continues from the checkpoint of `step` continues its log there. Raises FishtuiError, code
    `cannot-log`, if the logger cannot start; a logger that fails later is only reported.
    """
    if settings.logger == "none":
        yield None
        return
    try:
        logger = STARTS[settings.logger](results, step)
        logger.log_hyperparams(msgspec.to_builtins(settings))
    except Exception as error:
        # Libraries of other programs raise errors of their own: Weights & Biases without a login, for example.
        raise FishtuiError(
            f"train.logger: {settings.logger} cannot start: {reason_of(error)}",
            "Run `wandb login`, or set WANDB_MODE=offline."
            if settings.logger == "wandb"
            else "Set train.logger=none, or check the folder of the results.",
            code="cannot-log",
        ) from error
    forwarding = _Forwarding(logger, reporter)
    reporter.listen(forwarding)
    try:
        yield logger
    except Exception:
        forwarding.finish(has_failed=True)
        raise
    except BaseException:
        # A request to stop.
        forwarding.finish()
        raise
    forwarding.finish()


class _Forwarding:
    """Passes metrics to a logger until it fails; the training continues without it."""

    def __init__(self, logger: Logger, reporter: Reporter) -> None:
        self._logger: Logger | None = logger
        self._reporter = reporter

    def __call__(self, event: Mapping[str, Any]) -> None:
        if event["kind"] == "metric":
            self._try(lambda logger: logger.log_metrics(event["values"], event["step"]))

    def finish(self, has_failed: bool = False) -> None:
        """Complete the log of a training, which has ended or `has_failed`."""

        def complete(logger: Logger) -> None:
            if isinstance(logger, WandbLogger):
                logger.experiment.finish(exit_code=int(has_failed))
            else:
                logger.finalize("failed" if has_failed else "success")

        self._try(complete)
        self._logger = None

    def _try(self, use: Callable[[Logger], None]) -> None:
        if self._logger is None:
            return
        try:
            use(self._logger)
        except Exception as error:
            self._logger = None
            self._reporter.warning(f"no further metrics are logged: {reason_of(error)}", "train.logger")


def _start_tensorboard(results: Path, step: int | None) -> Logger:
    # What was logged after the checkpoint is hidden: these steps are trained again.
    first = 0 if step is None else step + 1
    return TensorBoardLogger(results, "tensorboard", "", default_hp_metric=False, purge_step=first)


def _start_csv(results: Path, step: int | None) -> Logger:
    path = results / "csv" / "metrics.csv"
    kept: list[dict[str, str]] = []
    if path.is_file():
        if step is not None:
            with path.open(newline="", encoding="utf-8") as file:
                kept = [row for row in csv.DictReader(file) if (row.get("step") or "").isdigit()]
        path.unlink()
    logger = CSVLogger(results, "csv", "", flush_logs_every_n_steps=1)
    for row in kept:
        if (at := int(row.pop("step"))) <= (step or 0):
            logger.experiment.log_metrics({name: float(value) for name, value in row.items() if value}, at)
    logger.save()
    return logger


def _start_wandb(results: Path, step: int | None) -> Logger:
    import wandb

    identity = results / "wandb" / "id"
    if step is None or not identity.is_file():
        write_text(identity, secrets.token_hex(4))
    # The command and the source of the machine are not uploaded.
    settings = wandb.Settings(console="off", disable_git=True, save_code=False, x_disable_meta=True)
    project = os.environ.get("WANDB_PROJECT") or WANDB_PROJECT
    logger = WandbLogger(
        name=results.name, save_dir=results, id=read_text(identity).strip(), project=project, settings=settings
    )
    # Starts its process, which fails without a login.
    _ = logger.experiment
    return logger


STARTS: Mapping[str, Callable[[Path, int | None], Logger]] = {
    "tensorboard": _start_tensorboard,
    "csv": _start_csv,
    "wandb": _start_wandb,
}
