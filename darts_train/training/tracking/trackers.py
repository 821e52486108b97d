"""Where metrics go while a run lasts: metrics.csv and hparams.yaml always, services when asked for."""

from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers.logger import Logger

from darts_train.base.files import write_text
from darts_train.base.log import logger
from darts_train.metrics.state import metric_names
from darts_train.options.learning import Tracking
from darts_train.training.names import HEALTH, STEP_RATE
from darts_train.training.tracking.metrics_file import MetricsFile
from darts_train.training.tracking.services import MlflowTracker, ServiceTracker, TensorboardTracker, finite, plain

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

        write_text(self.directory / SETTINGS_FILE, yaml.safe_dump(plain(params), sort_keys=False))

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


class WandbTracker(ServiceTracker):
    """One run of Weights & Biases, resumed under the same id."""

    service = "wandb"

    def __init__(self, directory: Path, tracking: Tracking, run: Mapping[str, str], tags: tuple[str, ...]) -> None:
        super().__init__(run)
        own, name = tracking.wandb_name, run["run_name"]
        self._options = {
            "project": tracking.wandb_project,
            "entity": tracking.wandb_entity,
            "name": name if own is None else own if run["cv_name"] == "none" else f"{own}-{name}",
            "id": run["run_id"],
            "resume": "allow",
            "group": tracking.wandb_group or run["tune_name"],
            "job_type": run["cv_name"],
            "tags": list(dict.fromkeys((*tags, *(tracking.wandb_tags or ())))),
            "dir": str(directory),
        }

    @property
    def name(self) -> str | None:
        """The project."""
        return self._options["project"]  # type: ignore[return-value]

    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Send the module's hyperparameters."""
        self._guarded(lambda run: run.config.update(plain(params), allow_val_change=True))

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Send finite metrics; `trainer/global_step` is their axis, since a resumed run sends some of them again."""
        self._guarded(lambda run: run.log({**finite(metrics), "trainer/global_step": step}))

    def log_image(self, key: str, path: Path) -> None:
        """Send a picture."""

        def send(run: Any) -> None:
            import wandb

            run.log({key: wandb.Image(str(path))})

        self._guarded(send)

    def log_files(self, paths: Sequence[Path], aliases: Sequence[str]) -> None:
        """Send checkpoints as one artifact of the type model."""

        def send(run: Any) -> None:
            import wandb

            artifact = wandb.Artifact(f"model-{self.run['run_id']}", type="model")
            for path in paths:
                artifact.add_file(str(path), name=path.name)
            run.log_artifact(artifact, aliases=[*aliases, "latest"])

        self._guarded(send)

    def finalize(self, status: str) -> None:
        """Close the run; `status` is Lightning's."""
        if self._run is not None:
            self._guarded(lambda run: run.finish(exit_code=0 if status in ("success", "finished") else 1))
        self._run = None

    def _begin(self) -> Any:
        import wandb

        run = wandb.init(**self._options)  # type: ignore[arg-type]
        run.define_metric("*", step_metric="trainer/global_step")
        return run


def make_services(
    directory: Path, tracking: Tracking, run: Mapping[str, str], tags: tuple[str, ...]
) -> list[ServiceTracker]:
    """The trackers that were asked for beside the files; `run` has run_name, run_id, cv_name, tune_name ("none")."""
    found: list[ServiceTracker] = []
    wandb = make_wandb(directory, tracking, run, tags)
    if wandb:
        found.append(wandb)
    if tracking.mlflow_uri:
        found.append(MlflowTracker(tracking, run, tags))
    if tracking.tensorboard:
        found.append(TensorboardTracker(directory, run))
    return found


def make_wandb(
    directory: Path, tracking: Tracking, run: Mapping[str, str], tags: tuple[str, ...]
) -> WandbTracker | None:
    """The tracker of Weights & Biases; None unless project and entity are both given (one alone: a warning)."""
    if tracking.wandb_project and tracking.wandb_entity:
        return WandbTracker(directory, tracking, run, tags)
    if tracking.wandb_project or tracking.wandb_entity:
        _log.warning("wandb is off: it needs both --wandb-project and --wandb-entity.")
    return None
