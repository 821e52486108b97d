"""Where metrics go while a run lasts: metrics.csv and hparams.yaml always, Weights & Biases when asked for.

A tracker is never a reason for a run to end: one that fails is named once in a warning, and left alone from then on.
"""

import math
from argparse import Namespace
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers.logger import Logger

from darts_train.base.files import write_text
from darts_train.base.log import logger
from darts_train.metrics.state import metric_names
from darts_train.options.learning import Tracking
from darts_train.training.health import HEALTH, STEP_RATE
from darts_train.training.metrics_file import MetricsFile

METRICS_FILE, SETTINGS_FILE = "metrics.csv", "hparams.yaml"
_log = logger("training")


class FileTracker(Logger):
    """metrics.csv and hparams.yaml, directly in the run directory."""

    def __init__(self, directory: Path, classes: tuple[str, ...], epochs_done: int = 0, steps_done: int = 0) -> None:
        super().__init__()
        steps = [f"train/{name}" for name in metric_names(classes, curves=False)]
        epochs = [f"val/{name}" for name in metric_names(classes)]
        columns = ["epoch", "step", "learning_rate", "train/loss_epoch", STEP_RATE, *steps, *epochs, *HEALTH]
        self.directory = directory
        self._file = MetricsFile(directory / METRICS_FILE, columns, epochs_done, steps_done)

    @property
    def name(self) -> str:
        """Nothing: files lie in the run directory itself."""
        return ""

    @property
    def version(self) -> str:
        """Nothing, likewise."""
        return ""

    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Write the module's hyperparameters, plain values, as hparams.yaml."""
        import yaml

        write_text(self.directory / SETTINGS_FILE, yaml.safe_dump(_plain(params), sort_keys=False))

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Append a row; the row of an epoch waits for the disk, since a checkpoint follows it."""
        row = dict(metrics) if step is None else {**metrics, "step": step}
        self._file.append(row, durable="learning_rate" in metrics)


def read_settings(directory: Path) -> dict[str, Any]:
    """The module's hyperparameters from hparams.yaml of a run's directory; empty where there is no such file."""
    import yaml

    try:
        found = yaml.safe_load((directory / SETTINGS_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return found if isinstance(found, dict) else {}


class WandbTracker(Logger):
    """One run of Weights & Biases, resumed under the same id; what fails in it stays in it."""

    def __init__(self, directory: Path, tracking: Tracking, run: Mapping[str, str], tags: tuple[str, ...]) -> None:
        super().__init__()
        self._options = {
            "project": tracking.wandb_project,
            "entity": tracking.wandb_entity,
            "name": run["run_name"],
            "id": run["run_id"],
            "resume": "allow",
            "group": run["tune_name"],
            "job_type": run["cv_name"],
            "tags": list(tags),
            "dir": str(directory),
        }
        self._run: Any = None
        self._broken = False

    @property
    def name(self) -> str | None:
        """The project."""
        return self._options["project"]  # type: ignore[return-value]

    @property
    def version(self) -> str | None:
        """The run's id."""
        return self._options["id"]  # type: ignore[return-value]

    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Send the module's hyperparameters."""
        self._guarded(lambda run: run.config.update(_plain(params), allow_val_change=True))

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Send finite metrics; `trainer/global_step` is their axis, since a resumed run sends some of them again."""
        finite = {name: value for name, value in metrics.items() if math.isfinite(value)}
        self._guarded(lambda run: run.log({**finite, "trainer/global_step": step}))

    def log_image(self, key: str, path: Path) -> None:
        """Send a picture."""

        def send(run: Any) -> None:
            import wandb

            run.log({key: wandb.Image(str(path))})

        self._guarded(send)

    def finalize(self, status: str) -> None:
        """Close the run; `status` is Lightning's."""
        if self._run is not None:
            self._guarded(lambda run: run.finish(exit_code=0 if status in ("success", "finished") else 1))
        self._run = None

    def _guarded(self, action: Callable[[Any], Any]) -> None:
        if self._broken:
            return
        try:
            action(self._started())
        except Exception as error:  # whatever a service does, training goes on
            self._broken = True
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            _log.warning("wandb failed and is left out from here on; metrics.csv has everything: %s", reason)

    def _started(self) -> Any:
        if self._run is None:
            import wandb

            self._run = wandb.init(**self._options)  # type: ignore[arg-type]
            self._run.define_metric("*", step_metric="trainer/global_step")
        return self._run


def _plain(params: dict[str, Any] | Namespace) -> dict[str, Any]:
    return dict(vars(params) if isinstance(params, Namespace) else params)


def make_wandb(
    directory: Path, tracking: Tracking, run: Mapping[str, str], tags: tuple[str, ...]
) -> WandbTracker | None:
    """The tracker of Weights & Biases; None unless project and entity are both given (one alone: a warning)."""
    if tracking.wandb_project and tracking.wandb_entity:
        return WandbTracker(directory, tracking, run, tags)
    if tracking.wandb_project or tracking.wandb_entity:
        _log.warning("wandb is off: it needs both --wandb-project and --wandb-entity.")
    return None
