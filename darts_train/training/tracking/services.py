"""Services that a run tells of itself: what they have in common, MLflow, and TensorBoard (wandb: `trackers.py`).

A service is never a reason for a run to end: one that fails is named once in a warning, and left alone from then on.
Each is imported when a run that was asked for it begins.
"""

import json
import math
import re
import time
from abc import abstractmethod
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers.logger import Logger

from darts_train.base.log import logger
from darts_train.options.learning import Tracking
from darts_train.training.checkpoints.checkpoint import BEST, PREVIOUS

TENSORBOARD_DIRECTORY = "tensorboard"
LONGEST = 500  # characters of a parameter's value that every MLflow server takes
_OTHER = re.compile(r"[^\w\-. /]")  # what MLflow takes in no name
_log = logger("training")


class ServiceTracker(Logger):
    """A run at some service, begun by the first thing that is told to it; what fails in it stays in it."""

    service: str

    def __init__(self, run: Mapping[str, str]) -> None:
        super().__init__()
        self.run = dict(run)
        self._run: Any = None
        self._broken = False

    @property
    def name(self) -> str | None:
        """The run's name."""
        return self.run["run_name"]

    @property
    def version(self) -> str | None:
        """The run's id."""
        return self.run["run_id"]

    def log_image(self, key: str, path: Path) -> None:
        """Send a picture."""

    def log_files(self, paths: Sequence[Path], aliases: Sequence[str]) -> None:
        """Send checkpoints; `aliases` are what they are to be called."""

    @abstractmethod
    def _begin(self) -> Any:
        """Begin the run at the service, or go on with it."""

    def _guarded(self, action: Callable[[Any], Any]) -> None:
        if self._broken:
            return
        try:
            if self._run is None:
                self._run = self._begin()
            action(self._run)
        except Exception as error:  # whatever a service does, training goes on
            self._broken = True
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            _log.warning("%s failed and is left out from here on; metrics.csv has everything: %s", self.service, reason)


class MlflowTracker(ServiceTracker):
    """A run of MLflow, found again by the tag `darts.run_id`; the client keeps no state of its own."""

    service = "mlflow"

    def __init__(self, tracking: Tracking, run: Mapping[str, str], tags: Sequence[str]) -> None:
        super().__init__(run)
        self.tracking = tracking
        self._tags = {f"darts.{key}": value for key, value in run.items()} | {"darts.tags": ",".join(tags)}
        self._id = ""
        self._new = True

    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Send the module's hyperparameters, once: MLflow never changes one."""

        def send(client: Any) -> None:
            for key, value in plain(params).items() if self._new else ():
                text = value if isinstance(value, str) else json.dumps(value, default=str)
                client.log_param(self._id, _OTHER.sub("_", key), text[:LONGEST])

        self._guarded(send)

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Send finite metrics, in one call."""

        def send(client: Any) -> None:
            from mlflow.entities import Metric

            stamp = int(time.time() * 1000)
            rows = [Metric(_OTHER.sub("_", k), float(v), stamp, step or 0) for k, v in finite(metrics).items()]
            client.log_batch(self._id, metrics=rows)

        self._guarded(send)

    def log_image(self, key: str, path: Path) -> None:
        """Send a picture as an artifact below figures/."""
        self._guarded(lambda client: client.log_artifact(self._id, str(path), f"figures/{Path(key).parent}"))

    def log_files(self, paths: Sequence[Path], aliases: Sequence[str]) -> None:
        """Send checkpoints as artifacts below checkpoints/."""

        def send(client: Any) -> None:
            for path in paths:
                client.log_artifact(self._id, str(path), "checkpoints")

        self._guarded(send)

    def finalize(self, status: str) -> None:
        """Close the run; `status` is Lightning's."""
        ended = "FINISHED" if status in ("success", "finished") else "FAILED"
        if self._run is not None:
            self._guarded(lambda client: client.set_terminated(self._id, ended))
        self._run = None

    def _begin(self) -> Any:
        from mlflow import MlflowClient

        client = MlflowClient(tracking_uri=self.tracking.mlflow_uri)
        name = self.tracking.mlflow_experiment
        known = client.get_experiment_by_name(name)
        experiment = known.experiment_id if known else client.create_experiment(name)
        earlier = client.search_runs([experiment], f"tags.`darts.run_id` = '{self.run['run_id']}'", max_results=1)
        self._new = not earlier
        if self._new:
            made = client.create_run(experiment, run_name=self.run["run_name"], tags=self._tags)
        else:
            made = earlier[0]
            client.update_run(made.info.run_id, status="RUNNING")
        self._id = made.info.run_id
        return client


class TensorboardTracker(ServiceTracker):
    """Event files below `tensorboard/` in the run's directory. A run that goes on writes another file there."""

    service = "tensorboard"

    def __init__(self, directory: Path, run: Mapping[str, str]) -> None:
        super().__init__(run)
        self.directory = directory
        self._step = 0

    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Write the module's hyperparameters as text."""
        text = json.dumps(plain(params), indent=2, default=str)
        self._guarded(lambda writer: writer.add_text("hyperparameters", f"```\n{text}\n```"))

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Write finite metrics."""
        self._step = self._step if step is None else step

        def send(writer: Any) -> None:
            for name, value in finite(metrics).items():
                writer.add_scalar(name, value, self._step)

        self._guarded(send)

    def log_image(self, key: str, path: Path) -> None:
        """Write a picture, at the last step that was logged."""

        def send(writer: Any) -> None:
            import numpy as np
            from PIL import Image

            with Image.open(path) as picture:
                pixels = np.asarray(picture.convert("RGB"))
            writer.add_image(key, pixels, self._step, dataformats="HWC")

        self._guarded(send)

    def finalize(self, status: str) -> None:
        """Close the file."""
        if self._run is not None:
            self._guarded(lambda writer: writer.close())
        self._run = None

    def _begin(self) -> Any:
        from torch.utils.tensorboard import SummaryWriter

        return SummaryWriter(str(self.directory / TENSORBOARD_DIRECTORY))


class SendCheckpoints(Callback):
    """Sends best.ckpt, or all checkpoints of the run, to the services when training came to its end."""

    def __init__(self, trackers: Sequence[Logger], checkpoints: Path, which: str) -> None:
        self.trackers = [tracker for tracker in trackers if isinstance(tracker, ServiceTracker)]
        self.checkpoints, self.which = checkpoints, which

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Before trackers are closed."""
        pattern = {"best": BEST, "all": "*.ckpt"}.get(self.which)
        paths = sorted(set(self.checkpoints.glob(pattern)) - {self.checkpoints / PREVIOUS}) if pattern else []
        for tracker in self.trackers if paths else ():
            tracker.log_files(paths, [self.which])


def finite(metrics: Mapping[str, float]) -> dict[str, float]:
    """The metrics that are numbers."""
    return {name: value for name, value in metrics.items() if math.isfinite(value)}


def plain(params: dict[str, Any] | Namespace) -> dict[str, Any]:
    """Hyperparameters as a dictionary, whichever way Lightning gives them."""
    return dict(vars(params) if isinstance(params, Namespace) else params)
